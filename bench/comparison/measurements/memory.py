"""How much memory all processes together take at rest, and for each result that is held."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from comparison.contender import Contender, NotOffered
from comparison.measurement import Figure, Figures, Measurement, Sizes
from comparison.processes import descendants, proportional, resident
from comparison.work.small import same

REST = 1.0
"""Seconds in which processes come to rest."""


class Memory(Measurement):
    """What comes on top of the client's process as it was before."""

    name = "memory"
    group = "life"
    rank = 1
    starts = False

    def sizes(self, quick: bool) -> Sizes:
        return {"results": 2_000 if quick else 100_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [
            Figure("idle", "idle cluster: resident in all its processes", "MB"),
            Figure("idle_proportional", "the same, shared pages counted once", "MB"),
            Figure("held", f"each of {sizes['results']:,} held results of no-ops", "B"),
        ]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        if contender.is_limit:
            raise NotOffered("it has no workers")
        before = {measure: _all_processes(measure) for measure in (resident, proportional)}
        contender.start()
        try:
            contender.result(contender.submit(same, 7))
            time.sleep(REST)
            idle, idle_proportional = (_all_processes(measure) - before[measure] for measure in before)
            contender.gather([contender.submit(same, number) for number in range(500)])
            return {"idle": idle / 1e6, "idle_proportional": idle_proportional / 1e6, "held": _held(contender, sizes)}
        finally:
            contender.stop()


def _held(contender: Contender, sizes: Sizes) -> float:
    gc.collect()
    before = _all_processes(resident)
    handles = [contender.submit(same, number) for number in range(sizes["results"])]
    contender.gather(handles)
    gc.collect()
    return (_all_processes(resident) - before) / len(handles)


def _all_processes(measure: Callable[[int], int]) -> int:
    return sum(map(measure, [os.getpid(), *descendants(os.getpid())]))


MEASUREMENTS = [Memory()]
