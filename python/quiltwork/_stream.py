"""Streams: what a generator function yields in the cluster, one item after the other, while it runs."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from quiltwork import _native
from quiltwork._actor import ActorHandle, Kind
from quiltwork._calls import Function
from quiltwork._cluster import WorkerName
from quiltwork._options import of_actor
from quiltwork._yielding import ENDED, PICKLED_END, Yielding
from quiltwork.errors import UsageError

if TYPE_CHECKING:
    from quiltwork._client import Client
    from quiltwork._future import Future

T = TypeVar("T")

# How many items are made ahead unless told otherwise.
_AHEAD = 16


class Stream(Generic[T]):
    """What a generator function yields in the cluster: an iterator over its items, and an asynchronous one.

    The generator lives in a worker as an actor does, beside the slots for tasks, and runs at most `prefetch` items
    ahead of whoever reads them. What it raises is raised in the place of the next item and ends the stream. When the
    stream is closed or dropped, the generator is closed: its `finally` runs.

    Its items are values, because that is what a loop over a generator is about; `futures()` hands out futures instead,
    for items that are to go on to tasks without coming here. A stream has one reader at a time.
    """

    def __init__(self, name: str, generator: ActorHandle[Yielding], retries: int, prefetch: int) -> None:
        self.name = name
        self._generator: ActorHandle[Yielding] | None = generator
        self._retries = retries
        self._prefetch = prefetch
        self._asked: deque[Future[T]] = deque()
        self._count = 0
        self._ask_ahead(generator, prefetch)

    def __iter__(self) -> Stream[T]:
        return self

    def __next__(self) -> T:
        future = self._first()
        if future is None:
            raise StopIteration
        try:
            item = future.result()
        except BaseException:
            # Ctrl-C has cancelled the call; and behind what the generator raised nothing comes.
            self.close()
            raise
        if not self._is_item(item):
            raise StopIteration
        return item

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        future = self._first()
        if future is None:
            raise StopAsyncIteration
        try:
            item = await future
        except Exception:
            self.close()
            raise
        if not self._is_item(item):
            raise StopAsyncIteration
        return item

    def futures(self) -> Iterator[Future[T]]:
        """The items as futures, each when it has been made: they can be given to tasks, and large ones stay where they
        are. What the generator raised is the failure of the last one."""
        while (future := self._first()) is not None:
            if future.exception() is not None:
                self.close()
            else:
                # The mark of the end is small, and so is here; an item that is not stays in the cluster.
                payload = future._handle.here()
                is_end = payload is not None and bytes(payload.open()[0]) == PICKLED_END
                if not self._is_item(ENDED if is_end else future):
                    return
            yield future

    def close(self) -> None:
        """Ends the generator, as `close` of a generator does; items that were made ahead are dropped. Never waits."""
        generator, self._generator = self._generator, None
        if generator is not None:
            self._asked.clear()
            # That also ends the call that runs, if one does.
            generator._handle.cancel()

    async def aclose(self) -> None:
        """The same, for `contextlib.aclosing`."""
        self.close()

    def __enter__(self) -> Stream[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # A forked process has only the picture of a stream. Kept here, because the last streams go when modules have lost
    # their names already.
    _of_a_parent = contextlib.suppress(AttributeError, RuntimeError)

    def __del__(self) -> None:
        with self._of_a_parent:
            self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a stream cannot travel\n  hint: give its items, or the futures of `futures()`")

    def __repr__(self) -> str:
        state = "closed" if self._generator is None else f"at item {self._count - len(self._asked)}"
        return f"<Stream {self.name}: {state}>"

    def _first(self) -> Future[T] | None:
        """The future of the next item; none if the stream was closed."""
        if self._generator is None:
            return None
        self._ask_ahead(self._generator, 1)
        return self._asked[0]

    def _is_item(self, item: object) -> bool:
        """Goes on behind the first of those asked for, which is `item`; or ends, if that is behind the last one."""
        if self._generator is None or item is ENDED:
            self.close()
            return False
        self._asked.popleft()
        self._ask_ahead(self._generator, self._prefetch)
        return True

    def _ask_ahead(self, generator: ActorHandle[Yielding], items: int) -> None:
        while len(self._asked) < items:
            # A call that was lost with its worker is made again, by the generator that was begun again there.
            call = generator.item.options(retries=self._retries)
            self._asked.append(call.remote(self._count, self._retries))
            self._count += 1


def begin(
    client: Client,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    key: str | None = None,
    retries: int = 0,
    priority: int = 0,
    resources: Mapping[str, int] | None = None,
    memory: int | str | None = None,
    timeout: float | None = None,
    workers: WorkerName | Iterable[WorkerName] | None = None,
    outputs: None = None,
    pure: bool = False,
    prefetch: int | None = None,
) -> Stream[Any]:
    """Begins a generator in the cluster, and asks for its first items. The options are those of `Client.submit`, of
    which one asks for no stream: `outputs`."""
    if pure:
        raise _refusal("a stream cannot be pure: it is read once", "leave `pure` out")
    if timeout is not None:
        hint = "close the stream when it has taken too long; items of `futures()` can be waited for with a timeout"
        raise _refusal("a stream has no timeout: its generator waits for its reader", hint)
    if prefetch is None:
        prefetch = _AHEAD
    if prefetch < 0:
        hint = "with prefetch=0 each is made when it is asked for"
        raise _refusal(f"{prefetch} items cannot be made ahead", hint)
    sent: Function[Any] = client._functions.of(function)
    (pickled, buffers), given = sent.dump_call(args, kwargs)
    inputs = [*(one._handle for one in given), *sent.shelved]
    handle = client._session.construct(
        sent.name,
        pickled,
        buffers,
        inputs,
        of_actor(client.workers, priority, resources, memory, workers),
        _native.ActorOptions(name=None, get_if_exists=False, max_restarts=retries, max_pending=None, max_concurrency=1),
        key,
    )
    name = key or sent.short_name
    kind = Kind(name, frozenset({"item"}), label=name)
    return Stream(name, ActorHandle(client, handle, kind), retries, prefetch)


def _refusal(message: str, hint: str) -> UsageError:
    error = UsageError(message)
    error.hint = hint
    return error
