"""Training in rounds: one and the same model whatever happens on the way, and clear words about what cannot be."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections import OrderedDict
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import PATIENCE

import quiltwork as qw
from quiltwork import train
from quiltwork.errors import TrainingError, UsageError


def load(number: int) -> Any:
    """A partition larger than what travels with messages: a mean to be found, and noise around it."""
    return number + np.random.default_rng(number).normal(size=4000)


def towards_mean(params: Any, partition: Any, ctx: train.Context) -> train.Update:
    """One small step, with noise of the round's own."""
    noise = ctx.rng().normal()
    params["w"] += 0.5 * (partition.mean() - params["w"]) + 1e-3 * noise
    params["b"][0] += params["w"].mean()
    return train.Update(params, weight=len(partition), metrics={"noise": noise})


def start() -> dict[str, Any]:
    return {"w": np.zeros((3, 2)), "b": np.zeros(2000, dtype=np.float32)}


def run(client: qw.Client, **options: Any) -> train.Outcome[dict[str, Any]]:
    settings: dict[str, Any] = {"params": start(), "rounds": 6, "seed": 7, "progress": False, **options}
    partitions = settings.pop("partitions", None) or client.map(load, range(5))
    return train.run(client, settings.pop("fit", towards_mean), partitions=partitions, **settings)


def reference(**options: Any) -> train.Outcome[dict[str, Any]]:
    settings: dict[str, Any] = {"params": start(), "rounds": 6, "seed": 7, "progress": False, **options}
    return train.serial(towards_mean, partitions=[load(number) for number in range(5)], **settings)


def test_a_cluster_and_one_process_make_the_same_model(client: qw.Client) -> None:
    serial, clustered = reference(), run(client)
    assert clustered.digest == serial.digest and len(clustered.digest) == 64
    np.testing.assert_array_equal(clustered.params["w"], serial.params["w"])
    assert clustered.params["b"].dtype == np.float32 and clustered.params["b"].flags.writeable
    assert abs(clustered.params["w"].mean() - 2.0) < 0.1
    assert reference(seed=8).digest != serial.digest
    first = clustered.history[0]
    assert (first.round, first.trained, first.samples, first.absences) == (1, 5, 20_000, {})
    assert [report.training for report in clustered.history] == [report.training for report in serial.history]
    assert (clustered.ending, clustered.metric, clustered.resumed_from) == ("all rounds", None, None)


def test_partitions_may_be_values(client: qw.Client) -> None:
    assert run(client, partitions=[load(number) for number in range(5)]).digest == reference().digest


@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_worker_changes_no_bit(workers: int) -> None:
    with qw.Client(n_workers=workers) as client:

        def on_round(report: train.RoundReport) -> None:
            if report.round in (2, 4):
                client.kill_worker(client.worker_pids()[0])

        assert run(client, on_round=on_round).digest == reference().digest


def slow(params: Any, partition: Any, ctx: train.Context) -> train.Update:
    time.sleep(0.05)
    return towards_mean(params, partition, ctx)


def test_a_worker_killed_while_it_trains_changes_no_bit() -> None:
    with qw.Client(n_workers=2) as client:
        killer = threading.Timer(0.3, lambda: client.kill_worker(client.worker_pids()[0]))
        killer.start()
        assert run(client, fit=slow).digest == reference().digest
        killer.join()


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclasses.dataclass
class Layer:
    weight: Any
    bias: float
    name: str = "layer"
    scale: Any = dataclasses.field(init=False, default_factory=lambda: np.ones(1))


def test_parameters_are_trees_of_all_kinds(client: qw.Client) -> None:
    params = OrderedDict(
        layers=[Layer(np.ones((2, 3), dtype=np.float32), 0.5), Layer(np.zeros(0), 1.0)],
        pair=Pair(np.float32(2.0), (np.arange(10_000.0).reshape(100, 100).T, None)),
        frozen=True,
    )

    def fit(params: Any, partition: int, ctx: train.Context) -> train.Update:
        assert type(params) is OrderedDict and type(params["layers"][0]).__name__ == "Layer"
        params["layers"][0].bias += partition
        params["layers"][0].scale *= 3
        # numpy widens what it computes with; the model keeps its own types.
        params["layers"][0].weight = params["layers"][0].weight * np.float64(2)
        return train.Update(params)

    outcome = train.run(client, fit, params=params, partitions=[1, 2], progress=False)
    layer, empty = outcome.params["layers"]
    assert isinstance(layer.bias, float) and layer.bias == 2.0 and layer.scale == 3.0 and layer.name == "layer"
    assert layer.weight.dtype == np.float32 and (layer.weight == 2.0).all() and empty.weight.shape == (0,)
    assert outcome.params["pair"].left == 2.0 and outcome.params["pair"].right[1] is None
    np.testing.assert_array_equal(outcome.params["pair"].right[0], params["pair"].right[0])
    assert outcome.params["frozen"] is True
    assert outcome.digest == train.serial(fit, params=params, partitions=[1, 2], progress=False).digest


