"""How many tasks a second, if a task does nothing: each is a task of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from comparison.contender import Contender
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work.small import same


class NoOps(Measurement):
    """One client submits them and gathers all results."""

    group = "tasks"

    def __init__(self, rank: int, tasks: int, quick: int | None, grows_from: tuple[str, float] | None) -> None:
        self.name = f"no-ops-{tasks}"
        self.rank = rank
        self.grows_from = grows_from
        self._tasks, self._quick = tasks, quick

    def sizes(self, quick: bool) -> Sizes | None:
        tasks = self._quick if quick else self._tasks
        return None if tasks is None else {"tasks": tasks}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [Figure("rate", f"{sizes['tasks']:,} no-ops, one by one", "tasks/s", more_is_better=True)]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        tasks = sizes["tasks"]
        contender.map(same, range(500))
        with clock() as watch:
            results = contender.map(same, range(tasks))
        expect(results == list(range(tasks)), "no-ops")
        return {"rate": tasks / watch.seconds}


MEASUREMENTS = [
    NoOps(0, 10_000, 1_000, None),
    NoOps(1, 100_000, None, ("no-ops-10000", 10)),
    NoOps(2, 1_000_000, None, ("no-ops-100000", 10)),
]
