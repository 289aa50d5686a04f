"""Actors as their users meet them: `@actor`, handles, and calls of methods."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, TypedDict, TypeVar, Unpack, overload

from quiltwork import _native
from quiltwork._calls import Function, blamed, dump_whole_call
from quiltwork._cluster import WorkerName
from quiltwork._context import running
from quiltwork._functions import name_of
from quiltwork._future import Future
from quiltwork._options import check_outputs, of_actor
from quiltwork._pickled import pass_actor
from quiltwork.errors import UsageError

if TYPE_CHECKING:
    from quiltwork._client import Client
    from quiltwork._native import Handle, Payload

P = ParamSpec("P")
C = TypeVar("C")

# How many calls of an actor with coroutines run side by side unless told otherwise: to wait costs them little.
_CONCURRENCY = 1000


class ActorOptions(TypedDict, total=False):
    """What an actor can be made with; `Client.actor` says what it means."""

    name: str | None
    get_if_exists: bool
    max_restarts: int
    max_pending: int | None
    max_concurrency: int | None
    priority: int
    resources: Mapping[str, int] | None
    memory: int | str | None
    workers: WorkerName | Iterable[WorkerName] | None


class Kind(NamedTuple):
    """What a handle knows of its actor's class, wherever the handle is."""

    name: str
    # Unknown if the actor was found by its name: then it says itself which methods it has not.
    methods: frozenset[str] | None = None
    cls: type | None = None
    # What people call its calls, if not by their methods.
    label: str | None = None

    @classmethod
    def of(cls, kind: type) -> Kind:
        return cls(name_of(kind), frozenset(methods_of(kind)), kind)

    @property
    def short_name(self) -> str:
        return _short_name(self.name)

    def __reduce__(self) -> tuple[type[Kind], tuple[str, frozenset[str] | None]]:
        # The class stays: who gets a handle need not be able to import it.
        return Kind, (self.name, self.methods)


def _short_name(kind: str) -> str:
    return kind.rpartition(":")[2].rpartition(".")[2]


@functools.lru_cache
def _call_name(kind: str, method: str) -> str:
    """What people call the calls of a method; one text for all of them."""
    return f"{_short_name(kind)}.{method}"


def methods_of(kind: type) -> list[str]:
    """What can be called of an actor of this class, in the order of the alphabet."""
    return [name for name in dir(kind) if _is_method(name, inspect.getattr_static(kind, name))]


def _is_method(name: str, attribute: object) -> bool:
    if name.startswith("_") or isinstance(attribute, (type, _Door)):
        return False
    return callable(attribute) or isinstance(attribute, (classmethod, staticmethod))


def is_asynchronous(kind: type) -> bool:
    """Whether an actor of this class runs in an event loop."""
    return any(inspect.iscoroutinefunction(getattr(kind, name)) for name in methods_of(kind))


def no_such_method(kind: str, name: str, methods: list[str] | frozenset[str]) -> AttributeError:
    """Says which methods there are instead."""
    import difflib

    if name.startswith("_"):
        return AttributeError(f"`{kind}.{name}` is private to the actor: its name begins with an underscore")
    near = difflib.get_close_matches(name, methods)
    there = ", ".join(f"`{method}`" for method in near or sorted(methods)) or "none"
    hint = f"did you mean {there}" if near else f"its methods are {there}"
    return AttributeError(f"the actor `{kind}` has no method `{name}`\n  hint: {hint}")


class ActorHandle(Generic[C]):
    """A live reference to an actor: an instance of a class `C` that lives in a worker.

    `handle.method.remote(...)` calls it and returns a `Future`; the calls of one caller run in their order. A handle
    can be an argument of tasks, of calls and of other actors, by itself or within lists, dicts, tuples and objects. The
    actor ends when its last handle is dropped and its last call has ended.
    """

    __slots__ = ("__weakref__", "_client", "_handle", "_kind")

    def __init__(self, client: Client, handle: Handle, kind: Kind) -> None:
        self._client = client
        self._handle = handle
        self._kind = kind

    def __getattr__(self, name: str) -> ActorMethod:
        methods = self._kind.methods
        if name.startswith("_") or (methods is not None and name not in methods):
            raise no_such_method(self._kind.short_name, name, methods or frozenset())
        return ActorMethod(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(self._kind.methods or ())})

    def __reduce__(self) -> Any:
        return pass_actor(self)

    def __repr__(self) -> str:
        return f"<ActorHandle of {self._kind.short_name}: {self._handle.id}>"


