"""How fast a large value goes from one node to another, by the network and not by memory both can see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from comparison.contender import Contender, NotOffered
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work.arrays import length, make

WARM_UP = 2


class BetweenNodes(Measurement):
    """From handing in a task, whose argument the other node has, to its answer. Processor times are those of Rust."""

    name = "between-nodes"
    group = "data"
    rank = 3

    def sizes(self, quick: bool) -> Sizes:
        return {"bytes": 20_000_000 if quick else 100_000_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        megabytes = sizes["bytes"] // 1_000_000
        return [
            Figure("one", f"{megabytes} MB between two nodes", "GB/s", more_is_better=True),
            Figure("sender", "its sender works", "ms/GB"),
            Figure("receiver", "its receiver works", "ms/GB"),
            Figure("four", f"four of {megabytes * 6 // 10} MB between two nodes at once", "GB/s", more_is_better=True),
        ]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        if not contender.always_uses_the_network:
            raise NotOffered("its processes on one machine share memory")
        here, there = (place.submit for place in contender.places())
        found = {}
        for name, count, share in (("one", 1, 1.0), ("four", 4, 0.6)):
            numbers = int(sizes["bytes"] * share) // 8
            for _ in range(WARM_UP + 1):
                values = [here(make, numbers) for _ in range(count)]
                contender.gather([here(length, value) for value in values])
                with clock() as watch:
                    lengths = contender.gather([there(length, value) for value in values])
                expect(lengths == [numbers] * count, "values of another node")
                found[name] = 8e-9 * numbers * count / watch.seconds
        return found


MEASUREMENTS = [BetweenNodes()]
