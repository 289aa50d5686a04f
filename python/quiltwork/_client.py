"""The client: starts or finds a cluster, gives it work, and gets results back."""

from __future__ import annotations

import atexit
import contextlib
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, Never, TypeVar, cast, overload

from quiltwork import _native
from quiltwork._calls import Function, Functions
from quiltwork._cluster import LocalCluster, Worker, WorkerName
from quiltwork._functions import Shelf
from quiltwork._future import Future, interruptible, wait
from quiltwork._link import Link
from quiltwork._nested import futures_in, replaced
from quiltwork._options import chosen
from quiltwork._pickled import dump, load
from quiltwork._recipe import PlainCall, explain_one_of, recipe_of, retry
from quiltwork._rust import PlainForms, RustFunction, RustTask, submit_rust
from quiltwork._several import pick, pick_counted
from quiltwork._together import submit_all
from quiltwork.errors import UsageError

if TYPE_CHECKING:
    from quiltwork._actor import ActorHandle, ActorOptions
    from quiltwork._executor import Executor
    from quiltwork._options import Chosen
    from quiltwork._output import Line
    from quiltwork._stream import Stream
    from quiltwork._workers import Programs

T = TypeVar("T")
Item = TypeVar("Item")

_open: weakref.WeakSet[Client] = weakref.WeakSet()
_newest: list[weakref.ref[Client]] = []


