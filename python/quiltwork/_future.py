"""Futures: live references to the results of tasks, and waiting for many of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, overload

from quiltwork import _native
from quiltwork._pickled import load, pass_future

if TYPE_CHECKING:
    import asyncio

    from quiltwork._client import Client
    from quiltwork._native import Handle
    from quiltwork._recipe import Recipe

T = TypeVar("T")


class Future(Generic[T]):
    """A live reference to the result of a task.

    The cluster keeps the result until the last reference is dropped. A future can be an argument of further tasks, by
    itself or within lists, dicts, tuples and objects: they get its result, which does not travel through this process.
    It can be awaited.
    """

    __slots__ = ("__weakref__", "_client", "_handle", "_plain", "_recipe", "name")

    def __init__(
        self, client: Client, handle: Handle, name: str, recipe: Recipe | None = None, plain: bool = False
    ) -> None:
        self._client = client
        self._handle = handle
        self._recipe = recipe
        # Whether functions of every language can read the result.
        self._plain = plain
        self.name = name

    @property
    def key(self) -> str:
        """The task's name and its number in the cluster."""
        return f"{self.name}-{self._handle.id}"

    def result(self, timeout: float | None = None) -> T:
        """Waits for the result, or raises what the task raised; `TimeoutError` after so many seconds.

        Each call makes the object anew, but for large arrays, which are read-only views of shared memory.
        """
        try:
            payload = interruptible([self], lambda: self._handle.fetch(timeout))
        except Exception as error:
            self._explain(error)
            # The way through this package is of no interest.
            error.__traceback__ = None
            raise
        if payload is None:
            raise TimeoutError(
                f"`{self.name}` had no result within {timeout} s\n  hint: it goes on: wait again, or cancel it"
            )
        # It will not have to be submitted again.
        self._recipe = None
        result: T = load(payload)
        return result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits for the end of the task, and returns what it raised, if it did."""
        if not interruptible([self], lambda: self._handle.wait(timeout)):
            raise TimeoutError(
                f"`{self.name}` has not ended within {timeout} s\n  hint: it goes on: wait again, or cancel it"
            )
        return self._failure()

    def traceback(self, timeout: float | None = None) -> str | None:
        """The traceback of what the task raised, as text, from the task's function on."""
        cause = getattr(self.exception(timeout), "__cause__", None)
        return getattr(cause, "text", None)

    def done(self) -> bool:
        """Whether the task has ended, well or not."""
        return self._handle.done()

    def progress(self) -> tuple[int, int] | None:
        """How far the task last said it is (`current_task().progress`): done and total."""
        return self._handle.progress()

    def cancelled(self) -> bool:
        """Whether the task was cancelled."""
        from quiltwork.errors import TaskCancelled

        return self._handle.done() and isinstance(self._handle.failure(), TaskCancelled)

    def cancel(self) -> bool:
        """Asks the cluster to stop the task and all that needs its result. Whether it was asked before the end.

        A function that runs already is ended by `errors.Interrupted` when it next runs code of Python's: what it has
        called of another language, or `time.sleep`, comes to its end first. A coroutine of an actor is cancelled.
        """
        if self._handle.done():
            return False
        self._handle.cancel()
        return True

    def add_done_callback(self, callback: Callable[[Future[T]], object]) -> None:
        """Has `callback(self)` called when the result is here or the task has failed, on a thread of the client's."""
        self._client._notify(self, callback)

    def __await__(self) -> Generator[Any, None, T]:
        import asyncio

        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()

        def arrived() -> None:
            if not waiting.done():
                waiting.set_result(None)

        def wake(_: Future[T]) -> None:
            # If the loop was closed meanwhile, nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(arrived)

        self.add_done_callback(wake)
        with _native.lend():
            yield from waiting
        return self.result()

    def _failure(self) -> BaseException | None:
        failure = self._handle.failure()
        if failure is not None:
            self._explain(failure)
        return failure

    def _explain(self, error: BaseException) -> None:
        """Says in a note which argument came from a task that failed, if that is why this one did."""
        from quiltwork._raised import explain

        recipe = self._recipe
        explain(error, lambda needed: None if recipe is None else recipe.parameter_of(needed))

    def __reduce__(self) -> Any:
        return pass_future(self)

    def __dask_tokenize__(self) -> tuple[str, int, str]:
        # What stands for the value in Dask's names of things that are made of it.
        return "quiltwork.Future", id(self._client), self.key

    @property
    def status(self) -> Literal["pending", "finished", "error", "cancelled"]:
        """Where the task stands, in Dask's words."""
        from quiltwork.errors import TaskCancelled

        if not self._handle.done():
            return "pending"
        failure = self._handle.failure()
        if failure is None:
            return "finished"
        return "cancelled" if isinstance(failure, TaskCancelled) else "error"

    def __repr__(self) -> str:
        return f"<Future {self.key}: {self._state()}>"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<b>Future</b> {escape(self.name)} <code>{self._handle.id}</code>: {escape(self._state())}"

    def _state(self) -> str:
        failure = self._handle.failure() if self._handle.done() else None
        return self.status if failure is None else f"failed: {type(failure).__name__}"


