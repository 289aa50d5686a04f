"""How long it takes to sort numbers that are spread over partitions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from comparison.contender import Contender, NotOffered
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work import sorting

PARTITIONS = 16
SAMPLES = 1_000


class Sort(Measurement):
    """A sample sort: sample, cut each sorted partition, merge. The result stays with the workers."""

    name = "sort"
    group = "programs"
    rank = 1

    def sizes(self, quick: bool) -> Sizes:
        return {"numbers": 1_600_000 if quick else 20_000_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [Figure("time", f"sort of {sizes['numbers'] / 1e6:g} million numbers of 64 bits", "s")]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        if not contender.links:
            raise NotOffered("values do not stay with its workers")
        each = sizes["numbers"] // PARTITIONS
        self._sort(contender, each // 10)
        return {"time": self._sort(contender, each)}

    def _sort(self, contender: Contender, each: int) -> float:
        submit = contender.submit
        partitions = [submit(sorting.generate, seed, each) for seed in range(PARTITIONS)]
        contender.gather([submit(sorting.edges, partition) for partition in partitions])
        with clock() as watch:
            samples = contender.gather([submit(sorting.sample, partition, SAMPLES) for partition in partitions])
            ordered = np.sort(np.concatenate(samples))
            bounds = ordered[len(ordered) // PARTITIONS :: len(ordered) // PARTITIONS][: PARTITIONS - 1]
            if contender.shares_memory:
                splits = [submit(sorting.split, partition, bounds) for partition in partitions]
                merged = [submit(sorting.merge_part, part, *splits) for part in range(PARTITIONS)]
            else:
                cut = [contender.split(sorting.split, PARTITIONS, partition, bounds) for partition in partitions]
                merged = [submit(sorting.merge, *pieces) for pieces in zip(*cut, strict=True)]
            lengths = contender.gather([submit(len, part) for part in merged])
        edges = contender.gather([submit(sorting.edges, part) for part in merged])
        in_order = all(left[2] <= right[1] for left, right in pairwise(edges))
        expect(sum(lengths) == each * PARTITIONS and in_order and all(edge[3] for edge in edges), "sorted numbers")
        return watch.seconds


MEASUREMENTS = [Sort()]
