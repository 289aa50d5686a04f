"""The strategies hit their references from Python: published fixed points, sequences by hand, hostile partitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import quiltwork as qw
from quiltwork import train

# a/2 (x - c)² of two partitions, and their minimum together.
QUADRATICS = [(1.0, 0.0), (10.0, 1.0)]
MINIMUM = 10 / 11
RATE = 0.05


def descend(params: Any, partition: Any, ctx: train.Context) -> train.Update:
    """Ten local steps, as every strategy wants them."""
    a, c = partition
    control = ctx.control["x"]
    for _ in range(10):
        gradient = a * (params["x"] - c) + control + train.proximal(params, ctx)["x"]
        params["x"] -= RATE * gradient
    return train.Update(params, walked=10 * RATE)


def fixed_point(strategy: train.Strategy | None, rounds: int = 400, **options: Any) -> float:
    start = {"x": np.array([-3.0])}
    outcome = train.serial(
        descend, params=start, partitions=QUADRATICS, rounds=rounds, strategy=strategy, progress=False, **options
    )
    return float(outcome.params["x"][0])


@pytest.mark.parametrize(("steps", "published"), [(1, 0.909090909), (10, 0.713442170), (20, 0.609193452)])
def test_averaging_ends_at_the_published_fixed_points(steps: int, published: float) -> None:
    def fit(x: float, partition: Any, ctx: train.Context) -> train.Update:
        a, c = partition
        for _ in range(steps):
            x -= RATE * a * (x - c)
        return train.Update(x)

    outcome = train.serial(fit, params=-3.0, partitions=QUADRATICS, rounds=300, progress=False)
    assert abs(outcome.params - published) < 1e-9


def test_scaffold_ends_where_all_data_in_one_place_would(client: qw.Client) -> None:
    assert abs(fixed_point(train.Scaffold()) - MINIMUM) < 1e-6
    assert abs(fixed_point(train.Scaffold(rate=0.5)) - MINIMUM) < 1e-6
    assert abs(fixed_point(train.FedAvg()) - 0.713442170) < 1e-9
    # The control variates travel as they should: a cluster makes the same model, for large ones too.
    params = {"x": np.full(3000, -3.0), "y": np.zeros(3, dtype=np.float32)}
    settings: dict[str, Any] = {"params": params, "rounds": 5, "strategy": train.Scaffold(), "progress": False}
    clustered = train.run(client, descend, partitions=QUADRATICS, **settings)
    assert clustered.digest == train.serial(descend, partitions=QUADRATICS, **settings).digest


def test_scaffold_needs_to_know_how_far_a_step_went() -> None:
    with pytest.raises(qw.errors.TrainingError, match="does not say how far its local steps went"):
        train.serial(
            lambda x, _, ctx: train.Update(x),
            params=1.0,
            partitions=[1],
            strategy=train.Scaffold(),
            progress=False,
        )


def test_a_proximal_term_pulls_local_training_together() -> None:
    assert fixed_point(train.FedProx(mu=0.0)) == fixed_point(train.FedAvg())

    def way(a: float, mu: float) -> float:
        return a / (a + mu) * (1 - (1 - RATE * (a + mu)) ** 10)

    expected = way(10, 2) / (way(1, 2) + way(10, 2))
    assert abs(fixed_point(train.FedProx(mu=2.0)) - expected) < 1e-9


def sequence(strategy: train.Strategy, gradients: list[float]) -> list[float]:
    """The parameters after each of these steps of the only partition."""
    found: list[float] = []

    def fit(x: float, partition: int, ctx: train.Context) -> train.Update:
        return train.Update(x + gradients[ctx.round - 1])

    def note(x: float) -> dict[str, float]:
        found.append(x)
        return {}

    rounds = len(gradients)
    train.serial(fit, params=0.0, partitions=[0], rounds=rounds, strategy=strategy, evaluate=note, progress=False)
    return found


def test_momentum_is_the_sequence_computed_by_hand() -> None:
    found = sequence(train.FedAvgM(rate=0.5, momentum=0.9), [1.0, 1.0, 1.0, -3.0])
    np.testing.assert_allclose(found, [0.5, 1.45, 2.805, 2.5245], rtol=1e-12)
    np.testing.assert_allclose(sequence(train.FedAvgM(1.0, 0.0), [1.0, -2.5]), [1.0, -1.5], rtol=1e-12)


Second = Callable[[float, float], float]


@pytest.mark.parametrize(
    ("strategy", "momentum", "second"),
    [
        (train.FedAdam(), 0.9, lambda v, g: 0.99 * v + 0.01 * g * g),
        (train.FedYogi(), 0.9, lambda v, g: v - 0.01 * g * g * np.sign(v - g * g)),
        (train.FedAdagrad(), 0.0, lambda v, g: v + g * g),
    ],
    ids=lambda value: type(value).__name__,
)
def test_adaptive_rates_are_those_of_the_published_algorithm(
    strategy: train.Strategy, momentum: float, second: Second
) -> None:
    gradients = [1.0, -2.0, 0.5, 0.0, 1e-4]
    m, v, x, expected = 0.0, 1e-6, 0.0, []
    for gradient in gradients:
        m = momentum * m + (1 - momentum) * gradient
        v = second(v, gradient)
        x += 0.1 * m / (np.sqrt(v) + 1e-3)
        expected.append(x)
    np.testing.assert_allclose(sequence(strategy, gradients), expected, rtol=1e-12)


def merged(strategy: train.Strategy | None, updates: list[Any], weights: list[int] | None = None) -> Any:
    """What a strategy makes of these updates."""

    def fit(params: Any, number: int, ctx: train.Context) -> train.Update:
        return train.Update(np.asarray(updates[number], dtype=np.float64), weight=weights[number] if weights else 1)

    start = np.zeros(np.shape(updates[0]))
    numbers = range(len(updates))
    return train.serial(fit, params=start, partitions=numbers, strategy=strategy, progress=False).params


def test_means_and_medians_are_those_of_numpy() -> None:
    updates = list(np.random.default_rng(0).normal(size=(7, 5000)))
    np.testing.assert_allclose(merged(None, updates), np.mean(updates, axis=0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(merged(train.TrimmedMean(0.0), updates), np.mean(updates, axis=0), rtol=0, atol=1e-12)
    trimmed = np.sort(updates, axis=0)[2:-2].mean(axis=0)
    np.testing.assert_allclose(merged(train.TrimmedMean(0.3), updates), trimmed, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(merged(train.CoordinateMedian(), updates), np.median(updates, axis=0))
    weights = [1, 2, 3, 4, 5, 6, 7]
    expected = np.average(updates, axis=0, weights=weights)
    np.testing.assert_allclose(merged(None, updates, weights), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("nonsense", [1e6, np.inf, np.nan])
@pytest.mark.parametrize(
    "strategy", [train.CoordinateMedian(), train.TrimmedMean(0.34), train.Krum(3), train.Krum(3, chosen=6)]
)
def test_hostile_partitions_are_survived(strategy: train.Strategy, nonsense: float) -> None:
    honest = [[1.0 + 0.01 * number, -1.0] for number in range(6)]
    found = merged(strategy, honest + 3 * [[nonsense, -nonsense]])
    assert 1.0 <= found[0] <= 1.05 and abs(found[1] + 1.0) < 1e-12
    if np.isfinite(nonsense):
        assert merged(None, honest + 3 * [[nonsense, -nonsense]])[0] > 1000
