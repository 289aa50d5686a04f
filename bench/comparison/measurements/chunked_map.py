"""How many calls a second, if a task makes a hundred of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from comparison.contender import Contender
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work.small import same

CHUNK = 100


class ChunkedMap(Measurement):
    """By the contender's own way, or by hand where it has none."""

    name = "chunked-map"
    group = "tasks"
    rank = 3

    def sizes(self, quick: bool) -> Sizes:
        return {"calls": 20_000 if quick else 100_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [Figure("rate", f"{sizes['calls']:,} no-ops, {CHUNK} a task", "calls/s", more_is_better=True)]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        items = range(sizes["calls"])
        contender.map_chunked(same, range(1_000), CHUNK)
        with clock() as watch:
            results = contender.map_chunked(same, items, CHUNK)
        expect(results == list(items), "chunked no-ops")
        return {"rate": len(items) / watch.seconds}


MEASUREMENTS = [ChunkedMap()]
