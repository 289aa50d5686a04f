"""A client as a `concurrent.futures.Executor`."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from quiltwork._client import Client
    from quiltwork._future import Future

P = ParamSpec("P")
T = TypeVar("T")


class _Promise(concurrent.futures.Future[T]):
    """A future of the standard library's that stops its task when it is cancelled."""

    task: Future[T] | None = None

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if cancelled and self.task is not None:
            self.task.cancel()
        return cancelled

    def settle(self, task: Future[T]) -> None:
        """Takes over how the task has ended."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            result = task.result()
        except BaseException as error:
            self._fail(error)
        else:
            self.set_result(result)

    def _fail(self, error: BaseException) -> None:
        self.set_exception(error)


class Executor(concurrent.futures.Executor):
    """Runs calls as tasks of a cluster. Its end leaves the client open."""

    def __init__(self, client: Client, options: dict[str, Any]) -> None:
        self._client = client
        self._options = options
        self._lock = threading.Lock()
        self._pending: set[_Promise[Any]] = set()
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[T]:
        """Runs `fn(*args, **kwargs)` on a worker."""
        promise: _Promise[T] = _Promise()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._pending.add(promise)
        try:
            promise.task = self._client._submit_task(fn, self._options, args, kwargs)
        except BaseException:
            self._forget(promise)
            raise
        promise.add_done_callback(self._forget)
        promise.task.add_done_callback(promise.settle)
        return promise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls, and waits for those it has."""
        with self._lock:
            self._closed = True
            pending = list(self._pending)
        if cancel_futures:
            for promise in pending:
                promise.cancel()
        if wait:
            concurrent.futures.wait(pending)

    def _forget(self, promise: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._pending.discard(promise)
