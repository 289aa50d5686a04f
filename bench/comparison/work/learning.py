"""Two models and one step of training on one partition: full-batch gradient descent, in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Model: TypeAlias = list[Array]
Partition: TypeAlias = tuple[Array, Array]

DIGITS = Path(__file__).parents[3] / "examples" / "data" / "digits.csv"
RATE = 0.1


def digits(partitions: int) -> list[Partition]:
    """The handwritten digits, with a constant input for the bias."""
    table = np.loadtxt(DIGITS, delimiter=",", skiprows=1)
    pixels = np.hstack([table[:, :64] / 16, np.ones((len(table), 1))])
    labels = table[:, 64].astype(np.int64)
    return [(pixels[at::partitions].copy(), labels[at::partitions].copy()) for at in range(partitions)]


def logistic_model() -> Model:
    """Of 650 numbers of 64 bits."""
    return [np.zeros((65, 10))]


def logistic_step(model: Model, partition: Partition) -> Model:
    """Multinomial logistic regression."""
    (weights,), (inputs, labels) = model, partition
    miss = _likelihood(inputs @ weights)
    miss[np.arange(len(labels)), labels] -= 1
    return [weights - RATE / len(labels) * (inputs.T @ miss)]


def random_partitions(partitions: int, rows: int, inputs: int) -> list[Partition]:
    """Rows of noise with one of ten labels."""
    random = np.random.default_rng(0)
    return [
        (random.standard_normal((rows, inputs), dtype=np.float32), random.integers(0, 10, rows))
        for _ in range(partitions)
    ]


def network_model(width: int) -> Model:
    """One hidden layer as wide as the input, numbers of 32 bits: a million of them for a width of 1,000."""
    random = np.random.default_rng(1)
    scale = np.float32(0.03)
    return [
        random.standard_normal((width, width), dtype=np.float32) * scale,
        np.zeros(width, np.float32),
        random.standard_normal((width, 10), dtype=np.float32) * scale,
        np.zeros(10, np.float32),
    ]


def network_step(model: Model, partition: Partition) -> Model:
    """Forward and backward through the network."""
    (into, into_bias, out, out_bias), (inputs, labels) = model, partition
    hidden = np.maximum(inputs @ into + into_bias, 0)
    miss = _likelihood(hidden @ out + out_bias)
    miss[np.arange(len(labels)), labels] -= 1
    miss *= np.float32(RATE / len(labels))
    blame = (miss @ out.T) * (hidden > 0)
    return [
        into - inputs.T @ blame,
        into_bias - blame.sum(axis=0),
        out - hidden.T @ miss,
        out_bias - miss.sum(axis=0),
    ]


def average(models: list[Model]) -> Model:
    """The mean of models, number by number."""
    mean = [layer.copy() for layer in models[0]]
    for model in models[1:]:
        for total, layer in zip(mean, model, strict=True):
            total += layer
    for total in mean:
        total /= len(models)
    return mean


def _likelihood(scores: Array) -> Array:
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores
