"""The examples, run as their heads say, and judged by what they print."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PATIENCE

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "python").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_its_head_says(path: Path) -> None:
    head = ast.get_docstring(ast.parse(path.read_text()))
    assert head is not None and "Expected output" in head
    expected = re.findall(r"^    (.*)$", head, re.MULTILINE)
    ran = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 0, ran.stderr
    assert [without_luck(line) for line in ran.stdout.splitlines()] == [without_luck(line) for line in expected]


def without_luck(line: str) -> str:
    """The line without what is another on each machine: numbers of processes, and digests of what it has computed."""
    return re.sub(r"process \d+|[0-9a-f]{64}", "(luck)", line)
