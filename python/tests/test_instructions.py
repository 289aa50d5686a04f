"""The instructions a call costs the thread that makes it, compared with `instructions.json`: 5 % more is a failure.

Numbers hold for one build of the interpreter and one profile of the wheel; the file has them for those that were
blessed with `QUILTWORK_BLESS=1`.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path

import pytest
from stepping import instructions

BASELINES = Path(__file__).with_name("instructions.json")
TOLERANCE = 1.05

START = """
import operator, quiltwork as qw
client = qw.Client(n_workers=1)
client.gather([client.submit(operator.neg, number) for number in range(200)])
begin()
"""
END = "client.close()\n"
NOTHING = "begin()\nfor _ in range(5): counted(lambda: None)\n"
PROGRAMS = {
    "submit": START + "for number in range(5): counted(lambda: client.submit(operator.neg, number))\n" + END,
    "result": START
    + "futures = [client.submit(operator.neg, number) for number in range(5)]\nqw.wait(futures)\n"
    + "for future in futures: counted(future.result)\n"
    + END,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_call_costs_no_more_instructions_than_before(name: str) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("single steps are counted on x86_64")
    try:
        count = instructions(PROGRAMS[name]) - instructions(NOTHING)
    except PermissionError:
        pytest.skip("this process may not trace another one")
    build = f"{sys.version} {os.environ.get('QUILTWORK_WHEEL_PROFILE', 'dev')}"
    baselines = json.loads(BASELINES.read_text())
    if "QUILTWORK_BLESS" in os.environ:
        baselines.setdefault(build, {})[name] = count
        BASELINES.write_text(json.dumps(baselines, indent=2, sort_keys=True) + "\n")
    if build not in baselines:
        pytest.skip(f"{count} instructions; nothing to compare with for {build}")
    assert count <= TOLERANCE * baselines[build][name]
