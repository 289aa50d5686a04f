"""How long a task takes that waits for the one before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from comparison.contender import Contender
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work.small import same


class Chain(Measurement):
    """All are submitted at once, each with the handle before; without handles in arguments, one after the other."""

    name = "chain"
    group = "tasks"
    rank = 5

    def sizes(self, quick: bool) -> Sizes:
        return {"hops": 200 if quick else 1_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [Figure("hop", f"chain of {sizes['hops']:,}, per hop", "µs")]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        hops = sizes["hops"]
        self._pass_on(contender, hops // 10)
        with clock() as watch:
            end = self._pass_on(contender, hops)
        expect(end == 7, "a chain")
        return {"hop": 1e6 * watch.seconds / hops}

    def _pass_on(self, contender: Contender, hops: int) -> int:
        last = contender.submit(same, 7)
        for _ in range(hops - 1):
            last = contender.submit(same, last if contender.links else contender.result(last))
        result: int = contender.result(last)
        return result


MEASUREMENTS = [Chain()]