def test_a_number_stays_a_float_whatever_python_makes_of_it() -> None:
    outcome = train.serial(lambda p, x, ctx: train.Update({"x": 3}), params={"x": 0.5}, partitions=[1], progress=False)
    assert outcome.params == {"x": 3.0} and isinstance(outcome.params["x"], float)


def test_one_array_alone_is_a_model(client: qw.Client) -> None:
    outcome = train.run(client, lambda p, x, ctx: train.Update(p + x), params=np.zeros(2), partitions=[1, 5])  # type: ignore[operator]
    np.testing.assert_array_equal(outcome.params, [3.0, 3.0])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"w": np.zeros(2, dtype=np.int64)}, "`w` is of type int64, which cannot be averaged\n  hint: convert it"),
        ({"a": {"h": np.zeros(2, dtype=np.float16)}}, "`a.h` is of type float16"),
        ({"w": [0.5, 3]}, "`w.1` is a `int`"),
        ({"w": {1.0}}, "`w` is a `set`"),
        ({"a": {"b": 1.0}, "a.b": 2.0}, "two parts of the parameters have the name `a.b`"),
        ({"name": "nothing"}, "the parameters have no arrays"),
    ],
)
def test_parameters_that_cannot_be_averaged_are_refused_by_name(params: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match="^" + message.split("\n")[0]):
        train.serial(lambda p, x, ctx: train.Update(p), params=params, partitions=[1], progress=False)


def test_what_a_step_raises_is_the_cause(client: qw.Client) -> None:
    def fit(params: Any, partition: int, ctx: train.Context) -> train.Update:
        if partition == 2:
            raise ZeroDivisionError("nothing can be learned here")
        return train.Update(params)

    for attempt in (
        lambda: train.run(client, fit, params=start(), partitions=[1, 2, 3], progress=False),
        lambda: train.serial(fit, params=start(), partitions=[1, 2, 3], progress=False),
    ):
        with pytest.raises(TrainingError, match="round 1: ") as raised:
            attempt()
        assert isinstance(raised.value.__cause__, ZeroDivisionError)
        assert "partition 1: " in str(raised.value) and raised.value.hint
    remote = getattr(raised.value.__cause__, "__cause__", None)
    assert remote is None  # the last one was raised here

    with pytest.raises(TrainingError) as raised:
        train.run(client, fit, params=start(), partitions=[2], progress=False)
    assert raised.value.__cause__ is not None
    text = str(raised.value.__cause__.__cause__)
    assert "in fit" in text and "_step.py" not in text


def test_updates_that_do_not_fit_are_refused_where_they_are_made(client: qw.Client) -> None:
    def cause(fit: Any) -> str:
        with pytest.raises(TrainingError) as raised:
            train.run(client, fit, params={"w": np.zeros(3)}, partitions=[1], progress=False)
        return str(raised.value.__cause__)

    assert "returned a `dict`" in cause(lambda params, x, ctx: params)
    assert "`w` has the shape (2,), but (3,)" in cause(lambda params, x, ctx: train.Update({"w": np.zeros(2)}))
    assert "`params` has the parts ['v']" in cause(lambda params, x, ctx: train.Update({"v": np.zeros(3)}))
    assert "`params` is a `list`" in cause(lambda params, x, ctx: train.Update([np.zeros(3)]))
    assert "cannot be interpreted as an integer" in cause(lambda params, x, ctx: train.Update(params, weight=0.5))


def test_a_diverging_model_is_named(client: qw.Client) -> None:
    with pytest.raises(TrainingError, match="tensor `w` of partition 0 is not finite") as raised:
        train.run(
            client, lambda p, x, ctx: train.Update({"w": p["w"] * np.inf}), params={"w": np.ones(1)}, partitions=[1]
        )
    assert raised.value.hint and "smaller learning rate" in raised.value.hint


def test_a_round_goes_on_with_its_quorum(client: qw.Client) -> None:
    def fit(params: Any, partition: int, ctx: train.Context) -> train.Update:
        if partition == 9:
            raise ValueError("it is away")
        return train.Update({"w": params["w"] + partition})

    outcome = train.run(client, fit, params={"w": np.zeros(1)}, partitions=[1, 9, 3], quorum=2, progress=False)
    assert outcome.params["w"] == 2.0
    assert outcome.history[0].trained == 2 and "it is away" in outcome.history[0].absences[1]


def test_a_round_goes_on_without_the_late(client: qw.Client) -> None:
    def fit(params: Any, partition: int, ctx: train.Context) -> train.Update:
        end = time.monotonic() + PATIENCE
        while partition == 9 and time.monotonic() < end:
            time.sleep(0.01)  # until it is interrupted
        return train.Update({"w": params["w"] + partition})

    options: dict[str, Any] = {"params": {"w": np.zeros(1)}, "partitions": [9, 3], "progress": False}
    outcome = train.run(client, fit, quorum=1, deadline=timedelta(seconds=1.0), rounds=2, **options)
    assert outcome.params["w"] == 6.0
    assert outcome.history[1].absences == {0: "had not answered by the deadline"}
    with pytest.raises(TrainingError, match="1 partitions trained, but the quorum is 2"):
        train.run(client, fit, deadline=0.5, **options)


