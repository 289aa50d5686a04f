"""`@task`: a function that can be called here and submitted to a cluster, with its types kept."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Never, ParamSpec, TypeVar, overload

if TYPE_CHECKING:
    from quiltwork._future import Future
    from quiltwork._stream import Stream

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Task(Generic[P, R]):
    """A function that is called as ever, and submitted by `remote`."""

    def __init__(self, function: Callable[P, R], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self._options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    # Type checkers know nothing of the result of a function without annotations: it is taken for no generator.
    @overload
    def remote(self: Task[P, Never], *args: Any, **kwargs: Any) -> Future[Any]: ...
    @overload
    def remote(self: Task[P, Iterator[T]], *args: Any, **kwargs: Any) -> Stream[T]: ...
    @overload
    def remote(self: Task[P, AsyncIterator[T]], *args: Any, **kwargs: Any) -> Stream[T]: ...
    @overload
    def remote(self, *args: Any, **kwargs: Any) -> Future[R]: ...
    def remote(self, *args: Any, **kwargs: Any) -> Future[Any] | Stream[Any]:
        """Submits a call to the current client. Futures stand for their results. A generator function gives a `Stream`
        of what it yields."""
        from quiltwork._client import current_client

        submitted: Future[Any] | Stream[Any] = current_client()._remote(self, self._options, args, kwargs)
        return submitted

    @overload
    def options(self, *, outputs: int, **options: Any) -> TaskOfSeveral[P, R]: ...
    @overload
    def options(self, **options: Any) -> Task[P, R]: ...
    def options(self, **options: Any) -> Task[P, R]:
        """The same function with other options, which are those of `Client.submit`."""
        return _of(self.function, {**self._options, **options})

    def __repr__(self) -> str:
        return f"<Task {self.function.__module__}:{self.function.__qualname__}>"


class TaskOfSeveral(Task[P, R]):
    """A task that makes several results."""

    def remote(self, *args: Any, **kwargs: Any) -> tuple[Future[Any], ...]:  # type: ignore[override]
        """Submits a call to the current client; a future for each result."""
        from quiltwork._client import current_client

        futures: tuple[Future[Any], ...] = current_client()._remote(self, self._options, args, kwargs)
        return futures


def _of(function: Callable[P, R], options: dict[str, Any]) -> Task[P, R]:
    kind = Task if options.get("outputs") is None else TaskOfSeveral
    return kind(function, options)


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(*, outputs: int, **options: Any) -> Callable[[Callable[P, R]], TaskOfSeveral[P, R]]: ...
@overload
def task(**options: Any) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(
    function: Callable[P, R] | None = None, /, **options: Any
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Makes a function a task; as `@task`, or with options of `Client.submit` as `@task(retries=2)`."""
    if function is None:
        return lambda function: _of(function, options)
    return Task(function, options)
