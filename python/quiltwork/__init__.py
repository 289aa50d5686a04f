"""Quiltwork: a distributed task runtime. Split the work into patches, let many processes sew them, get one whole back.

    import quiltwork as qw

    with qw.Client() as client:  # a cluster of one process per processor
        squares = client.map(lambda x: x * x, range(10))
        print(client.submit(sum, squares).result())  # 285

Importing it starts nothing. See `Client`, `Future`, `task`, `actor`, `as_completed`, `wait`, and `quiltwork.errors`;
within a task `current_client` and `current_task`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quiltwork._actor import ActorClass, ActorHandle, ActorMethod, actor
    from quiltwork._client import Client, current_client, get_actor
    from quiltwork._context import current_task
    from quiltwork._executor import Executor
    from quiltwork._future import Future, as_completed, wait
    from quiltwork._native import TaskContext, __version__, copied_bytes
    from quiltwork._stream import Stream
    from quiltwork._task import Task, task

__all__ = [
    "ActorClass",
    "ActorHandle",
    "ActorMethod",
    "Client",
    "Executor",
    "Future",
    "Stream",
    "Task",
    "TaskContext",
    "__version__",
    "actor",
    "as_completed",
    "copied_bytes",
    "current_client",
    "current_task",
    "get_actor",
    "task",
    "wait",
]

# Where each name is; read when it is first used, so that the import is quick.
_PLACES = {
    "ActorClass": "_actor",
    "ActorHandle": "_actor",
    "ActorMethod": "_actor",
    "Client": "_client",
    "Executor": "_executor",
    "Future": "_future",
    "Stream": "_stream",
    "Task": "_task",
    "TaskContext": "_native",
    "__version__": "_native",
    "actor": "_actor",
    "as_completed": "_future",
    "copied_bytes": "_native",
    "current_client": "_client",
    "current_task": "_context",
    "get_actor": "_client",
    "task": "_task",
    "wait": "_future",
}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    import importlib

    found = getattr(importlib.import_module(f"{__name__}.{place}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
