"""The client: starts or finds a cluster, gives it work, and gets results back."""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from quiltwork import _native, _plain
from quiltwork._callbacks import Callbacks
from quiltwork._calls import Function
from quiltwork._cluster import LocalCluster, Worker, WorkerName, counted
from quiltwork._functions import Shelf
from quiltwork._future import Future, interruptible, wait
from quiltwork._nested import futures_in, replaced
from quiltwork._options import chosen
from quiltwork._pickled import dump, load
from quiltwork._raised import explain
from quiltwork._recipe import PickledCall, retry
from quiltwork._rust import PlainForms, RustCall, RustFunction, RustTask, plain_options
from quiltwork._several import pick, pick_counted
from quiltwork.errors import QuiltworkError, UsageError

if TYPE_CHECKING:
    from quiltwork._executor import Executor
    from quiltwork._options import Chosen
    from quiltwork._output import Line
    from quiltwork._raised import Needed
    from quiltwork._workers import Programs

T = TypeVar("T")

_open: weakref.WeakSet[Client] = weakref.WeakSet()
_newest: list[weakref.ref[Client]] = []


class Client:
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
            cluster = LocalCluster(
                n_workers, slots=slots, memory_limit=memory_limit, programs=programs, output=output
            )
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
        self._session = session
        self._cluster = cluster
        self._owns_cluster = False
        self._shelf = Shelf(session)
        self._plain_forms = PlainForms()
        self._keyed: weakref.WeakValueDictionary[str, Future[Any]] = weakref.WeakValueDictionary()
        self._callbacks: Callbacks | None = None
        self._dask_default: Any = None
        self._lock = threading.Lock()
        _open.add(self)
        _newest.append(weakref.ref(self))

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
    @overload
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
        outputs: int,
        pure: bool = False,
        **kwargs: Any,
    ) -> tuple[Future[Any], ...]: ...
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
        outputs: int | None = None,
        pure: bool = False,
        **kwargs: Any,
    ) -> Future[T] | tuple[Future[Any], ...]:
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
        """
        options = self._chosen(
            key=key,
            retries=retries,
            priority=priority,
            resources=resources,
            memory=memory,
            timeout=timeout,
            workers=workers,
            outputs=outputs,
            pure=pure,
        )
        started: Future[T] | tuple[Future[Any], ...] = self._start(self._function(fn), args, kwargs, options)
        return started

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
    ) -> list[Future[T]]:
        """Runs `fn` once for each item (or each tuple of items, of several iterables). The options are those of
        `submit`; a `key` is numbered."""
        options = self._chosen(
            retries=retries,
            priority=priority,
            resources=resources,
            memory=memory,
            timeout=timeout,
            workers=workers,
        )
        function = self._function(fn)
        keys = (None if key is None else f"{key}-{number}" for number in count())
        calls = zip(zip(*iterables), keys)
        return [self._submit(function, args, kwargs, options.native, key, pure) for args, key in calls]

    def run_on_all(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> dict[Worker, T]:
        """Runs `fn(*args, **kwargs)` once on each worker for Python there is, beside what it runs, and waits for the
        results."""
        if isinstance(fn, RustTask):
            error = UsageError(f"`{fn.name}` is in Rust, and only functions in Python can be run on all their workers")
            error.hint = "submit it for each worker of its program, with `workers=`"
            raise error
        function, most = Function(self._shelf, fn), 2**31 - 1
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
        try:
            payloads = interruptible(waited, lambda: self._session.gather(handles, timeout))
        except Exception as error:
            _explain(error, waited)
            # The way through this package is of no interest.
            error.__traceback__ = None
            raise
        if payloads is None:
            raise TimeoutError(f"not all of {len(found)} tasks have ended within {timeout} s")
        for future in waited:
            # It will not have to be submitted again.
            future._recipe = None
        results = dict(zip(waited, map(load, payloads)))
        return replaced(futures, results)

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

    def replicate(self, futures: Any, n: int | None = None) -> None:
        """Waits for results and keeps each on `n` nodes, or on all, so that they survive the loss of all but one."""
        nodes = len({worker.node for worker in self.workers()}) if n is None else n
        for future in futures_in(futures):
            future._handle.replicate(nodes)

    def who_has(self, futures: Any) -> dict[Future[Any], list[Worker]]:
        """The workers that hold the results of tasks; none before a task has ended, and of small ones, which the master
        holds."""
        return {
            future: [Worker.of(row) for row in self._session.who_has(future._handle)] for future in futures_in(futures)
        }

    def workers(self) -> list[Worker]:
        """The workers there are."""
        return [Worker.of(row) for row in self._session.workers()]

    def cancel(self, futures: Future[Any] | Iterable[Future[Any]]) -> None:
        """Asks the cluster to stop tasks, and all that need their results."""
        for future in [futures] if isinstance(futures, Future) else futures:
            future.cancel()

    def story(self, future: Future[Any]) -> str:
        """What happened to a task so far: when it was submitted, where it ran, and which workers died with it."""
        return self._session.story(future._handle)

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

    @property
    def ticket(self) -> str:
        """What lets other processes of this machine in, as `Client(ticket)`. It holds a private key: keep it secret."""
        return (self._session if self._cluster is None else self._cluster).ticket

    def worker_pids(self) -> list[int]:
        """The process ids of the workers there are."""
        return [worker.pid for worker in self.workers()]

    def slots(self) -> int:
        """How many tasks all workers together run at a time."""
        return sum(worker.slots for worker in self.workers())

    def kill_worker(self, pid: int) -> None:
        """Kills a worker at once, as bad luck would. What it was doing is done again by another."""
        (self._session if self._cluster is None else self._cluster).kill_worker(pid)

    def close(self) -> None:
        """Ends the link, and the cluster if this client has started it. What has not arrived fails."""
        if self._owns_cluster and self._cluster is not None:
            self._cluster.close()
        else:
            self._session.close()
        with self._lock:
            callbacks, self._callbacks = self._callbacks, None
            setting, self._dask_default = self._dask_default, None
        if callbacks is not None:
            callbacks.close()
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

    def __repr__(self) -> str:
        if self._session.closed:
            return "<Client: closed>"
        try:
            return f"<Client: {counted(len(self.workers()), 'worker')}>"
        except QuiltworkError:
            return "<Client: the link is lost>"

    def _repr_html_(self) -> str:
        from quiltwork._notebook import workers_table

        try:
            return workers_table(repr(self), [] if self._session.closed else self.workers())
        except QuiltworkError:
            return workers_table(repr(self), [])

    # There is no session if none could be opened, and a forked process has only the picture of one. Kept here, because
    # the last clients go when modules have lost their names already.
    _without_session = contextlib.suppress(AttributeError, RuntimeError)

    def __del__(self) -> None:
        with self._without_session:
            self.close()

    def _function(self, fn: Callable[..., T]) -> Function[T] | RustFunction:
        return RustFunction(fn.name) if isinstance(fn, RustTask) else Function(self._shelf, fn)

    def _submit(
        self,
        function: Function[T] | RustFunction,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: _native.Options | None,
        key: str | None,
        pure: bool,
        outputs: int | None = None,
        name: str | None = None,
    ) -> Future[T]:
        """Submits one call. What people call it is its name, or else its key, or else its function."""
        name = name or key
        if key is not None and (known := self._keyed.get(key)) is not None:
            return known
        if isinstance(function, RustFunction):
            return self._submit_rust(function, args, kwargs, options, key, pure, name)
        (pickled, buffers), futures = function.dump_call(args, kwargs, outputs)
        if pure and key is None:
            key = function.key_of(pickled, buffers, futures)
            if (known := self._keyed.get(key)) is not None:
                return known
        inputs = [future._handle for future in futures]
        if function.handle is not None:
            inputs.append(function.handle)
        handle = self._session.submit(function.name, pickled, buffers, inputs, options, name)
        recipe = PickledCall(function, (pickled, buffers), futures, options, args, kwargs)
        future: Future[T] = Future(self, handle, name or key or function.short_name, recipe)
        if key is not None:
            self._keyed[key] = future
        return future

    def _submit_rust(
        self,
        function: RustFunction,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: _native.Options | None,
        key: str | None,
        pure: bool,
        name: str | None,
    ) -> Future[Any]:
        passed, inputs = function.prepare(args, kwargs, self._plain_form)
        if pure and key is None:
            key = function.key_of(passed, inputs)
            if (known := self._keyed.get(key)) is not None:
                return known
        handle = function.send(self._session, passed, [future._handle for future in inputs], options, name)
        recipe = RustCall(function, passed, inputs, options, args)
        future: Future[Any] = Future(self, handle, name or key or function.short_name, recipe, plain=True)
        if key is not None:
            self._keyed[key] = future
        return future

    def _plain_form(self, future: Future[Any]) -> Future[Any]:
        """The result in a form that functions in Rust can read: a task makes it, unless it is in one already."""

        def make(future: Future[Any]) -> Future[Any]:
            function = Function(self._shelf, _plain.same)
            return self._submit(function, (future,), {}, plain_options(), None, False, name=future.name)

        return self._plain_forms.of(future, make)

    def _chosen(self, **options: Any) -> Chosen:
        return chosen(self.workers, **options)

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
        is_counted = not isinstance(function, RustFunction)
        picking: Function[Any] = Function(self._shelf, pick if is_counted else pick_counted)
        parts = []
        for number in range(outputs):
            name = f"{whole.name}[{number}]"
            part_key = name if key is not None or pure else None
            picked = (whole, number) if is_counted else (whole, number, outputs, function.name)
            part = self._submit(picking, picked, {}, None, part_key, False, name=name)
            # Nobody has given the call of `pick` its arguments.
            part._recipe = None
            parts.append(part)
        return tuple(parts)

    def _submit_task(
        self, fn: Callable[..., Any], options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Like `submit`, for arguments that may be named like options."""
        return self._start(self._function(fn), args, kwargs, self._chosen(**options))

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


def _explain(error: BaseException, futures: list[Future[Any]]) -> None:
    """Says in a note which argument of which of these tasks came from one that failed, if that is why."""

    def parameter_of(needed: Needed) -> str | None:
        failed = (future._recipe for future in futures if future._handle.id == needed.task_id)
        recipe = next(failed, None)
        return None if recipe is None else recipe.parameter_of(needed)

    explain(error, parameter_of)


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


@atexit.register
def _close_all() -> None:
    for client in list(_open):
        with contextlib.suppress(RuntimeError):
            client.close()
