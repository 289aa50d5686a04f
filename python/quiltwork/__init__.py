"""Quiltwork: a distributed task runtime. Split the work into patches, let many processes sew them, get one whole back.

    import quiltwork as qw

    with qw.Client() as client:  # a cluster of one process per processor
        squares = client.map(lambda x: x * x, range(10))
        print(client.submit(sum, squares).result())  # 285

Importing it starts nothing. See `Client`, `LocalCluster`, `Future`, `task`, `actor`, `rust`, `as_completed`, `wait`,
`progress`, and `quiltwork.errors`; within a task `current_client` and `current_task`. Models are trained in partitions
by `quiltwork.train`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quiltwork import train as train
    from quiltwork._actor import ActorClass, ActorHandle, ActorMethod, actor
    from quiltwork._client import Client, current_client, get_actor
    from quiltwork._cluster import LocalCluster, Worker
    from quiltwork._context import current_task
    from quiltwork._executor import Executor
    from quiltwork._future import AsCompleted, Future, as_completed, wait
    from quiltwork._native import TaskContext, __version__, copied_bytes
    from quiltwork._output import Line
    from quiltwork._progress import progress
    from quiltwork._rust import RustTask, rust
    from quiltwork._stream import Stream
    from quiltwork._task import Task, task

__all__ = [
    "ActorClass",
    "ActorHandle",
    "ActorMethod",
    "AsCompleted",
    "Client",
    "Executor",
    "Future",
    "Line",
    "LocalCluster",
    "RustTask",
    "Stream",
    "Task",
    "TaskContext",
    "Worker",
    "__version__",
    "actor",
    "as_completed",
    "copied_bytes",
    "current_client",
    "current_task",
    "get_actor",
    "progress",
    "rust",
    "task",
    "train",
    "wait",
]

# Where each name is; read when it is first used, so that the import is quick.
_PLACES = {
    "ActorClass": "_actor",
    "ActorHandle": "_actor",
    "ActorMethod": "_actor",
    "AsCompleted": "_future",
    "Client": "_client",
    "Executor": "_executor",
    "Future": "_future",
    "Line": "_output",
    "LocalCluster": "_cluster",
    "RustTask": "_rust",
    "Stream": "_stream",
    "Task": "_task",
    "TaskContext": "_native",
    "Worker": "_cluster",
    "__version__": "_native",
    "actor": "_actor",
    "as_completed": "_future",
    "copied_bytes": "_native",
    "current_client": "_client",
    "current_task": "_context",
    "get_actor": "_client",
    "progress": "_progress",
    "rust": "_rust",
    "task": "_task",
    "wait": "_future",
}

# Modules that need more than this package needs, imported when they are first used.
_MODULES = {"train"}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    found = getattr(importlib.import_module(f"{__name__}.{place}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
