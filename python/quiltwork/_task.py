"""`@task`: a function that can be called here and submitted to a cluster, with its types kept."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Never, ParamSpec, TypeVar, overload

from quiltwork._functions import is_generator_function

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

        client = current_client()
        if is_generator_function(self.function):
            return client._stream(self.function, args, kwargs, self._options)
        return client._submit_task(self, self._options, args, kwargs)

    def options(self, **options: Any) -> Task[P, R]:
        """The same function with other options, which are those of `Client.submit`."""
        return Task(self.function, {**self._options, **options})

    def __repr__(self) -> str:
        return f"<Task {self.function.__module__}:{self.function.__qualname__}>"


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(**options: Any) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(
    function: Callable[P, R] | None = None, /, **options: Any
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Makes a function a task; as `@task`, or with options of `Client.submit` as `@task(retries=2)`."""
    if function is None:
        return lambda function: Task(function, options)
    return Task(function, options)
