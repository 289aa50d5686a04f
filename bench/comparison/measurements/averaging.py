"""How long a round of parameter averaging takes: one step on each partition, then the client averages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from comparison.contender import Contender
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work import learning
from comparison.work.learning import Model

PARTITIONS = 8
ROWS = 256
WARM_UP = 2


class Logistic(Measurement):
    """Logistic regression of the handwritten digits: 650 numbers, so little work that the round itself is seen."""

    name = "averaging-digits"
    group = "training"
    rank = 0

    def sizes(self, quick: bool) -> Sizes:
        return {"rounds": 10 if quick else 50}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [Figure("round", f"logistic regression of digits, one of {sizes['rounds']} rounds", "ms")]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        partitions = learning.digits(PARTITIONS)
        held = contender.hold(partitions)

        def step(model: Model) -> list[Model]:
            return contender.round(learning.logistic_step, model, held)

        model, millis = _train(learning.logistic_model(), step, sizes["rounds"])
        if model is not None and sizes["rounds"] >= 10:
            expect(learning.accuracy(model, partitions) > 0.7, "the digits are not learned")
        return {"round": millis}


class Network(Measurement):
    """A network of a million parameters: 4 MB to each partition and back."""

    name = "averaging-network"
    group = "training"
    rank = 1

    def sizes(self, quick: bool) -> Sizes:
        return {"rounds": 3 if quick else 20, "width": 1_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [
            Figure("round", f"network of {sizes['width']}² parameters, one of {sizes['rounds']} rounds", "ms"),
            Figure("computing", "its computing alone, in Rust, on two threads", "ms"),
        ]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        held = contender.hold(learning.random_partitions(PARTITIONS, ROWS, sizes["width"]))

        def step(model: Model) -> list[Model]:
            return contender.round(learning.network_step, contender.put(model), held)

        _, millis = _train(learning.network_model(sizes["width"]), step, sizes["rounds"])
        return {"round": millis}


class TunedNetwork(Network):
    """The same with an allocator that keeps the memory of large arrays, which doubles numpy's speed."""

    name = "averaging-network-tuned"
    group = "training-tuned"
    environment: ClassVar = {"MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_MMAP_THRESHOLD_": "33554432"}


def _train(model: Model, step: Callable[[Model], list[Model]], rounds: int) -> tuple[Model | None, float]:
    """The last model, unless nothing was averaged, and the milliseconds of a round."""
    updates: list[Model] = []

    def train(count: int) -> None:
        nonlocal model, updates
        for _ in range(count):
            updates = step(model)
            if updates:
                model = learning.average(updates)

    train(WARM_UP)
    with clock() as watch:
        train(rounds)
    return model if updates else None, 1e3 * watch.seconds / rounds


MEASUREMENTS = [Logistic(), Network(), TunedNetwork()]
