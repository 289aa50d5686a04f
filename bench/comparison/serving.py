"""The process of a contender written in Python: answers one measurement for each line it reads.

A line is an object with the name of a measurement, its sizes and the folder of prepared files. The contender says that
it is `ready` as soon as it has started, then its `figures` and the seconds they took. Instead of either it may say why
there are none: `absent` for good, `failed` this time.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from comparison.contender import WORKERS, Contender, NotOffered
from comparison.registry import contender_named, measurement_named
from comparison.work.readiness import get_ready

READY = 0.5
"""Seconds in which a worker that is asked to get ready is given nothing else."""


def main() -> None:
    # What runtimes print must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = _Server(contender_named(sys.argv[1])(), answers)
    for line in sys.stdin:
        server.say(server.answer(json.loads(line)))
    server.close()


class _Server:
    def __init__(self, contender: Contender, answers: TextIO) -> None:
        self._contender, self._answers = contender, answers
        self._is_started = False

    def say(self, answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=self._answers, flush=True)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        measurement = measurement_named(request["measurement"])
        try:
            if measurement.starts and not self._is_started:
                self._start()
            self.say({"ready": True})
            begun = time.perf_counter()
            figures = measurement.run(self._contender, Path(request["folder"]), request["sizes"])
            return {"figures": figures, "seconds": time.perf_counter() - begun}
        except NotOffered as reason:
            return {"absent": str(reason)}
        except Exception as error:
            traceback.print_exc()
            return {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}

    def _start(self) -> None:
        self._contender.start()
        self._is_started = True
        if not self._contender.is_limit:
            # One for each worker, all at once, so that none of them imports anything later.
            self._contender.gather([self._contender.submit(get_ready, READY) for _ in range(WORKERS)])

    def close(self) -> None:
        if self._is_started:
            self._contender.stop()


if __name__ == "__main__":
    main()
