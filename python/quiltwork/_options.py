"""The options of a task, as users give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from quiltwork import _native
from quiltwork._cluster import Worker, WorkerName, numbers_of


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
) -> Chosen:
    """Checks options; what they mean is said at `Client.submit`."""
    if outputs is not None and outputs < 1:
        raise ValueError(f"a task makes at least one result, not {outputs}")
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
