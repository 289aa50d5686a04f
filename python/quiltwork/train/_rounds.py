"""`run` and `serial`: rounds of training on a cluster or in this process, carried out by the engine's trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from quiltwork import _native
from quiltwork._calls import Function
from quiltwork._future import Future
from quiltwork._task import Task
from quiltwork.train._context import Context
from quiltwork.train._outcome import Outcome, RoundReport
from quiltwork.train._settings import Checkpoints, EarlyStop, Path, Training
from quiltwork.train._step import Assignment, Fit, PackedUpdate, train_partition
from quiltwork.train._strategies import Strategy
from quiltwork.train._structure import Structure, sent
from quiltwork.train._update import Update

if TYPE_CHECKING:
    from quiltwork._client import Client

P = TypeVar("P")
D = TypeVar("D")


def run(
    client: Client,
    fit: Callable[[P, D, Context], Update],
    *,
    params: P,
    partitions: Sequence[Future[D] | D],
    rounds: int = 1,
    strategy: Strategy | None = None,
    seed: int = 0,
    evaluate: Callable[[P], dict[str, float]] | None = None,
    quorum: int | None = None,
    deadline: float | timedelta | None = None,
    retries: int = 0,
    early_stop: EarlyStop | Iterable[EarlyStop] = (),
    checkpoints: Checkpoints | Path | None = None,
    resume: bool | Path = False,
    on_round: Callable[[RoundReport], object] | None = None,
    progress: bool = True,
) -> Outcome[P]:
    """Trains on a cluster: in each round `fit(params, partition, ctx)` runs once for every partition, where the
    partition is.

    `params` is an array, or dicts, lists, tuples and dataclasses of arrays and numbers, of `float32` or `float64`;
    `fit` gets a copy of its own. `partitions` are futures, best of tasks that load them: each stays with the worker
    that made it, and a lost one is loaded again; or values, which are sent once.

    A round needs updates of all partitions, or of a `quorum` of them; after `deadline` seconds it goes on without the
    late ones. `retries` is how often a step may be tried again after it raised. `evaluate(params)` measures the
    parameters after each round in this process; `on_round` is told of each. `early_stop` watches what was measured.
    With `checkpoints` the run is saved, and with `resume` it goes on where the newest one stands, as if it had never
    stopped. `progress` shows on standard error how it goes.

    The model depends on nothing but `params`, `partitions`, `strategy` and `seed`, as long as `fit` is random by `ctx`
    only and nobody is absent: not on the number of workers, nor on who dies meanwhile.
    """
    structure = Structure(params)
    step = client._functions.of(_step_of(fit, structure))
    held = [partition if isinstance(partition, Future) else client.put(partition) for partition in partitions]
    options = _native.Options(retries=retries) if retries else None

    def start(model: Sequence[_native.Payload], assignments: Sequence[Assignment]) -> list[_native.Handle]:
        at_hand = client.put(sent(model))
        return [_submitted(client, step, at_hand, held, assignment, options) for assignment in assignments]

    training = Training.of(
        structure,
        params,
        len(held),
        rounds=rounds,
        strategy=strategy,
        seed=seed,
        evaluate=evaluate,
        quorum=quorum,
        deadline=deadline,
        early_stop=early_stop,
        checkpoints=checkpoints,
        resume=resume,
        on_round=on_round,
        progress=progress,
    )
    return _outcome(structure, _native.train_by_tasks(training, start))


def serial(
    fit: Callable[[P, D, Context], Update],
    *,
    params: P,
    partitions: Sequence[D],
    rounds: int = 1,
    strategy: Strategy | None = None,
    seed: int = 0,
    evaluate: Callable[[P], dict[str, float]] | None = None,
    quorum: int | None = None,
    early_stop: EarlyStop | Iterable[EarlyStop] = (),
    checkpoints: Checkpoints | Path | None = None,
    resume: bool | Path = False,
    on_round: Callable[[RoundReport], object] | None = None,
    progress: bool = True,
) -> Outcome[P]:
    """The rounds of `run` in this process, without a cluster, and the same model bit for bit: to compare with, or to
    debug.

    Products of large matrices may be rounded otherwise by more threads: workers use one for each of their slots, as
    this process does with `OPENBLAS_NUM_THREADS=1` in its environment.
    """
    structure = Structure(params)
    inner = fit.function if isinstance(fit, Task) else fit

    def step(model: Sequence[_native.Payload], assignment: Assignment) -> PackedUpdate:
        return train_partition(inner, structure, model, partitions[assignment[1]], assignment)

    training = Training.of(
        structure,
        params,
        len(partitions),
        rounds=rounds,
        strategy=strategy,
        seed=seed,
        evaluate=evaluate,
        quorum=quorum,
        deadline=None,
        early_stop=early_stop,
        checkpoints=checkpoints,
        resume=resume,
        on_round=on_round,
        progress=progress,
    )
    return _outcome(structure, _native.train_here(training, step))


def _step_of(fit: Callable[..., Any], structure: Structure[Any]) -> Callable[..., PackedUpdate]:
    """The task of a training: sent once, and called like the user's own function."""
    inner: Fit = fit.function if isinstance(fit, Task) else fit

    def step(model: Sequence[Any], partition: Any, assignment: Assignment) -> PackedUpdate:
        return train_partition(inner, structure, model, partition, assignment)

    # Stories and errors name the user's function, or the class of what is called like one.
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    step.__module__, step.__name__, step.__qualname__ = named.__module__, named.__name__, named.__qualname__
    return step


def _submitted(
    client: Client,
    step: Function[PackedUpdate],
    model: Future[list[Any]],
    partitions: Sequence[Future[Any]],
    assignment: Assignment,
    options: _native.Options | None,
) -> _native.Handle:
    round, partition, seed, settings, control = assignment
    told = (round, partition, seed, settings, sent(control))
    return client._submit(step, (model, partitions[partition], told), {}, options, None, False)._handle


def _outcome(structure: Structure[P], ended: _native._Ended) -> Outcome[P]:
    leaves, digest, history, ending, metric, resumed_from = ended
    params = structure.build(structure.copies(leaves))
    return Outcome(params, digest, [RoundReport(*report) for report in history], ending, metric, resumed_from)
