"""The options of a task, and of an actor, as users give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from quiltwork import _native
from quiltwork._cluster import Worker, WorkerName, numbers_of
from quiltwork.errors import UsageError


class Chosen(NamedTuple):
    """The options of one call: those of the engine, and those of the client."""

    native: _native.Options | None
    key: str | None
    pure: bool
    outputs: int | None


def chosen(
    known_workers: Callable[[], list[Worker]],
    *,
    key: str | None = None,
    retries: int = 0,
    priority: int = 0,
    resources: Mapping[str, int] | None = None,
    memory: int | str | None = None,
    timeout: float | None = None,
    workers: WorkerName | Iterable[WorkerName] | None = None,
    outputs: int | None = None,
    pure: bool = False,
    prefetch: int | None = None,
) -> Chosen:
    """Checks options; what they mean is said at `Client.submit`."""
    check_outputs(outputs)
    if prefetch is not None:
        error = UsageError("there is nothing to make ahead of its reader, as `prefetch` asks for")
        error.hint = "leave it out: it is for generator functions, and not for those with `outputs`"
        raise error
    is_plain = not (retries or priority or resources) and memory is None and timeout is None and workers is None
    native = None
    if not is_plain:
        native = _native.Options(
            retries=retries,
            priority=priority,
            memory=memory,
            resources=list((resources or {}).items()),
            workers=[] if workers is None else numbers_of(workers, known_workers),
            timeout=timeout,
        )
    return Chosen(native, key, pure, outputs)


def check_outputs(outputs: int | None) -> None:
    """Refuses a number of results that nothing can make."""
    if outputs is not None and outputs < 1:
        raise ValueError(f"a task makes at least one result, not {outputs}")


def of_actor(
    known_workers: Callable[[], list[Worker]],
    priority: int,
    resources: Mapping[str, int] | None,
    memory: int | str | None,
    workers: WorkerName | Iterable[WorkerName] | None,
) -> _native.Options:
    """The options of the task that makes an actor, beside those that only actors have."""
    return _native.Options(
        priority=priority,
        memory=memory,
        resources=list((resources or {}).items()),
        workers=[] if workers is None else numbers_of(workers, known_workers),
    )
