"""The client: starts or finds a cluster, gives it work, and gets results back."""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from quiltwork import _native, _plain
from quiltwork._callbacks import Callbacks
from quiltwork._calls import Function
from quiltwork._functions import Shelf
from quiltwork._future import Future, interruptible, wait
from quiltwork._nested import futures_in, replaced
from quiltwork._pickled import dump, load
from quiltwork._rust import PlainForms, RustFunction, RustTask, plain_options
from quiltwork._workers import Programs, program_workers, worker_command
from quiltwork.errors import QuiltworkError

if TYPE_CHECKING:
    from quiltwork._executor import Executor

T = TypeVar("T")

_open: weakref.WeakSet[Client] = weakref.WeakSet()
_newest: list[weakref.ref[Client]] = []


class Client:
    """A link to a cluster.

    Without `address` it starts a cluster on this machine, of one process per processor, which ends with the client:
    at the end of the `with` block, by `close()`, or with this process, however that ends. `address` is the `ticket` of
    a cluster that another process of this machine has started.

    `programs` are programs in Rust whose tasks `quiltwork.rust` names; they call `quiltwork::init()` first in `main`. A
    dict says how many workers run each, a list gives each as many as `n_workers`.

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
        programs: Programs = (),
    ) -> None:
        if address is None:
            others = program_workers(programs, n_workers)
            session = _native.Session.start(worker_command(slots), n_workers, slots, memory_limit, others)
        elif n_workers is not None or slots != 1 or memory_limit is not None or programs:
            raise ValueError(
                "n_workers, slots, memory_limit and programs are for a cluster of its own, not for one with an address"
            )
        else:
            session = _native.Session.connect(address)
        self._begin(session)

    def _begin(self, session: _native.Session) -> None:
        self._session = session
        self._shelf = Shelf(session)
        self._plain_forms = PlainForms()
        self._keyed: weakref.WeakValueDictionary[str, Future[Any]] = weakref.WeakValueDictionary()
        self._callbacks: Callbacks | None = None
        self._lock = threading.Lock()
        _open.add(self)
        _newest.append(weakref.ref(self))

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
    ) -> Future[T]:
        """Runs `fn(*args, **kwargs)` on a worker. Futures among the arguments become their results there.

        `key` names the task; while a future with that key lives, it is returned instead of another one. With `pure` the
        key is made of the function and the arguments, so that the same call runs once. `retries` is how often it may be
        tried again after it raised. Of `priority` the higher runs first. `memory` and `resources` are what it occupies
        of the worker's while it runs.
        """
        options = _options(retries, priority, resources, memory)
        return self._submit(self._function(fn), args, kwargs, options, key, pure)

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
    ) -> list[Future[T]]:
        """Runs `fn` once for each item (or each tuple of items, of several iterables). The options are those of
        `submit`; a `key` is numbered."""
        options = _options(retries, priority, resources, memory)
        function = self._function(fn)
        keys = (None if key is None else f"{key}-{number}" for number in count())
        return [self._submit(function, args, kwargs, options, key, pure) for args, key in zip(zip(*iterables), keys)]

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

    def story(self, future: Future[Any]) -> str:
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

    def _function(self, fn: Callable[..., T]) -> Function[T] | RustFunction:
        return RustFunction(self, fn.name) if isinstance(fn, RustTask) else Function(self._shelf, fn)

    def _submit(
        self,
        function: Function[T] | RustFunction,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: _native.Options | None,
        key: str | None,
        pure: bool,
    ) -> Future[T]:
        if key is not None and (known := self._keyed.get(key)) is not None:
            return known
        if isinstance(function, RustFunction):
            return self._submit_rust(function, function.passed(args, kwargs), options, key, pure)
        (pickled, buffers), futures = function.dump_call(args, kwargs)
        if pure and key is None:
            key = function.key_of(pickled, buffers, futures)
            if (known := self._keyed.get(key)) is not None:
                return known
        inputs = [future._handle for future in futures]
        if function.handle is not None:
            inputs.append(function.handle)
        handle = self._session.submit(function.name, pickled, buffers, inputs, options)
        future: Future[T] = Future(self, handle, key or function.short_name)
        if key is not None:
            self._keyed[key] = future
        return future

    def _submit_rust(
        self, function: RustFunction, passed: list[Any], options: _native.Options | None, key: str | None, pure: bool
    ) -> Future[Any]:
        if pure and key is None:
            key = function.key_of(passed)
            if (known := self._keyed.get(key)) is not None:
                return known
        handle = self._session.call(function.name, passed, options)
        future: Future[Any] = Future(self, handle, key or function.short_name, plain=True)
        if key is not None:
            self._keyed[key] = future
        return future

    def _plain_form(self, future: Future[Any]) -> Future[Any]:
        """The result in a form that functions in Rust can read: a task makes it, unless it is in one already."""

        def make(future: Future[Any]) -> Future[Any]:
            function = Function(self._shelf, _plain.same)
            return self._submit(function, (future,), {}, plain_options(), None, False)

        return self._plain_forms.of(future, make)

    def _submit_task(
        self, fn: Callable[..., T], options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[T]:
        """Like `submit`, for arguments that may be named like options."""
        (chosen, key, pure), function = _chosen(**options), self._function(fn)
        return self._submit(function, args, kwargs, chosen, key, pure)

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


@atexit.register
def _close_all() -> None:
    for client in list(_open):
        with contextlib.suppress(RuntimeError):
            client.close()
