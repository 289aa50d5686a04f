"""How many tasks a second, if all of them take the same large value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from comparison.contender import Contender
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work.arrays import item, make


class SharedValue(Measurement):
    """The value is put once, and each task reads one number of it. Without handles it goes with each task."""

    name = "shared-value"
    group = "data"
    rank = 0

    def sizes(self, quick: bool) -> Sizes:
        return {"tasks": 100 if quick else 1_000, "bytes": 10_000_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        title = f"{sizes['tasks']:,} tasks share one value of {sizes['bytes'] // 1_000_000} MB"
        return [Figure("rate", title, "tasks/s", more_is_better=True)]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        # Nobody wants to wait for those who copy it every time.
        tasks = sizes["tasks"] if contender.links else max(10, sizes["tasks"] // 5)
        array = make(sizes["bytes"] // 8)
        array[:] = range(len(array))
        shared = contender.put(array)
        contender.gather([contender.submit(item, shared, index) for index in range(10)])
        with clock() as watch:
            found = contender.gather([contender.submit(item, shared, index) for index in range(tasks)])
        expect(found == list(range(tasks)), "a shared value")
        return {"rate": tasks / watch.seconds}


MEASUREMENTS = [SharedValue()]
