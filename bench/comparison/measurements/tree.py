"""How long a tree of sums takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comparison.contender import Contender
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work.small import add, same


class Tree(Measurement):
    """No-ops as leaves and sums of two above; without handles in arguments, level by level through the client."""

    name = "tree"
    group = "tasks"
    rank = 6

    def sizes(self, quick: bool) -> Sizes:
        return {"leaves": 512 if quick else 4_096}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [Figure("time", f"tree of {2 * sizes['leaves'] - 1:,} tasks", "ms")]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        leaves = sizes["leaves"]
        grow = _linked if contender.links else _by_levels
        grow(contender, 64)
        with clock() as watch:
            total = grow(contender, leaves)
        expect(total == leaves * (leaves - 1) // 2, "a tree")
        return {"time": 1e3 * watch.seconds}


def _linked(contender: Contender, leaves: int) -> int:
    level: list[Any] = [contender.submit(same, number) for number in range(leaves)]
    while len(level) > 1:
        level = [contender.submit(add, *level[at : at + 2]) for at in range(0, len(level), 2)]
    result: int = contender.result(level[0])
    return result


def _by_levels(contender: Contender, leaves: int) -> int:
    level: list[int] = contender.map(same, range(leaves))
    while len(level) > 1:
        level = contender.map(_sum, [level[at : at + 2] for at in range(0, len(level), 2)])
    return level[0]


def _sum(pair: list[int]) -> int:
    return add(*pair)


MEASUREMENTS = [Tree()]
