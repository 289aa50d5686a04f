"""What can go wrong, as exceptions. A task's own exception is raised as it is; these are for everything else."""

from __future__ import annotations

import concurrent.futures


class QuiltworkError(Exception):
    """Something did not work. `hint` says what to do, and `retryable` whether the same may succeed another time."""

    hint: str | None = None
    retryable: bool = False


class TaskError(QuiltworkError):
    """A task, or one of its inputs, failed in the cluster, and not by an exception that could be brought here."""


class RemoteError(TaskError):
    """A task raised an exception that cannot be pickled, or is no `Exception`: its text, and `type_name`."""

    type_name: str = ""


class TaskCancelled(TaskError, concurrent.futures.CancelledError):
    """The task was cancelled, or nobody wanted its result any more."""


class Interrupted(BaseException):
    """Raised within a function whose task was cancelled or timed out while it ran, so that it ends soon."""


class Poisoned(TaskError):
    """The task's attempts kept killing workers, by crashing or by using all memory."""


class OutOfMemory(TaskError, MemoryError):
    """The task's attempts kept using more memory than their workers may."""


class TimedOut(TaskError, TimeoutError):
    """The task ran longer than its `timeout`."""


class ValueLost(TaskError):
    """A value the task needed is gone and cannot be computed again."""


class StoreFull(TaskError):
    """The workers have no room for the result."""


class NoSuchResources(TaskError):
    """No worker has what the task asks for."""


class ActorDiedError(TaskError):
    """The actor that was called has ended for good: it was killed, or its process was lost once too often."""


class ActorLostError(TaskError):
    """The actor's process was lost while it had the call, which may or may not have had its effect."""


class ActorFullError(TaskError):
    """The actor has as many calls waiting as its `max_pending` allows. The call has not run."""


class InitializerFailed(TaskError, concurrent.futures.BrokenExecutor):
    """The `initializer` of an executor raised: the executor takes no more calls."""


class ConnectionLost(QuiltworkError, ConnectionError):
    """The cluster cannot be reached, or not any more."""


class ClusterError(QuiltworkError, RuntimeError):
    """A local cluster could not be started or ended."""


class TrainingError(QuiltworkError):
    """A training could not go on. If too few partitions trained, its cause is what the first of the others raised."""


class UsageError(QuiltworkError, ValueError):
    """A call makes no sense as it is made."""


class CannotTravel(QuiltworkError, TypeError):
    """An argument, a result or a function cannot be pickled."""
