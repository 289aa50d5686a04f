"""A client as a `concurrent.futures.Executor`."""

from __future__ import annotations

import atexit
import concurrent.futures
import functools
import os
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, TypeVar

from quiltwork import _native
from quiltwork._initialized import Setup, call_after
from quiltwork.errors import InitializerFailed

if TYPE_CHECKING:
    from quiltwork._client import Client
    from quiltwork._future import Future

P = ParamSpec("P")
T = TypeVar("T")

_open: weakref.WeakSet[Executor] = weakref.WeakSet()


class _Promise(concurrent.futures.Future[T]):
    """A future of the standard library's that stops its task when it is cancelled."""

    task: Future[T] | None = None

    def result(self, timeout: float | None = None) -> T:
        # Not a wait of the engine's: within a task it has to be told.
        with _native.lend():
            return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        with _native.lend():
            return super().exception(timeout)

    def cancel(self) -> bool:
        cancelled, task = super().cancel(), self.task
        if cancelled and task is not None:
            task.cancel()
        return cancelled

    def sent(self, task: Future[T]) -> None:
        """Takes the task that shall keep the promise."""
        self.task = task
        # Somebody else may have given it up while it was on its way.
        if self.cancelled():
            task.cancel()

    def settle(self, task: Future[T]) -> None:
        """Takes over how the task has ended."""
        # The cluster need not keep the value any more.
        self.task = None
        if not self.running() and not self.set_running_or_notify_cancel():
            return
        try:
            result = task.result()
        except BaseException as error:
            # The way through here tells nobody anything, and would tie the exception to its own future.
            self.set_exception(error.with_traceback(None))
        else:
            self.set_result(result)


class _Call(NamedTuple, Generic[T]):
    """What was submitted."""

    promise: _Promise[T]
    function: Callable[..., T]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Executor(concurrent.futures.Executor):
    """Runs calls as tasks of a cluster, with the habits of `ProcessPoolExecutor`. Its end leaves the client open.

    `max_workers` is how many of its calls may be with the cluster at a time: others wait here, and as with the
    standard library's executors a call can be cancelled only as long as it waits. Without it all calls are sent at
    once, which is quicker for short ones, and a cancelled one is stopped even where it runs. `initializer(*initargs)`
    is called in each worker process before the first of its calls there; if it raises, this executor is broken.

    What was submitted comes to its end before the program does.
    """

    def __init__(
        self,
        client: Client,
        max_workers: int | None,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        options: dict[str, Any],
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._client = client
        self._max_workers = max_workers
        self._options = options
        self._setup: Future[Setup] | None = None
        if initializer is not None:
            self._setup = client.put(Setup(uuid.uuid4().hex, initializer, initargs))
        self._lock = threading.Lock()
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._waiting: deque[_Call[Any]] = deque()
        self._at_work = 0
        self._broken: InitializerFailed | None = None
        self._closed = False
        _open.add(self)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[T]:
        """Runs `fn(*args, **kwargs)` on a worker. What cannot travel is raised by the future."""
        call = _Call(_Promise[T](), fn, args, kwargs)
        with self._lock:
            self._refuse_if_over()
            self._pending.add(call.promise)
            waits = self._max_workers is not None and self._at_work >= self._max_workers
            if waits:
                self._waiting.append(call)
            else:
                self._at_work += 1
        call.promise.add_done_callback(self._forget)
        if not waits and not self._send(call):
            self._begin_another()
        return call.promise

    def map(
        self, fn: Callable[..., T], /, *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """Like the built-in `map`, on the workers; `chunksize` calls go as one task, which pays off for short ones."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)
        chunks = super().map(functools.partial(_call_each, fn), _chunks(zip(*iterables), chunksize), timeout=timeout)
        return chain.from_iterable(chunks)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls, and waits for those it has; with `cancel_futures` it cancels what can be cancelled."""
        with self._lock:
            self._closed = True
            pending = list(self._pending)
            given_up = list(self._waiting) if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
        for call in given_up:
            call.promise.cancel()
            call.promise.set_running_or_notify_cancel()
        if cancel_futures:
            for promise in pending:
                promise.cancel()
        if wait:
            with _native.lend():
                concurrent.futures.wait(pending)

    def _refuse_if_over(self) -> None:
        if self._broken is not None:
            raise InitializerFailed(*self._broken.args)
        if self._closed or self._client._session.closed:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def _send(self, call: _Call[Any]) -> bool:
        """Submits the call's task; whether there is something to wait for now."""
        promise, function, args, kwargs = call
        if self._max_workers is not None and not promise.set_running_or_notify_cancel():
            return False
        try:
            if self._setup is None:
                task = self._client._submit_task(function, self._options, args, kwargs)
            else:
                args = (self._setup, function, args, kwargs)
                task = self._client._submit_task(call_after, self._options, args, {})
        except Exception as error:
            promise.set_exception(error.with_traceback(None))
            return False
        promise.sent(task)
        task.add_done_callback(functools.partial(self._on_ended, promise))
        return True

    def _on_ended(self, promise: _Promise[Any], task: Future[Any]) -> None:
        if self._setup is not None:
            error = task._handle.failure()
            # Before its future says so: whoever hears it there must not get another call in.
            if isinstance(error, InitializerFailed):
                self._break(error)
        self._begin_another()
        promise.settle(task)

    def _begin_another(self) -> None:
        """Sends the next call that waits, in the place of one that has ended."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._at_work -= 1
                    return
                call = self._waiting.popleft()
            if self._send(call):
                return

    def _break(self, error: InitializerFailed) -> None:
        with self._lock:
            first, self._broken = self._broken is None, error
            waiting = list(self._waiting)
            self._waiting.clear()
        if first:
            import logging

            logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=error)
        for call in waiting:
            if call.promise.set_running_or_notify_cancel():
                call.promise.set_exception(InitializerFailed(*error.args))

    def _forget(self, promise: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._pending.discard(promise)


def _chunks(items: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(islice(items, size)):
        yield chunk


def _call_each(function: Callable[..., T], calls: list[tuple[Any, ...]]) -> list[T]:
    """In a worker: a chunk of a `map`."""
    return [function(*args) for args in calls]


# What a forked process has of them will never end.
os.register_at_fork(after_in_child=_open.clear)


# Registered after the client's own end, and therefore called before it.
@atexit.register
def _end_all() -> None:
    for executor in list(_open):
        executor.shutdown()
