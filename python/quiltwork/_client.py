"""The client: starts or finds a cluster, gives it work, and gets results back."""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, Never, TypeVar, cast, overload

from quiltwork import _native
from quiltwork._callbacks import Callbacks
from quiltwork._calls import Function
from quiltwork._functions import Shelf, is_generator_function
from quiltwork._future import Future, interruptible, wait
from quiltwork._nested import futures_in, replaced
from quiltwork._pickled import dump, load
from quiltwork._workers import worker_command
from quiltwork.errors import QuiltworkError

if TYPE_CHECKING:
    from quiltwork._actor import ActorHandle, ActorOptions
    from quiltwork._executor import Executor
    from quiltwork._stream import Stream

T = TypeVar("T")
Item = TypeVar("Item")

_open: weakref.WeakSet[Client] = weakref.WeakSet()
_newest: list[weakref.ref[Client]] = []


class Client:
    """A link to a cluster.

    Without `address` it starts a cluster on this machine, of one process per processor, which ends with the client:
    at the end of the `with` block, by `close()`, or with this process, however that ends. `address` is the `ticket` of
    a cluster that another process of this machine has started.

    `slots` is how many tasks each worker runs at a time, on threads. `memory_limit` is what each worker may hold of
    values and its tasks may ask for: bytes, or text such as `"2GiB"`.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        n_workers: int | None = None,
        slots: int = 1,
        memory_limit: int | str | None = None,
    ) -> None:
        if address is None:
            session = _native.Session.start(worker_command(slots), n_workers, slots, memory_limit)
        elif n_workers is not None or slots != 1 or memory_limit is not None:
            raise ValueError(
                "n_workers, slots and memory_limit are for a cluster of its own, not for one with an address"
            )
        else:
            session = _native.Session.connect(address)
        self._begin(session)

    def _begin(self, session: _native.Session) -> None:
        self._session = session
        self._shelf = Shelf(session)
        self._keyed: weakref.WeakValueDictionary[str, Future[Any]] = weakref.WeakValueDictionary()
        self._callbacks: Callbacks | None = None
        self._lock = threading.Lock()
        _open.add(self)
        _newest.append(weakref.ref(self))

    # What a generic function makes is not known here, and no stream: the first of these is for it.
    @overload
    def submit(self, fn: Callable[..., Never], /, *args: Any, **kwargs: Any) -> Future[Any]: ...
    @overload
    def submit(
        self, fn: Callable[..., Iterator[Item] | AsyncIterator[Item]], /, *args: Any, prefetch: int = 16, **kwargs: Any
    ) -> Stream[Item]: ...
    @overload
    def submit(
        self,
        fn: Callable[..., T],
        /,
        *args: Any,
        key: str | None = None,
        retries: int = 0,
        priority: int = 0,
        resources: Mapping[str, int] | None = None,
        memory: int | str | None = None,
        pure: bool = False,
        **kwargs: Any,
    ) -> Future[T]: ...
    def submit(
        self,
        fn: Callable[..., Any],
        /,
        *args: Any,
        key: str | None = None,
        retries: int = 0,
        priority: int = 0,
        resources: Mapping[str, int] | None = None,
        memory: int | str | None = None,
        pure: bool = False,
        prefetch: int = 16,
        **kwargs: Any,
    ) -> Future[Any] | Stream[Any]:
        """Runs `fn(*args, **kwargs)` on a worker. Futures among the arguments become their results there.

        `key` names the task; while a future with that key lives, it is returned instead of another one. With `pure` the
        key is made of the function and the arguments, so that the same call runs once. `retries` is how often it may be
        tried again after it raised. Of `priority` the higher runs first. `memory` and `resources` are what it occupies
        of the worker's while it runs.

        A generator function gives a `Stream` of what it yields, at most `prefetch` items of which are made ahead of
        whoever reads them. With `retries` it is begun again when it raised or its worker was lost, and what it has
        yielded before is left out: it must yield the same again.
        """
        if is_generator_function(fn):
            given = {"retries": retries, "priority": priority, "resources": resources, "memory": memory, "pure": pure}
            return self._stream(fn, args, kwargs, {"key": key, "prefetch": prefetch, **given})
        options = _options(retries, priority, resources, memory)
        return self._submit(Function(self._shelf, fn), args, kwargs, options, key, pure)

    @overload
    def map(self, fn: Callable[..., Never], /, *iterables: Iterable[Any], **kwargs: Any) -> list[Future[Any]]: ...
    @overload
    def map(
        self,
        fn: Callable[..., Iterator[Item] | AsyncIterator[Item]],
        /,
        *iterables: Iterable[Any],
        prefetch: int = 16,
        **kwargs: Any,
    ) -> list[Stream[Item]]: ...
    @overload
    def map(
        self,
        fn: Callable[..., T],
        /,
        *iterables: Iterable[Any],
        key: str | None = None,
        retries: int = 0,
        priority: int = 0,
        resources: Mapping[str, int] | None = None,
        memory: int | str | None = None,
        pure: bool = False,
        **kwargs: Any,
    ) -> list[Future[T]]: ...
    def map(
        self,
        fn: Callable[..., Any],
        /,
        *iterables: Iterable[Any],
        key: str | None = None,
        retries: int = 0,
        priority: int = 0,
        resources: Mapping[str, int] | None = None,
        memory: int | str | None = None,
        pure: bool = False,
        prefetch: int = 16,
        **kwargs: Any,
    ) -> list[Future[Any]] | list[Stream[Any]]:
        """Runs `fn` once for each item (or each tuple of items, of several iterables). The options are those of
        `submit`; a `key` is numbered."""
        keys = (None if key is None else f"{key}-{number}" for number in count())
        calls = zip(zip(*iterables), keys)
        if is_generator_function(fn):
            given = {"retries": retries, "priority": priority, "resources": resources, "memory": memory, "pure": pure}
            return [self._stream(fn, args, kwargs, {"key": key, "prefetch": prefetch, **given}) for args, key in calls]
        options = _options(retries, priority, resources, memory)
        function = Function(self._shelf, fn)
        return [self._submit(function, args, kwargs, options, key, pure) for args, key in calls]

    def actor(
        self,
        cls: Callable[..., T],
        /,
        *args: Any,
        name: str | None = None,
        get_if_exists: bool | None = None,
        max_restarts: int | None = None,
        max_pending: int | None = None,
        max_concurrency: int | None = None,
        priority: int | None = None,
        resources: Mapping[str, int] | None = None,
        memory: int | str | None = None,
        **kwargs: Any,
    ) -> ActorHandle[T]:
        """Makes an actor: an instance `cls(*args, **kwargs)` that lives in a worker, and whose methods are called there
        by `handle.method.remote(...)`. It occupies no slot, and ends with its last handle.

        `name` lets others find it by `get_actor`; there can be one of that name in the cluster, and with
        `get_if_exists` that one is returned. `max_restarts` is how often it may be made anew, from its constructor's
        arguments, after its process was lost; -1 is as often as it takes. When it has `max_pending` calls that have not
        ended, further ones fail. `max_concurrency` is how many calls run at a time: 1 unless told otherwise, on threads
        if it is more; 1000 if the class has `async` methods, which run in an event loop. `resources` and `memory` are
        its own as long as it lives; of `priority` the higher is made first.
        """
        given: dict[str, Any] = {
            "name": name,
            "get_if_exists": get_if_exists,
            "max_restarts": max_restarts,
            "max_pending": max_pending,
            "max_concurrency": max_concurrency,
            "priority": priority,
            "resources": resources,
            "memory": memory,
        }
        chosen = {option: value for option, value in given.items() if value is not None}
        return self._make_actor(cls, cast("ActorOptions", chosen), args, kwargs)

    @overload
    def get_actor(self, name: str) -> ActorHandle[Any]: ...
    @overload
    def get_actor(self, name: str, cls: Callable[..., T]) -> ActorHandle[T]: ...
    def get_actor(self, name: str, cls: Callable[..., Any] | None = None) -> ActorHandle[Any]:
        """The actor of that name, whoever has made it; waits until its constructor has ended. With its class given, the
        handle knows which methods there are."""
        from quiltwork._actor import find

        return find(self, name, cls)

    def kill(self, actor: ActorHandle[Any]) -> None:
        """Ends an actor at once, whoever holds handles: all its calls that have not ended fail, and so does every later
        one."""
        actor._handle.cancel()

    @overload
    def gather(
        self, futures: Future[T], *, errors: Literal["raise", "skip"] = "raise", timeout: float | None = None
    ) -> T: ...
    @overload
    def gather(
        self, futures: list[Future[T]], *, errors: Literal["raise", "skip"] = "raise", timeout: float | None = None
    ) -> list[T]: ...
    @overload
    def gather(
        self, futures: Any, *, errors: Literal["raise", "skip"] = "raise", timeout: float | None = None
    ) -> Any: ...
    def gather(self, futures: Any, *, errors: Literal["raise", "skip"] = "raise", timeout: float | None = None) -> Any:
        """Waits for results: of a future, or of all in a list, tuple, set or dict, in which they take the futures'
        places. Raises the first failure that is heard of; with `errors="skip"` failed ones are left out of lists.
        """
        found: dict[Future[Any], Any] = dict.fromkeys(futures_in(futures))
        waited = list(found)
        if errors == "skip":
            wait(waited, timeout)
            waited = [future for future in waited if future._handle.failure() is None]
        handles = [future._handle for future in waited]
        payloads = interruptible(waited, lambda: self._session.gather(handles, timeout))
        if payloads is None:
            raise TimeoutError(f"not all of {len(found)} tasks have ended within {timeout} s")
        results = dict(zip(waited, map(load, payloads)))
        return replaced(futures, results)

    def put(self, value: T) -> Future[T]:
        """Brings a value into the cluster, so that many tasks can have it as an argument and it travels once."""
        pickled, buffers = dump(value)
        return Future(self, self._session.put(pickled, buffers), type(value).__name__)

    def scatter(self, data: Any) -> Any:
        """Brings each item of a list, tuple or dict into the cluster, or another value as a whole."""
        if isinstance(data, dict):
            return {key: self.put(value) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return type(data)(map(self.put, data))
        return self.put(data)

    def cancel(self, futures: Future[Any] | Iterable[Future[Any]]) -> None:
        """Asks the cluster to stop tasks, and all that need their results."""
        for future in [futures] if isinstance(futures, Future) else futures:
            future.cancel()

    def story(self, future: Future[Any] | ActorHandle[Any]) -> str:
        """What happened to a task so far: when it was submitted, where it ran, and which workers died with it."""
        return self._session.story(future._handle)

    def executor(self, **options: Any) -> Executor:
        """This client as a `concurrent.futures.Executor`. Its tasks are submitted with these options."""
        from quiltwork._executor import Executor

        return Executor(self, options)

    def get(self, dsk: Mapping[Any, Any], keys: Any, **_: Any) -> Any:
        """Runs a graph of Dask's: `dask.compute(x, scheduler=client.get)`."""
        from quiltwork import _dask

        return _dask.get(self, dsk, keys)

    @property
    def ticket(self) -> str:
        """What lets other processes of this machine in, as `Client(ticket)`. It holds a private key: keep it secret."""
        return self._session.ticket

    def worker_pids(self) -> list[int]:
        """The process ids of the workers there are."""
        return [pid for pid, _ in self._session.workers()]

    def slots(self) -> int:
        """How many tasks all workers together run at a time."""
        return sum(slots for _, slots in self._session.workers())

    def kill_worker(self, pid: int) -> None:
        """Kills a worker at once, as bad luck would. What it was doing is done again by another."""
        self._session.kill_worker(pid)

    def close(self) -> None:
        """Ends the link, and the cluster if this client has started it. What has not arrived fails."""
        self._session.close()
        with self._lock:
            callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            callbacks.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._session.closed:
            return "<Client: closed>"
        try:
            workers = len(self.worker_pids())
        except QuiltworkError:
            return "<Client: the link is lost>"
        return f"<Client: {workers} worker{'' if workers == 1 else 's'}>"

    # There is no session if none could be opened, and a forked process has only the picture of one. Kept here, because
    # the last clients go when modules have lost their names already.
    _without_session = contextlib.suppress(AttributeError, RuntimeError)

    def __del__(self) -> None:
        with self._without_session:
            self.close()

    def _submit(
        self,
        function: Function[T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: _native.Options | None,
        key: str | None,
        pure: bool,
    ) -> Future[T]:
        if key is not None and (known := self._keyed.get(key)) is not None:
            return known
        (pickled, buffers), inputs = function.dump_call(args, kwargs)
        if pure and key is None:
            key = function.key_of(pickled, buffers, inputs)
            if (known := self._keyed.get(key)) is not None:
                return known
        if function.handle is not None:
            inputs.append(function.handle)
        handle = self._session.submit(function.name, pickled, buffers, inputs, options)
        future: Future[T] = Future(self, handle, key or function.short_name)
        if key is not None:
            self._keyed[key] = future
        return future

    def _submit_task(
        self, fn: Callable[..., T], options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[T]:
        """Like `submit`, for arguments that may be named like options."""
        (chosen, key, pure), function = _chosen(**options), Function(self._shelf, fn)
        return self._submit(function, args, kwargs, chosen, key, pure)

    def _stream(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]
    ) -> Stream[Any]:
        from quiltwork._stream import begin

        return begin(self, fn, args, kwargs, **options)

    def _make_actor(
        self, cls: Callable[..., T], options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> ActorHandle[T]:
        from quiltwork._actor import make

        return make(self, cls, options, args, kwargs)

    def _notify(self, future: Future[Any], callback: Callable[[Future[Any]], object]) -> None:
        with self._lock:
            if self._callbacks is None and not self._session.closed:
                self._callbacks = Callbacks()
            callbacks = self._callbacks
        if callbacks is not None:
            callbacks.add(future, callback)
        else:
            # Nothing more will come: what is not here has failed.
            callback(future)


def _options(
    retries: int, priority: int, resources: Mapping[str, int] | None, memory: int | str | None
) -> _native.Options | None:
    if not (retries or priority or resources or memory is not None):
        return None
    named = list((resources or {}).items())
    return _native.Options(retries=retries, priority=priority, memory=memory, resources=named)


def _chosen(
    *,
    key: str | None = None,
    retries: int = 0,
    priority: int = 0,
    resources: Mapping[str, int] | None = None,
    memory: int | str | None = None,
    pure: bool = False,
) -> tuple[_native.Options | None, str | None, bool]:
    """The options of `Client.submit`, from a dict of them."""
    return _options(retries, priority, resources, memory), key, pure


def current_client() -> Client:
    """The client this code works for: within a task that of its cluster, elsewhere the newest one that is open."""
    while _newest:
        client = _newest[-1]()
        if client is not None and not client._session.closed:
            return client
        _newest.pop()
    client = Client.__new__(Client)
    client._begin(_native.Session.current())
    return client


@overload
def get_actor(name: str) -> ActorHandle[Any]: ...
@overload
def get_actor(name: str, cls: Callable[..., T]) -> ActorHandle[T]: ...
def get_actor(name: str, cls: Callable[..., Any] | None = None) -> ActorHandle[Any]:
    """The actor of that name in the cluster of the current client: see `Client.get_actor`."""
    return current_client().get_actor(name, cls) if cls is not None else current_client().get_actor(name)


@atexit.register
def _close_all() -> None:
    for client in list(_open):
        with contextlib.suppress(RuntimeError):
            client.close()
