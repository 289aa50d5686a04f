"""The client: starts or finds a cluster, gives it work, and gets results back."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from quiltwork import _native
from quiltwork._callbacks import Callbacks
from quiltwork._functions import Shelf, is_importable, name_of
from quiltwork._future import Future, interruptible, wait
from quiltwork._pickled import Pickled, dump, dump_call, load
from quiltwork._task import Task
from quiltwork.errors import CannotTravel, QuiltworkError

if TYPE_CHECKING:
    from quiltwork._executor import Executor
    from quiltwork._native import Handle

T = TypeVar("T")

# What a worker runs. Before anything is imported, modules are looked for where this process finds them, and not in
# the folder it happens to be in.
_WORKER = "import sys; sys.path[:] = sys.argv[2:]; from quiltwork.worker import main; main(sys.argv[1])"

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
            session = _native.Session.start(_worker_command(slots), n_workers, slots, memory_limit)
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
        return self._submit(_Function(self, fn), args, kwargs, options, key, pure)

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
        function = _Function(self, fn)
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
        found: dict[Future[Any], Any] = dict.fromkeys(_futures_in(futures))
        waited = list(found)
        if errors == "skip":
            wait(waited, timeout)
            waited = [future for future in waited if future._handle.failure() is None]
        handles = [future._handle for future in waited]
        payloads = interruptible(waited, lambda: self._session.gather(handles, timeout))
        if payloads is None:
            raise TimeoutError(f"not all of {len(found)} tasks have ended within {timeout} s")
        results = dict(zip(waited, map(load, payloads)))
        return _replaced(futures, results)

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

    def executor(self, **options: Any) -> Executor:
        """This client as a `concurrent.futures.Executor`. Its tasks are submitted with these options."""
        from quiltwork._executor import Executor

        return Executor(self, options)

    @property
    def ticket(self) -> str:
        """What lets other processes of this machine in, as `Client(ticket)`. It holds a private key: keep it secret."""
        return self._session.ticket

    def worker_pids(self) -> list[int]:
        """The process ids of the workers there are."""
        return self._session.workers()

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

    def __del__(self) -> None:
        # There is no session if none could be opened, and a forked process has only the picture of one.
        with contextlib.suppress(AttributeError, RuntimeError):
            self.close()

    def _submit(
        self,
        function: _Function[T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: _native.Options | None,
        key: str | None,
        pure: bool,
    ) -> Future[T]:
        if key is not None and (known := self._keyed.get(key)) is not None:
            return known
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

    def _submit_task(
        self, fn: Callable[..., T], options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[T]:
        """Like `submit`, for arguments that may be named like options."""
        (chosen, key, pure), function = _chosen(**options), _Function(self, fn)
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


class _Function(Generic[T]):
    """A function as it is sent: by its name, by value as an input, or within each call."""

    def __init__(self, client: Client, function: Callable[..., T]) -> None:
        if not callable(function):
            raise TypeError(
                f"a task is a function and its arguments, but a `{type(function).__qualname__}` is no function"
            )
        inner = function.function if isinstance(function, Task) else function
        self.name = name_of(inner)
        self.short_name = self.name.partition(":")[2].rpartition(".")[2]
        self.handle: Handle | None = None
        self._sent: object = None
        self._function = inner
        if is_importable(function) or is_importable(inner):
            pass
        elif isinstance(inner, types.FunctionType):
            self._sent, self.handle = self._shelved(client, inner)
        else:
            # A method, say, or an object that is called: what is in it may have changed since the last time.
            self._sent = inner

    def _shelved(self, client: Client, function: types.FunctionType) -> tuple[object, Handle]:
        try:
            return client._shelf.send(function)
        except Exception as error:
            raise _cannot_travel(f"the function `{self.name}`", function, error) from error

    def dump_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Pickled, list[Future[Any]]]:
        """The call as it travels, with the futures in it."""
        try:
            return dump_call((self._sent, args, kwargs))
        except Exception as error:
            raise self._blame(args, kwargs, error) from error

    def key_of(self, pickled: bytes, buffers: list[memoryview], futures: list[Future[Any]]) -> str:
        """The same for the same call."""
        import hashlib

        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        digest.update(pickled)
        for buffer in buffers:
            digest.update(buffer)
        for future in futures:
            digest.update(f"{future._handle.id};".encode())
        return f"{self.short_name}-{digest.hexdigest()}"

    def _blame(self, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Exception:
        """Says which argument cannot be pickled."""
        for name, argument in _named(self._function, args, kwargs):
            try:
                dump_call(argument)
            except Exception as cause:
                return _cannot_travel(f"argument `{name}` of `{self.name}`", argument, cause)
        return _cannot_travel(f"the function `{self.name}`", self._function, error)


def _named(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    """The arguments with the names of their parameters, or numbers where these are not known."""
    import inspect

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = plain + [f"number {number}" for number in range(len(plain) + 1, len(args) + 1)]
    return [*zip(names, args), *kwargs.items()]


def _cannot_travel(what: str, thing: object, cause: Exception) -> CannotTravel:
    path, culprit = _culprit(thing)
    where = f", because of `{path}`, a `{type(culprit).__qualname__}`" if path else ""
    error = CannotTravel(f"{what} cannot be pickled{where}: {cause}")
    error.hint = "give plain data, and make what cannot be pickled within the task"
    return error


def _culprit(thing: object, path: str = "", depth: int = 4) -> tuple[str, object]:
    """The innermost part that cannot be pickled, and the way to it."""
    if depth == 0:
        return path, thing
    parts: list[tuple[str, object]] = []
    if isinstance(thing, dict):
        parts = [(f"{path}[{key!r}]", value) for key, value in thing.items()]
    elif isinstance(thing, (list, tuple)):
        parts = [(f"{path}[{number}]", value) for number, value in enumerate(thing)]
    elif isinstance(thing, types.FunctionType):
        cells = zip(thing.__code__.co_freevars, thing.__closure__ or ())
        parts = [(name, cell.cell_contents) for name, cell in cells]
    elif hasattr(thing, "__dict__"):
        parts = [(f"{path}.{name}", value) for name, value in vars(thing).items()]
    for way, part in parts:
        try:
            dump_call(part)
        except Exception:
            return _culprit(part, way, depth - 1)
    return path, thing


def _futures_in(data: Any) -> list[Future[Any]]:
    if isinstance(data, Future):
        return [data]
    if isinstance(data, dict):
        data = data.values()
    elif not isinstance(data, (list, tuple, set, frozenset)):
        return []
    return [future for part in data for future in _futures_in(part)]


_Skipped = object()


def _replaced(data: Any, results: dict[Future[Any], Any]) -> Any:
    """The same with results for futures; those without one are left out."""
    if isinstance(data, Future):
        return results.get(data, _Skipped)
    if isinstance(data, dict):
        parts = {key: _replaced(value, results) for key, value in data.items()}
        return {key: value for key, value in parts.items() if value is not _Skipped}
    if isinstance(data, (list, tuple, set, frozenset)):
        items = [item for item in (_replaced(part, results) for part in data) if item is not _Skipped]
        return type(data)(items)
    return data


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


def _worker_command(slots: int) -> list[str]:
    """How a worker is started: this interpreter again, with its flags, and with this process's way to modules."""
    import subprocess

    if not sys.executable:
        raise RuntimeError("this interpreter does not know its own program (sys.executable), which workers run")
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    paths = map(os.path.abspath, sys.path)
    return [sys.executable, *flags, "-P", "-c", _WORKER, str(slots), *paths]


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
