"""How long it takes from the start of a program to its first result, and to its end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from comparison.contender import Contender
from comparison.measurement import Figure, Figures, Measurement, Sizes, seconds


class StartUp(Measurement):
    """A process of its own, with the interpreter and all imports in it."""

    name = "start-up"
    group = "life"
    rank = 0
    starts = False

    def sizes(self, quick: bool) -> Sizes:
        return {"warm_up": 0 if quick else 1}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [
            Figure("first_result", "start of the program to its first result", "ms"),
            Figure("end", "start of the program to its clean end", "ms"),
            Figure("import", "its import, over a bare Python", "ms"),
        ]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
            script.write(contender.first_result_script())
            script.flush()
            # Once for the caches of the system.
            for _ in range(sizes["warm_up"]):
                self._run(script.name)
            found = self._run(script.name)
        if contender.requires:
            imports = self._run_once(f"import {', '.join(contender.requires)}") - self._run_once("pass")
            found["import"] = 1e3 * imports
        return found

    def _run_once(self, program: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-P", "-c", program], check=True))

    def _run(self, script: str) -> dict[str, float]:
        begun = time.perf_counter()
        with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as program:
            assert program.stdout is not None
            if program.stdout.readline() != b"ready\n":
                raise RuntimeError("the program ended without a result")
            ready = time.perf_counter()
            program.wait()
            ended = time.perf_counter()
        return {"first_result": 1e3 * (ready - begun), "end": 1e3 * (ended - begun)}


MEASUREMENTS = [StartUp()]
