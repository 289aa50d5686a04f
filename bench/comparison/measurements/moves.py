"""How long large values take between two workers of a machine, and between a worker and the client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from comparison.contender import Contender, NotOffered
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect, seconds
from comparison.work.arrays import length, make, total

WARM_UP = 2


class Moves(Measurement):
    """Made by one worker and summed by another; the first times warm memory up and do not count."""

    name = "moves"
    group = "data"
    rank = 1

    def sizes(self, quick: bool) -> Sizes:
        return {"bytes": 20_000_000 if quick else 100_000_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        size = f"{sizes['bytes'] // 1_000_000} MB"
        return [
            Figure("made_moved_summed", f"{size} made, moved to another worker, summed", "ms"),
            Figure("moved_summed", f"{size} there, moved to another worker, summed", "ms"),
            Figure("moved", f"{size} there, to a task on another worker", "ms"),
        ]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        numbers = sizes["bytes"] // 8
        here, there = (place.submit for place in contender.places())
        found = {}
        for _ in range(WARM_UP + 1):
            with clock() as watch:
                summed = contender.result(there(total, here(make, numbers)))
            expect(summed == numbers, "made, moved, summed")
            found["made_moved_summed"] = 1e3 * watch.seconds
            for name, function in (("moved_summed", total), ("moved", length)):
                value = here(make, numbers)
                contender.result(here(length, value))
                with clock() as watch:
                    result = contender.result(there(function, value))
                expect(result == numbers, name)
                found[name] = 1e3 * watch.seconds
        return found


class ClientMoves(Measurement):
    """Put by the client, and brought to it."""

    name = "client-moves"
    group = "data"
    rank = 2

    def sizes(self, quick: bool) -> Sizes:
        return {"bytes": 20_000_000 if quick else 100_000_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        size = f"{sizes['bytes'] // 1_000_000} MB"
        return [
            Figure("put", f"the client puts {size}", "GB/s", more_is_better=True),
            Figure("brought", f"{size} of a worker brought to the client", "ms"),
            Figure("brought_summed", f"{size} of a worker brought to the client, summed there", "ms"),
        ]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        if contender.is_limit:
            raise NotOffered("nothing is moved")
        numbers = sizes["bytes"] // 8
        array = make(numbers)
        found: dict[str, float] = {}
        for _ in range(WARM_UP + 1):
            if contender.links:
                with clock() as watch:
                    put = contender.put(array)
                expect(contender.result(contender.submit(length, put)) == numbers, "put")
                del put
                found["put"] = sizes["bytes"] / 1e9 / watch.seconds
            for name, function in (("brought", length), ("brought_summed", total)):
                made = contender.submit(make, numbers)
                if contender.links:
                    contender.result(contender.submit(length, made))
                found[name] = 1e3 * seconds(lambda value=made, then=function: then(contender.result(value)))  # type: ignore[misc]
        return found


MEASUREMENTS = [Moves(), ClientMoves()]
