"""The benchmark runs: as a command, with this package alone and little work. What is fast is not looked at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from conftest import PATIENCE

BENCH = Path(__file__).parents[2] / "bench"


def test_the_benchmark_measures_this_package_and_says_who_is_missing(tmp_path: Path) -> None:
    arguments = ["--quick", "--rounds", "1", "--only", "chain", "--only", "memory", "--out", str(tmp_path)]
    contenders = ["--contender", "quiltwork", "--contender", "serial", "--contender", "quiltwork-rust"]
    ran = subprocess.run(
        [sys.executable, "-m", "comparison", *arguments, *contenders],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(BENCH), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.returncode == 0, ran.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    rows = {f"{row['measurement']} {row['key']}": row["contenders"] for row in results["rows"]}
    assert rows["chain hop"]["quiltwork"]["median"] > rows["chain hop"]["serial"]["median"] > 0
    assert rows["memory idle"]["quiltwork"]["samples"][0] > 1
    assert rows["chain hop"]["quiltwork-rust"] == {"note": "not built: quiltwork-bench"}
    assert "| chain of 200, per hop | µs | " in ran.stdout
    assert (tmp_path / "tasks.svg").read_text().startswith("<svg")


def test_what_was_measured_until_ctrl_c_is_written(tmp_path: Path) -> None:
    arguments = ["--quick", "--rounds", "10000", "--only", "chain", "--contender", "serial", "--out", str(tmp_path)]
    with subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "comparison", *arguments],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(BENCH), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        while "round 3 of" not in running.stderr.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, errors
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["interrupted"] and "It was interrupted" in (tmp_path / "results.md").read_text()
    assert len(results["rows"][0]["contenders"]["serial"]["samples"]) >= 2


def test_every_contender_and_every_measurement_is_found() -> None:
    program = (
        "from comparison.registry import all_contenders, all_measurements\n"
        "print(len({c.name for c in all_contenders()}), len({m.name for m in all_measurements()}))\n"
        "for m in all_measurements():\n"
        "    for quick in (True, False):\n"
        "        sizes = m.sizes(quick)\n"
        "        assert sizes is None or m.figures(sizes), m.name\n"
    )
    contenders, measurements = map(int, run(program).split())
    files = [path for path in (BENCH / "comparison" / "contenders").glob("*.py") if path.stem != "__init__"]
    assert contenders >= len(files)
    assert measurements >= len([*(BENCH / "comparison" / "measurements").glob("*.py")]) - 1


def test_the_front_page_has_room_for_the_short_table() -> None:
    program = (
        "from comparison.publishing import FRONT_PAGE, ROOT\n"
        "from comparison.summary import BEGIN, END, insert\n"
        "page = (ROOT / FRONT_PAGE).read_text()\n"
        "once = insert(page, 'new figures')\n"
        "assert once != page and insert(once, 'new figures') == once\n"
        "assert once.partition(BEGIN)[0] == page.partition(BEGIN)[0]\n"
        "assert once.partition(END)[2] == page.partition(END)[2]\n"
        "assert insert('a page without marks', 'new figures') == 'a page without marks'\n"
    )
    run(program)


def run(program: str) -> str:
    """What a program prints that uses the benchmark's own modules."""
    environment = {"PATH": "", "PYTHONPATH": str(BENCH), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