R = TypeVar("R")


def interruptible(futures: Iterable[Future[Any]], wait: Callable[[], R]) -> R:
    """Waits; Ctrl-C stops what is waited for."""
    try:
        return wait()
    except KeyboardInterrupt:
        for future in futures:
            future._handle.cancel()
        raise


class _Left:
    """How much is left of a time limit."""

    def __init__(self, timeout: float | None) -> None:
        self._end = None if timeout is None else time.monotonic() + timeout

    def seconds(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())


I = TypeVar("I")  # noqa: E741


class AsCompleted(Generic[I]):
    """Futures in the order in which their tasks end; what `as_completed` returns. Used by `for` or by `async for`."""

    def __init__(
        self, futures: Iterable[Future[Any]], timeout: float | None, item_of: Callable[[Future[Any]], I]
    ) -> None:
        self._futures = list(futures)
        self._timeout = timeout
        self._left = _Left(timeout)
        self._item_of = item_of
        self._completed: Iterator[Future[Any]] | None = None
        self._arrivals: asyncio.Queue[Future[Any]] | None = None
        self._told = 0

    def __iter__(self) -> AsCompleted[I]:
        return self

    def __next__(self) -> I:
        if self._completed is None:
            self._completed = _completed(self._futures, self._timeout)
        return self._item_of(next(self._completed))

    def __aiter__(self) -> AsCompleted[I]:
        return self

    async def __anext__(self) -> I:
        import asyncio

        if self._told == len(self._futures):
            raise StopAsyncIteration
        if self._arrivals is None:
            self._arrivals = self._listen()
        try:
            with _native.lend():
                future = await asyncio.wait_for(self._arrivals.get(), self._left.seconds())
        except TimeoutError:
            raise _late(len(self._futures) - self._told, len(self._futures), self._timeout) from None
        self._told += 1
        return self._item_of(future)

    def _listen(self) -> asyncio.Queue[Future[Any]]:
        import asyncio

        loop, arrivals = asyncio.get_running_loop(), asyncio.Queue[Future[Any]]()

        def put(future: Future[Any]) -> None:
            # If the loop was closed meanwhile, nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(arrivals.put_nowait, future)

        for future in self._futures:
            future.add_done_callback(put)
        return arrivals


@overload
def as_completed(
    futures: Iterable[Future[T]], *, timeout: float | None = None, with_results: Literal[False] = False
) -> AsCompleted[Future[T]]: ...
@overload
def as_completed(
    futures: Iterable[Future[T]], *, timeout: float | None = None, with_results: Literal[True]
) -> AsCompleted[tuple[Future[T], T]]: ...
def as_completed(
    futures: Iterable[Future[T]], *, timeout: float | None = None, with_results: bool = False
) -> AsCompleted[Future[T]] | AsCompleted[tuple[Future[T], T]]:
    """Hands out futures as their tasks end, well or not; with `with_results` as pairs, raising what tasks raised.

    `TimeoutError` if all of it takes more than so many seconds. In an event loop, use `async for`.
    """
    if with_results:
        return AsCompleted(futures, timeout, lambda future: (future, future.result()))
    return AsCompleted(futures, timeout, lambda future: future)


def _late(late: int, of: int, timeout: float | None) -> TimeoutError:
    return TimeoutError(f"{late} of {of} tasks have not ended within {timeout} s")


def _completed(futures: list[Future[T]], timeout: float | None) -> Iterator[Future[T]]:
    completed = _native.Completed([future._handle for future in futures])
    left = _Left(timeout)
    for told in range(len(futures)):
        place = interruptible(futures, lambda: completed.next(left.seconds()))
        if place is None:
            raise _late(len(futures) - told, len(futures), timeout)
        yield futures[place]


class DoneAndNotDone(NamedTuple):
    """What `wait` returns."""

    done: set[Future[Any]]
    not_done: set[Future[Any]]


def wait(
    futures: Iterable[Future[Any]],
    timeout: float | None = None,
    return_when: Literal["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"] = "ALL_COMPLETED",
) -> DoneAndNotDone:
    """Waits for the ends of tasks, and says which have ended; as `concurrent.futures.wait` does."""
    if return_when not in ("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"):
        raise ValueError(f"return_when is ALL_COMPLETED, FIRST_COMPLETED or FIRST_EXCEPTION, not {return_when!r}")
    waited = list(dict.fromkeys(futures))
    done: set[Future[Any]] = set()
    try:
        for future in _completed(waited, timeout):
            done.add(future)
            failed = return_when == "FIRST_EXCEPTION" and future._handle.failure() is not None
            if failed or return_when == "FIRST_COMPLETED":
                break
    except TimeoutError:
        pass
    # Others may have ended in the same moment.
    done.update(future for future in waited if future.done())
    return DoneAndNotDone(done, set(waited) - done)
