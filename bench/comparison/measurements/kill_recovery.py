"""How long tasks take that only wait, and how much longer if a worker is killed on the way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from comparison.contender import WORKERS, Contender, NotOffered
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work.small import sleep

PAUSE = 0.05


class Undisturbed(Measurement):
    """Tasks of 50 ms."""

    name = "undisturbed"
    group = "life"
    rank = 2
    limit = 15.0

    def sizes(self, quick: bool) -> Sizes | None:
        return None if quick else {"tasks": 200}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [Figure("time", f"{sizes['tasks']} tasks of 50 ms ({_ideal(sizes):g} ideal)", "s")]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        if contender.is_limit:
            raise NotOffered("it has no workers")
        contender.gather([contender.submit(sleep, 0.001) for _ in range(2 * WORKERS)])
        self.disturb(contender, sizes)
        with clock() as watch:
            results = contender.gather([contender.submit(sleep, PAUSE) for _ in range(sizes["tasks"])])
        expect(results == [PAUSE] * sizes["tasks"], "tasks that wait")
        return {"time": watch.seconds}

    def disturb(self, contender: Contender, sizes: Sizes) -> None:
        """What happens meanwhile."""


class KillRecovery(Undisturbed):
    """The same, and a worker process is killed with SIGKILL a fifth of the way."""

    name = "kill-recovery"
    rank = 3
    breaks = True

    def sizes(self, quick: bool) -> Sizes:
        return {"tasks": 40 if quick else 200}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        title = f"{sizes['tasks']} tasks of 50 ms, a worker killed at {_ideal(sizes) / 5:g} s ({_ideal(sizes):g} ideal)"
        return [Figure("time", title, "s")]

    def disturb(self, contender: Contender, sizes: Sizes) -> None:
        victim = contender.worker_pids()[0]
        threading.Timer(_ideal(sizes) / 5, os.kill, (victim, signal.SIGKILL)).start()


def _ideal(sizes: Sizes) -> float:
    seconds: float = sizes["tasks"] * PAUSE / WORKERS
    return seconds


MEASUREMENTS = [Undisturbed(), KillRecovery()]