def test_a_step_is_tried_again_if_asked(client: qw.Client, tmp_path: Path) -> None:
    def fit(params: Any, partition: int, ctx: train.Context) -> train.Update:
        mark = tmp_path / f"{ctx.round}-{partition}"
        if not mark.exists():
            mark.touch()
            raise OSError("not the first time")
        return train.Update(params)

    outcome = train.run(client, fit, params={"w": np.zeros(1)}, partitions=[1, 2], retries=2, progress=False)
    assert outcome.history[0].trained == 2


def test_a_training_stops_early(client: qw.Client) -> None:
    def measured(params: Any) -> dict[str, Any]:
        assert not params["w"].flags.writeable
        return {"distance": np.float32(abs(params["w"].mean() - 2.0))}

    reached = run(client, rounds=50, evaluate=measured, early_stop=train.EarlyStop("distance", "lower", target=0.2))
    assert (reached.ending, reached.metric) == ("reached", "distance") and len(reached.history) < 50
    assert reached.history[-1].metrics["distance"] <= 0.2 < reached.history[-2].metrics["distance"]
    stall = [train.EarlyStop("distance", "higher", patience=3)]
    assert (run(client, rounds=50, evaluate=measured, early_stop=stall).ending) == "stalled"
    with pytest.raises(UsageError, match="watches the metric `accuracy`"):
        run(client, early_stop=train.EarlyStop("accuracy", "higher", target=1.0))
    with pytest.raises(ValueError, match="either a target or a patience"):
        run(client, early_stop=train.EarlyStop("accuracy", "higher"))


def test_what_the_program_itself_raises_is_raised(client: qw.Client) -> None:
    told = []

    def evaluate(params: Any) -> dict[str, float]:
        if len(told) == 2:
            raise LookupError("no such data")
        return {}

    with pytest.raises(LookupError, match="no such data"):
        run(client, evaluate=evaluate, on_round=told.append)
    assert [report.round for report in told] == [1, 2]

    def on_round(report: train.RoundReport) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(client, on_round=on_round)

    def nested(params: Any) -> dict[str, float]:
        return {"rounds": len(run(client, rounds=1).history)}

    with pytest.raises(RuntimeError, match="one training cannot be run by a function that another one calls"):
        run(client, evaluate=nested)


def test_a_resumed_run_is_the_run_that_never_stopped(client: qw.Client, tmp_path: Path) -> None:
    strategy = train.FedAdam(rate=0.5)
    whole = run(client, strategy=strategy)
    run(client, strategy=strategy, rounds=4, checkpoints=train.Checkpoints(tmp_path, every=3, keep=1))
    assert [path.name for path in tmp_path.iterdir()] == ["round-000003.safetensors"]
    resumed = run(client, strategy=strategy, checkpoints=tmp_path, resume=True)
    assert (resumed.digest, resumed.resumed_from) == (whole.digest, 3)
    assert [report.training for report in resumed.history] == [report.training for report in whole.history]
    assert run(client, strategy=strategy, resume=tmp_path).resumed_from == 6
    with pytest.raises(UsageError, match="was made with seed 7"):
        run(client, strategy=strategy, seed=8, checkpoints=tmp_path, resume=True)
    with pytest.raises(UsageError, match="holds the checkpoints of another run"):
        run(client, strategy=strategy, checkpoints=tmp_path)
    with pytest.raises(ValueError, match="there is nothing to resume"):
        run(client, resume=True)


def test_settings_that_make_no_sense_are_refused(client: qw.Client) -> None:
    for options, message in [
        ({"quorum": 6}, "a quorum of 6 cannot be met by 5 partitions"),
        ({"strategy": train.FedAdam(rate=-1.0)}, "a server's rate of -1 makes no sense"),
        ({"strategy": train.Krum(hostile=2)}, "Krum bears 2 hostile updates of at least 7"),
        ({"partitions": ()}, ""),
    ]:
        if message:
            with pytest.raises(UsageError, match=message):
                run(client, **options)
    with pytest.raises(UsageError, match="there are no partitions"):
        train.run(client, towards_mean, params=start(), partitions=[], progress=False)
    with pytest.raises(ValueError, match="a deadline is a number of seconds"):
        run(client, deadline=-1.0)


def test_ctrl_c_ends_a_training_and_its_tasks(client: qw.Client) -> None:
    def fit(params: Any, partition: int, ctx: train.Context) -> train.Update:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            time.sleep(0.01)
        return train.Update(params)

    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        train.run(client, fit, params=start(), partitions=[1, 2, 3], progress=False)
    timer.join()
    # The workers are free again long before the tasks would have ended.
    assert client.submit(abs, -3).result(timeout=PATIENCE / 2) == 3


def test_progress_is_told_on_standard_error(client: qw.Client, capfd: pytest.CaptureFixture[str]) -> None:
    run(client, progress=True)
    told = capfd.readouterr().err
    assert "round 1/6  noise " in told and "round 6/6  noise " in told
