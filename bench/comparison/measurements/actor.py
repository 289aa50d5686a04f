"""How many calls a second an actor answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from comparison.contender import Contender
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect


class ActorCalls(Measurement):
    """A counter that is called one by one, and many times before any answer is read."""

    name = "actor-calls"
    group = "actors"
    rank = 0

    def sizes(self, quick: bool) -> Sizes:
        return {"one_by_one": 200 if quick else 2_000, "pipelined": 1_000 if quick else 10_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [
            Figure("one_by_one", f"{sizes['one_by_one']:,} calls, one by one", "calls/s", more_is_better=True),
            Figure("pipelined", f"{sizes['pipelined']:,} calls sent before an answer", "calls/s", more_is_better=True),
        ]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        one_by_one, pipelined = sizes["one_by_one"], sizes["pipelined"]
        counter = contender.counter()
        for _ in range(100):
            last = contender.result(counter.add(1))
        with clock() as alone:
            for _ in range(one_by_one):
                last = contender.result(counter.add(1))
        expect(last == 100 + one_by_one, "calls one by one")
        with clock() as many:
            last = contender.gather([counter.add(1) for _ in range(pipelined)])[-1]
        expect(last == 100 + one_by_one + pipelined, "pipelined calls")
        return {"one_by_one": one_by_one / alone.seconds, "pipelined": pipelined / many.seconds}


MEASUREMENTS = [ActorCalls()]