class Client(Link):
    """A link to a cluster.

    Without `address` it starts a cluster on this machine, of one process per processor, which ends with the client:
    at the end of the `with` block, by `close()`, or with this process, however that ends. `address` is a
    `LocalCluster`, or the `ticket` of a cluster that another process of this machine has started. Within the `with`
    block Dask, if it was imported before, computes its collections by this client.

    In an event loop it is used by `async with`, and its futures are awaited. To make it takes about a tenth of a
    second: a loop that serves others meanwhile should `await asyncio.to_thread(Client)`.

    The other options are those of `LocalCluster`.
    """

    def __init__(
        self,
        address: str | LocalCluster | None = None,
        *,
        n_workers: int | None = None,
        slots: int = 1,
        memory_limit: int | str | None = None,
        programs: Programs = (),
        output: Callable[[Line], object] | None = None,
    ) -> None:
        if address is None:
            cluster = LocalCluster(n_workers, slots=slots, memory_limit=memory_limit, programs=programs, output=output)
            self._begin(cluster._session, cluster)
            self._owns_cluster = True
        elif n_workers is not None or slots != 1 or memory_limit is not None or programs or output is not None:
            raise ValueError(
                "n_workers, slots, memory_limit, programs and output are for a cluster of its own, not for one with an"
                " address"
            )
        elif isinstance(address, LocalCluster):
            self._begin(_native.Session.connect(address.ticket), address)
        else:
            self._begin(_native.Session.connect(address))

    def _begin(self, session: _native.Session, cluster: LocalCluster | None = None) -> None:
        self._open(session, cluster)
        self._owns_cluster = False
        self._functions = Functions(Shelf(session))
        self._plain_forms = PlainForms()
        self._keyed: weakref.WeakValueDictionary[str, Future[Any]] = weakref.WeakValueDictionary()
        self._dask_default: Any = None
        _open.add(self)
        _newest.append(weakref.ref(self))

    @overload
    def submit(self, fn: Callable[..., Any], /, *args: Any, outputs: int, **kwargs: Any) -> tuple[Future[Any], ...]: ...
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
        timeout: float | None = None,
        workers: WorkerName | Iterable[WorkerName] | None = None,
        outputs: None = None,
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
        timeout: float | None = None,
        workers: WorkerName | Iterable[WorkerName] | None = None,
        outputs: int | None = None,
        pure: bool = False,
        prefetch: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Runs `fn(*args, **kwargs)` on a worker. Futures among the arguments become their results there.

        `key` names the task; while a future with that key lives, it is returned instead of another one. With `pure` the
        key is made of the function and the arguments, so that the same call runs once. `retries` is how often it may be
        tried again after it raised. Of `priority` the higher runs first. `memory` and `resources` are what it occupies
        of the worker's while it runs.

        After `timeout` seconds of running (what it waits for counts) the function is ended by `errors.Interrupted`, and
        the task fails with `errors.TimedOut`, a `TimeoutError`, or is tried again. What it has called of another
        language, or `time.sleep`, goes on; nobody waits for it longer than a second.

        `workers` are workers as `workers()` lists them, or their ids or process ids: one of them runs it. When none of
        them is left it fails with `errors.NoSuchResources`.

        With `outputs` the function makes so many results, and there is a future for each: `a, b = client.submit(f,
        outputs=2)`. Each is a value of its own, copied once from what the function returned, and freed on its own.

        A generator function gives a `Stream` of what it yields, of which at most `prefetch` items (16) are made ahead
        of whoever reads them. With `retries` it is begun again when it raised or its worker was lost, and what it has
        yielded before is left out: it must yield the same again. A stream has no `timeout` and is not `pure`. With
        `outputs` there is no stream: its items are the results.
        """
        # To look at each of them takes less than to hand them on.
        is_plain = not (retries or priority or resources or pure) and key is None and memory is None
        if is_plain and timeout is None and workers is None and outputs is None and prefetch is None:
            return self._remote_plain(fn, args, kwargs)
        options = {
            "key": key,
            "retries": retries,
            "priority": priority,
            "resources": resources,
            "memory": memory,
            "timeout": timeout,
            "workers": workers,
            "outputs": outputs,
            "pure": pure,
            "prefetch": prefetch,
        }
        return self._remote(fn, options, args, kwargs)

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
        timeout: float | None = None,
        workers: WorkerName | Iterable[WorkerName] | None = None,
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
        timeout: float | None = None,
        workers: WorkerName | Iterable[WorkerName] | None = None,
        pure: bool = False,
        prefetch: int | None = None,
        **kwargs: Any,
    ) -> list[Any]:
        """Runs `fn` once for each item (or each tuple of items, of several iterables). The options are those of
        `submit`; a `key` is numbered."""
        options: dict[str, Any] = {
            "retries": retries,
            "priority": priority,
            "resources": resources,
            "memory": memory,
            "timeout": timeout,
            "workers": workers,
            "pure": pure,
            "prefetch": prefetch,
        }
        keys = (None if key is None else f"{key}-{number}" for number in count())
        calls, function = zip(zip(*iterables), keys), self._function(fn)
        if function.yields:
            return [self._stream(fn, {**options, "key": key}, args, kwargs) for args, key in calls]
        native = chosen(self.workers, **options).native
        if key is None and not pure and isinstance(function, Function):
            return submit_all(self, function, iterables, kwargs, native)
        return [self._submit(function, args, kwargs, native, key, pure) for args, key in calls]

    def run_on_all(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> dict[Worker, T]:
        """Runs `fn(*args, **kwargs)` once on each worker for Python there is, beside what it runs, and waits for the
        results."""
        if isinstance(fn, RustTask):
            error = UsageError(f"`{fn.name}` is in Rust, and only functions in Python can be run on all their workers")
            error.hint = "submit it for each worker of its program, with `workers=`"
            raise error
        function, most = self._functions.of(fn), 2**31 - 1
        futures = {}
        for worker in self.workers():
            if not worker.python:
                continue
            options = _native.Options(slots=0, priority=most, workers=[worker.number])
            futures[worker] = self._submit(function, args, kwargs, options, None, False)
        return dict(zip(futures, self.gather(list(futures.values()))))

    def retry(self, futures: Future[Any] | Iterable[Future[Any]]) -> None:
        """Submits tasks that have failed again, and those of their inputs that have; their futures stay the same.

        The futures of their inputs must be kept until then, and calls of more than 16 KiB are not kept here.
        """
        retry(self._session, futures_in(futures if isinstance(futures, Future) else list(futures)))

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
        workers: WorkerName | Iterable[WorkerName] | None = None,
        **kwargs: Any,
    ) -> ActorHandle[T]:
        """Makes an actor: an instance `cls(*args, **kwargs)` that lives in a worker, and whose methods are called there
        by `handle.method.remote(...)`. It occupies no slot, and ends with its last handle.

        `name` lets others find it by `get_actor`; there can be one of that name in the cluster, and with
        `get_if_exists` that one is returned. `max_restarts` is how often it may be made anew, from its constructor's
        arguments, after its process was lost; -1 is as often as it takes. When it has `max_pending` calls that have not
        ended, further ones fail. `max_concurrency` is how many calls run at a time: 1 unless told otherwise, on threads
        if it is more; 1000 if the class has `async` methods, which run in an event loop. `resources` and `memory` are
        its own as long as it lives; of `priority` the higher is made first. It lives on one of `workers`, if they are
        given as to `submit`, also when it is made anew.
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
            "workers": workers,
        }
        options = {option: value for option, value in given.items() if value is not None}
        return self._make_actor(cls, cast("ActorOptions", options), args, kwargs)

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
        if errors == "raise" and type(futures) is list and set(map(type, futures)) == {Future}:
            # Most are like that, and long.
            return self._results(futures, timeout)
        waited = list(dict.fromkeys(futures_in(futures)))
        if errors == "skip":
            wait(waited, timeout)
            waited = [future for future in waited if future._handle.failure() is None]
        return replaced(futures, dict(zip(waited, self._results(waited, timeout))))

    def _results(self, waited: list[Future[Any]], timeout: float | None) -> list[Any]:
        handles = [future._handle for future in waited]
        try:
            payloads = interruptible(waited, lambda: self._session.gather(handles, timeout))
        except Exception as error:
            explain_one_of(error, waited)
            # The way through this package is of no interest.
            error.__traceback__ = None
            raise
        if payloads is None:
            raise TimeoutError(f"not all of {len(waited)} tasks have ended within {timeout} s")
        for future in waited:
            # It will not have to be submitted again.
            future._recipe = None
        return list(map(load, payloads))

    def put(self, value: T) -> Future[T]:
        """Brings a value into the cluster, so that many tasks can have it as an argument and it travels once."""
        pickled, buffers = dump(value)
        return Future(self, self._session.put(pickled, buffers), type(value).__name__)

    def scatter(self, data: Any, *, broadcast: bool = False) -> Any:
        """Brings each item of a list, tuple or dict into the cluster, or another value as a whole. With `broadcast` all
        nodes have them when it returns; the workers of a node share them in any case."""
        scattered: Any
        if isinstance(data, dict):
            scattered = {key: self.put(value) for key, value in data.items()}
        elif isinstance(data, (list, tuple)):
            scattered = type(data)(map(self.put, data))
        else:
            scattered = self.put(data)
        if broadcast:
            self.replicate(scattered)
        return scattered

    def cancel(self, futures: Future[Any] | Iterable[Future[Any]]) -> None:
        """Asks the cluster to stop tasks, and all that need their results."""
        for future in [futures] if isinstance(futures, Future) else futures:
            future.cancel()

    def executor(
        self,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        **options: Any,
    ) -> Executor:
        """This client as a `concurrent.futures.Executor` (see `Executor`). Its tasks are submitted with these options,
        which are those of `submit`."""
        from quiltwork._executor import Executor

        return Executor(self, max_workers, initializer, initargs, options)

    def get(self, dsk: Any, keys: Any, **options: Any) -> Any:
        """Runs a graph of Dask's: `dask.compute(x, scheduler=client.get)`.

        Of the options `retries`, `priority`, `resources` and `memory` are those of `submit`, for all tasks; single ones
        have them by `dask.annotate`. What else other schedulers take is ignored.
        """
        from quiltwork import _dask

        return _dask.get(self, dsk, keys, options)

    def compute(self, collections: Any, *, optimize_graph: bool = True, **options: Any) -> Any:
        """Begins to compute a collection of Dask's and returns a future of it, or a list of futures for several.
        The options are those of `get`."""
        from quiltwork import _dask

        return _dask.compute(self, collections, optimize_graph, options)

    def persist(self, collections: Any, *, optimize_graph: bool = True, **options: Any) -> Any:
        """Begins to compute the parts of a collection of Dask's, or of several, which stay in the cluster, and returns
        the collection made of them. The options are those of `get`."""
        from quiltwork import _dask

        return _dask.persist(self, collections, optimize_graph, options)

    def close(self) -> None:
        """Ends the link, and the cluster if this client has started it. What has not arrived fails."""
        if self._owns_cluster and self._cluster is not None:
            self._cluster.close()
        else:
            self._session.close()
        with self._lock:
            setting, self._dask_default = self._dask_default, None
        self._end_callbacks()
        if setting is not None:
            from quiltwork import _dask

            _dask.end_default(self, setting)

    def __enter__(self) -> Client:
        if "dask" in sys.modules and self._dask_default is None:
            from quiltwork import _dask

            self._dask_default = _dask.begin_default(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Client:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        import asyncio

        await asyncio.to_thread(self.close)

    # There is no session if none could be opened, and a forked process has only the picture of one. Kept here, because
    # the last clients go when modules have lost their names already.
    _without_session = contextlib.suppress(AttributeError, RuntimeError)

    def __del__(self) -> None:
        with self._without_session:
            self.close()

    def _function(self, fn: Callable[..., T]) -> Function[T] | RustFunction:
        return RustFunction(fn.name) if isinstance(fn, RustTask) else self._functions.of(fn)

    def _submit(
        self,
        function: Function[T] | RustFunction,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: _native.Options | None = None,
        key: str | None = None,
        pure: bool = False,
        outputs: int | None = None,
        name: str | None = None,
    ) -> Future[T]:
        """Submits one call. What people call it is its name, or else its key, or else its function."""
        name = name or key
        if key is not None and (known := self._keyed.get(key)) is not None:
            return known
        if isinstance(function, RustFunction):
            return submit_rust(self, function, args, kwargs, options, key, pure, name)
        (pickled, buffers), given = function.dump_call(args, kwargs, outputs)
        if pure and key is None:
            key = function.key_of(pickled, buffers, given)
            if (known := self._keyed.get(key)) is not None:
                return known
        inputs = [one._handle for one in given]
        inputs += function.shelved
        handle = self._session.submit(function.name, pickled, buffers, inputs, options, name)
        recipe = recipe_of(function, (pickled, buffers), given, options, args, kwargs)
        future: Future[T] = Future(self, handle, name or key or function.short_name, recipe)
        if key is not None:
            self._keyed[key] = future
        return future

    def _start(
        self,
        function: Function[Any] | RustFunction,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: Chosen,
    ) -> Any:
        """The future of a call, or the futures if it makes several results."""
        native, key, pure, outputs = options
        whole = self._submit(function, args, kwargs, native, key, pure, outputs)
        if outputs is None:
            return whole
        uncounted = function.name if isinstance(function, RustFunction) else None
        return self._parts(whole, outputs, key is not None or pure, uncounted)

    def _parts(
        self, whole: Future[Any], outputs: int, has_key: bool = False, uncounted: str | None = None
    ) -> tuple[Future[Any], ...]:
        """A future for each of the results of a task that makes several; those of a function that is `uncounted` are
        counted when they are taken apart."""
        picking: Function[Any] = self._functions.of(pick if uncounted is None else pick_counted)
        more = () if uncounted is None else (outputs, uncounted)
        parts = []
        for number in range(outputs):
            name = f"{whole.name}[{number}]"
            part = self._submit(picking, (whole, number, *more), {}, None, name if has_key else None, False, name=name)
            # Nobody has given the call of `pick` its arguments.
            part._recipe = None
            parts.append(part)
        return tuple(parts)

    def _submit_task(
        self, fn: Callable[..., Any], options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Like `submit`, for arguments that may be named like options, and without streams."""
        return self._start(self._function(fn), args, kwargs, chosen(self.workers, **options))

    def _remote(
        self, fn: Callable[..., Any], options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """What `submit` returns, for arguments that may be named like options."""
        if not options:
            return self._remote_plain(fn, args, kwargs)
        if options.get("outputs") is None and self._function(fn).yields:
            return self._stream(fn, options, args, kwargs)
        return self._submit_task(fn, options, args, kwargs)

    def _remote_plain(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The same without options."""
        function = self._function(fn)
        if function.yields:
            return self._stream(fn, {}, args, kwargs)
        if isinstance(function, Function) and function.takes_plainly(args, kwargs):
            # Nothing but its pickle has to be sent and remembered.
            pickle = function.dump_plain_call(args)
            handle = self._session.submit(function.name, pickle, (), function.shelved, None, None)
            return Future(self, handle, function.short_name, PlainCall(function, pickle))
        return self._submit(function, args, kwargs)

    def _stream(
        self, fn: Callable[..., Any], options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Stream[Any]:
        from quiltwork._stream import begin

        return begin(self, fn, args, kwargs, **options)

    def _make_actor(
        self, cls: Callable[..., T], options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> ActorHandle[T]:
        from quiltwork._actor import make

        return make(self, cls, options, args, kwargs)


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