class ActorMethod:
    # A method of an actor, to be called by `remote`. This is a comment because the documentation and the signature of
    # each are those of the class's own method.

    __slots__ = ("_actor", "_name", "_options")

    def __init__(self, actor: ActorHandle[Any], name: str, options: _native.Options | None = None) -> None:
        self._actor = actor
        self._name = name
        self._options = options

    def remote(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls the method. Futures among the arguments stand for their results; the actor waits for them, and does not
        run later calls of this caller before."""
        return self._call(args, kwargs)

    @overload
    def options(self, *, outputs: int, retries: int = 0) -> ActorMethodOfSeveral: ...
    @overload
    def options(self, *, retries: int = 0) -> ActorMethod: ...
    def options(self, *, retries: int = 0, outputs: int | None = None, **others: Any) -> ActorMethod:
        """The same method with other options. `retries` is how often a call may be tried again: after it raised, and
        when it was lost with the actor's process, in which case it may have had its effect already. With `outputs` the
        method makes so many results, and there is a future for each, as for `Client.submit`."""
        if others:
            error = UsageError(f"calls of actors have no option `{min(others)}`: they run where the actor lives")
            error.hint = "there are retries and outputs; wait by `result(timeout=...)`, and cancel what takes too long"
            raise error
        check_outputs(outputs)
        native = _native.Options(retries=retries) if retries else None
        if outputs is None:
            return ActorMethod(self._actor, self._name, native)
        return ActorMethodOfSeveral(self._actor, self._name, native, outputs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: int | None = None) -> Future[Any]:
        actor = self._actor
        try:
            (pickled, buffers), given = dump_whole_call(None, args, kwargs, outputs)
        except Exception as error:
            raise blamed(f"{actor._kind.name}.{self._name}", self._local(), args, kwargs, error) from error
        inputs = [one._handle for one in given]
        session, task, label = actor._client._session, running.get(), actor._kind.label
        handle = session.call(actor._handle, self._name, pickled, buffers, inputs, self._options, task, label)
        return Future(actor._client, handle, _call_name(actor._kind.name, self._name))

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return inspect.getdoc(getattr(self._actor._kind.cls, self._name, None))

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._local())

    @property
    def __name__(self) -> str:
        return self._name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        method = f"{self._actor._kind.short_name}.{self._name}"
        raise TypeError(f"`{method}` runs in another process\n  hint: call it by `.remote(...)`, which gives a future")

    def __repr__(self) -> str:
        return f"<ActorMethod {self._actor._kind.short_name}.{self._name}>"

    def _local(self) -> Callable[..., Any]:
        """The class's own method without `self`, as far as it is known here."""
        cls = self._actor._kind.cls
        if cls is None:
            return lambda *args, **kwargs: None
        method: Callable[..., Any] = getattr(cls, self._name)
        is_bound = isinstance(inspect.getattr_static(cls, self._name), (classmethod, staticmethod))
        return method if is_bound else functools.partial(method, None)


class ActorMethodOfSeveral(ActorMethod):
    # One that makes several results. A comment for the same reason.

    __slots__ = ("_outputs",)

    def __init__(self, actor: ActorHandle[Any], name: str, options: _native.Options | None, outputs: int) -> None:
        super().__init__(actor, name, options)
        self._outputs = outputs

    def remote(self, *args: Any, **kwargs: Any) -> tuple[Future[Any], ...]:  # type: ignore[override]
        """Calls the method; a future for each result."""
        return self._actor._client._parts(self._call(args, kwargs, self._outputs), self._outputs)


class ActorClass(Generic[P, C]):
    """A class with the options its actors are made with: called, it makes an instance here, as ever."""

    def __init__(self, cls: Callable[P, C], options: ActorOptions) -> None:
        self._cls = cls
        self._options = _checked(options)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> C:
        return self._cls(*args, **kwargs)

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle[C]:
        """Makes an actor in the cluster of the current client: the class's constructor runs in a worker."""
        from quiltwork._client import current_client

        return current_client()._make_actor(self._cls, self._options, args, kwargs)

    def options(self, **options: Unpack[ActorOptions]) -> ActorClass[P, C]:
        """The same class with other options, which are those of `Client.actor`."""
        return ActorClass(self._cls, {**self._options, **options})

    def __repr__(self) -> str:
        return f"<ActorClass {name_of(self._cls)}>"


def _checked(options: ActorOptions) -> ActorOptions:
    unknown = options.keys() - ActorOptions.__optional_keys__
    if unknown:
        known = ", ".join(sorted(ActorOptions.__optional_keys__))
        raise TypeError(f"actors have no option `{min(unknown)}`\n  hint: there are {known}")
    return options


class _Door:
    """`Class.remote` and `Class.options` of a class that was made an actor, and of its subclasses."""

    def __init__(self, name: str, options: ActorOptions) -> None:
        self._name = name
        self._options = options

    def __get__(self, instance: object, owner: type) -> Any:
        return getattr(ActorClass(owner, self._options), self._name)


def make(
    client: Client, cls: Callable[..., C], options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ActorHandle[C]:
    """Makes an actor of a class, with these options and those that were declared with it."""
    inner: object = cls
    declared: ActorOptions = {}
    if isinstance(cls, ActorClass):
        inner, declared = cls._cls, cls._options
    elif isinstance(door := inspect.getattr_static(cls, "remote", None), _Door):
        declared = door._options
    if not isinstance(inner, type):
        raise TypeError(f"an actor is made of a class, and {cls!r} is none")
    function: Function[C] = client._functions.of(inner)
    (pickled, buffers), given = function.dump_call(args, kwargs)
    inputs = [*(one._handle for one in given), *function.shelved]
    native, of_actors = _native_options(client, inner, {**declared, **options})
    handle = client._session.construct(function.name, pickled, buffers, inputs, native, of_actors, None)
    return ActorHandle(client, handle, Kind.of(inner))


def _native_options(client: Client, cls: type, options: ActorOptions) -> tuple[_native.Options, _native.ActorOptions]:
    """The options as the engine takes them, complete."""
    if options.get("get_if_exists") and options.get("name") is None:
        raise ValueError("get_if_exists is for actors with a name")
    concurrency = options.get("max_concurrency")
    if concurrency is None:
        concurrency = _CONCURRENCY if is_asynchronous(cls) else 1
    restarts = options.get("max_restarts", 0)
    native = of_actor(
        client.workers,
        options.get("priority", 0),
        options.get("resources"),
        options.get("memory"),
        options.get("workers"),
    )
    return native, _native.ActorOptions(
        name=options.get("name"),
        get_if_exists=options.get("get_if_exists", False),
        max_restarts=None if restarts == -1 else restarts,
        max_pending=options.get("max_pending"),
        max_concurrency=concurrency,
    )


@overload
def actor(cls: Callable[P, C], /) -> ActorClass[P, C]: ...
@overload
def actor(**options: Unpack[ActorOptions]) -> Callable[[Callable[P, C]], ActorClass[P, C]]: ...
def actor(cls: Any = None, /, **options: Unpack[ActorOptions]) -> Any:
    """Lets a class be made an actor: as `@actor`, or with options of `Client.actor` as `@actor(max_restarts=2)`.

    The class stays the class it is: `Counter(5)` is an instance here, `Counter.remote(5)` an actor in the cluster, and
    `Counter.options(name="counter").remote(5)` one with other options.

    mypy does not look at what decorates a class, and so does not know of `remote`: where that matters write
    `client.actor(Counter, 5)`.
    """
    if cls is None:
        return functools.partial(_open_door, options=options)
    return _open_door(cls, options)


def _open_door(cls: type, options: ActorOptions) -> type:
    if not isinstance(cls, type):
        raise TypeError(f"an actor is made of a class, and {cls!r} is none")
    for name in ("remote", "options"):
        taken = inspect.getattr_static(cls, name, None)
        if taken is not None and not isinstance(taken, _Door):
            raise TypeError(f"the class `{cls.__qualname__}` has a `{name}` of its own\n  hint: give it another name")
        setattr(cls, name, _Door(name, _checked(options)))
    return cls


def find(client: Client, name: str, cls: Callable[..., Any] | None) -> ActorHandle[Any]:
    """The actor of that name; raises if there is none."""
    handle = client._session.actor_named(name)
    handle.wait(None)
    if (failure := handle.failure()) is not None:
        raise failure
    inner = cls._cls if isinstance(cls, ActorClass) else cls
    return ActorHandle(client, handle, Kind.of(inner) if isinstance(inner, type) else Kind(name))


def received(given: Payload, kind: Kind) -> ActorHandle[Any]:
    """In a task: an actor that stood among its arguments."""
    from quiltwork._client import current_client

    client = current_client()
    return ActorHandle(client, client._session.actor_of(given), kind)
