"""What code that runs in a task, or in a call of an actor, can learn about it."""

from __future__ import annotations

from contextvars import ContextVar

from quiltwork import _native

# Of the calls that share the thread of an event loop. A thread that runs one call at a time is known to the engine.
running: ContextVar[_native.TaskContext | None] = ContextVar("running", default=None)


def current_task() -> _native.TaskContext | None:
    """The context of the task, or the actor's call, that this code runs in; none elsewhere."""
    return running.get() or _native.current_task()
