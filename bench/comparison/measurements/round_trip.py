"""How long a lone task takes from its submission to its result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from comparison.contender import Contender
from comparison.measurement import Figure, Figures, Measurement, Sizes, expect, seconds
from comparison.work.small import same

SHARES = (50, 95, 99)


class RoundTrip(Measurement):
    """One after the other, with nothing else going on."""

    name = "round-trip"
    group = "tasks"
    rank = 4

    def sizes(self, quick: bool) -> Sizes:
        return {"trips": 100 if quick else 2_000, "warm_up": 30 if quick else 300}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [Figure(f"p{share}", f"submit one, wait for it: p{share}", "µs") for share in SHARES]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        def trip() -> None:
            expect(contender.result(contender.submit(same, 7)) == 7, "a round trip")

        for _ in range(sizes["warm_up"]):
            trip()
        times = sorted(seconds(trip) for _ in range(sizes["trips"]))
        return {f"p{share}": 1e6 * times[len(times) * share // 100] for share in SHARES}


MEASUREMENTS = [RoundTrip()]
