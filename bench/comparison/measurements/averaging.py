"""How long a round of parameter averaging takes: one step on each partition, then the client averages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from comparison.contender import Contender, NotOffered
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work import learning
from comparison.work.learning import Model, Partition

Step: TypeAlias = Callable[[Model, Partition], Model]

PARTITIONS = 8
ROWS = 256
WARM_UP = 2
LARGE = 100_000
"""Bytes of a model that is better put once than sent with each task."""


class Averaging(Measurement):
    """What both have in common."""

    def train(self, contender: Contender, step: Step, model: Model, held: Sequence[Any], rounds: int) -> Figures:
        """The milliseconds of a round, with the client's averaging and, where there is that, the contender's own."""
        found = {"round": 1e3 * _averaged_by_client(contender, step, model, held, rounds) / rounds}
        with suppress(NotOffered):
            contender.train(step, model, held, WARM_UP)
            with clock() as watch:
                trained = contender.train(step, model, held, rounds)
            expect(len(trained) == len(model), "a trained model")
            found["own"] = 1e3 * watch.seconds / rounds
        return found


class Logistic(Averaging):
    """Logistic regression of the handwritten digits: 650 numbers, so little work that the round itself is seen."""

    name = "averaging-digits"
    group = "training"
    rank = 0

    def sizes(self, quick: bool) -> Sizes:
        return {"rounds": 10 if quick else 50}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [
            Figure("round", f"logistic regression of digits, one of {sizes['rounds']} rounds", "ms"),
            Figure("own", "the same, averaged by the runtime's own training", "ms"),
        ]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        held = contender.hold(learning.digits(PARTITIONS))
        return self.train(contender, learning.logistic_step, learning.logistic_model(), held, sizes["rounds"])


class Network(Averaging):
    """A network of a million parameters: 4 MB to each partition and back."""

    name = "averaging-network"
    group = "training"
    rank = 1

    def sizes(self, quick: bool) -> Sizes:
        return {"rounds": 3 if quick else 20, "width": 1_000}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [
            Figure("round", f"network of {sizes['width']}² parameters, one of {sizes['rounds']} rounds", "ms"),
            Figure("own", "the same, averaged by the runtime's own training", "ms"),
            Figure("computing", "its computing alone, in Rust, on two threads", "ms"),
        ]

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        width = sizes["width"]
        held = contender.hold(learning.random_partitions(PARTITIONS, ROWS, width))
        return self.train(contender, learning.network_step, learning.network_model(width), held, sizes["rounds"])


class TunedNetwork(Network):
    """The same with an allocator that keeps the memory of large arrays, which doubles numpy's speed."""

    name = "averaging-network-tuned"
    group = "training-tuned"
    environment: ClassVar = {"MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_MMAP_THRESHOLD_": "33554432"}


def _averaged_by_client(contender: Contender, step: Step, model: Model, held: Sequence[Any], rounds: int) -> float:
    """The seconds of all rounds, after some that warm up."""
    model = _rounds(contender, step, model, held, WARM_UP)
    with clock() as watch:
        _rounds(contender, step, model, held, rounds)
    return watch.seconds


def _rounds(contender: Contender, step: Step, model: Model, held: Sequence[Any], rounds: int) -> Model:
    is_large = sum(layer.nbytes for layer in model) > LARGE
    for _ in range(rounds):
        updates = contender.round(step, contender.put(model) if is_large else model, held)
        # Who only computes has none.
        if updates:
            model = learning.average(updates)
    return model


MEASUREMENTS = [Logistic(), Network(), TunedNetwork()]
