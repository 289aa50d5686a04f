"""Calls of functions as they are submitted, and what to say of one that cannot travel."""

from __future__ import annotations

import pickle
import types
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from quiltwork._functions import Reference, Shelf, is_generator_function, is_importable, name_of, short_name
from quiltwork._future import Future
from quiltwork._pickled import PLAIN, Pickled, dump_call, dump_plain
from quiltwork._task import Task
from quiltwork.errors import CannotTravel

if TYPE_CHECKING:
    from quiltwork._native import Handle
    from quiltwork._pickled import Input

T = TypeVar("T")


_PLAIN_OR_FUTURE = PLAIN | {Future}


def dump_whole_call(
    called: object, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: int | None
) -> tuple[Pickled, Sequence[Input]]:
    """A call as `load_call` reads it, with the futures and actors in it. What is `called` stands in it, unless it goes
    by its name."""
    if not kwargs and (called is None or type(called) is Reference):
        # Most calls are like that, and need not be looked through.
        kinds = set(map(type, args))
        if kinds <= PLAIN:
            return dump_plain((called, args, kwargs, outputs, ())), ()
        if kinds <= _PLAIN_OR_FUTURE:
            inputs = [one for one in args if type(one) is Future]
            places = [place for place, one in enumerate(args) if type(one) is Future]
            others = [None if type(one) is Future else one for one in args]
            return dump_plain((called, others, kwargs, outputs, places)), inputs
    return dump_call((called, args, kwargs, outputs, ()))


class Function(Generic[T]):
    """A function as it is sent: by its name, by value as an input, or within each call.

    It keeps no function alive that goes by name or as an input: it may be one of thousands that come and go.
    """

    __slots__ = (
        "__weakref__",
        "_function",
        "_sent",
        "goes_by_name",
        "is_lasting",
        "name",
        "shelved",
        "short_name",
        "yields",
    )

    def __init__(self, shelf: Shelf, function: Callable[..., T]) -> None:
        if not callable(function):
            raise TypeError(
                f"a task is a function and its arguments, but a `{type(function).__qualname__}` is no function"
            )
        inner = function.function if isinstance(function, Task) else function
        self.name = name_of(inner)
        self.short_name = short_name(self.name)
        self.yields = is_generator_function(inner)
        self.goes_by_name = is_importable(function) or is_importable(inner)
        # The function itself, if it goes as an input: the last one of each call.
        self.shelved: tuple[Handle, ...] = ()
        self._sent: object = None
        if not self.goes_by_name:
            if isinstance(inner, (types.FunctionType, type)):
                self._sent, shelved = self._shelve(shelf, inner)
                self.shelved = (shelved,)
            else:
                # A method, say, or an object that is called: what is in it may have changed since the last time.
                self._sent = inner
        self._function = _weakly(inner)
        # Whether later calls may be sent like the first one.
        self.is_lasting = self.goes_by_name or bool(self.shelved)

    def _shelve(self, shelf: Shelf, function: types.FunctionType | type) -> tuple[object, Handle]:
        try:
            return shelf.send(function)
        except Exception as error:
            raise _cannot_travel(f"the function `{self.name}`", function, error) from error

    def dump_call(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: int | None = None
    ) -> tuple[Pickled, Sequence[Input]]:
        """The call as it travels, with the futures and actors in it."""
        try:
            return dump_whole_call(self._sent, args, kwargs, outputs)
        except Exception as error:
            raise blamed(self.name, self.function, args, kwargs, error) from error

    def takes_plainly(self, args: Iterable[Any], kwargs: dict[str, Any]) -> bool:
        """Whether calls with these arguments are nothing but what `dump_plain_call` makes of them."""
        return not kwargs and self.is_lasting and PLAIN.issuperset(map(type, args))

    def dump_plain_call(self, args: tuple[Any, ...]) -> bytes:
        """The call as it travels, if the function takes these arguments plainly."""
        return pickle.dumps((self._sent, args, {}, None, ()), protocol=5)

    @property
    def function(self) -> Callable[..., T] | None:
        """The function itself, if anybody has it still."""
        return self._function()

    def parameter(self, place: int | str) -> str:
        """What people call the argument at a place of a call."""
        if isinstance(place, str):
            return f"argument `{place}`"
        names = _parameters(self.function)
        return f"argument `{names[place]}`" if place < len(names) else f"argument {place + 1}"

    def key_of(self, pickled: bytes, buffers: Sequence[memoryview], inputs: Sequence[Input]) -> str:
        """The same for the same call."""
        import hashlib

        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        digest.update(pickled)
        for buffer in buffers:
            digest.update(buffer)
        for given in inputs:
            digest.update(f"{given._handle.id};".encode())
        return f"{self.short_name}-{digest.hexdigest()}"


def _weakly(function: Callable[..., T]) -> Callable[[], Callable[..., T] | None]:
    try:
        return weakref.ref(function)
    except TypeError:
        return lambda: function


class Functions:
    """The functions a client has sent, as they are sent: looked at once, and forgotten with the function."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._known: WeakKeyDictionary[Callable[..., Any], Function[Any]] = WeakKeyDictionary()

    def of(self, function: Callable[..., T]) -> Function[T]:
        """The function as it is sent."""
        if type(function) not in _KNOWN_BY_IDENTITY:
            return Function(self._shelf, function)
        known = self._known.get(function)
        # Its name may have become that of another one.
        if known is None or (known.goes_by_name and not is_importable(function)):
            known = Function(self._shelf, function)
            if known.is_lasting:
                self._known[function] = known
        return known


# Others may be equal to each other, and yet be different.
_KNOWN_BY_IDENTITY = frozenset((types.FunctionType, types.BuiltinFunctionType, type, Task))


def blamed(
    name: str, function: Callable[..., Any] | None, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
) -> Exception:
    """Says which argument of a call cannot be pickled."""
    for parameter, argument in _named(function, args, kwargs):
        try:
            dump_call(argument)
        except Exception as cause:
            return _cannot_travel(f"argument `{parameter}` of `{name}`", argument, cause)
    return _cannot_travel(f"the function `{name}`", function, error)


def _parameters(function: Callable[..., Any] | None) -> list[str]:
    """The names of those parameters that take an argument by its place; none if they are not known."""
    import inspect

    if function is None:
        return []
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _named(function: Callable[..., Any] | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    """The arguments with the names of their parameters, or numbers where these are not known."""
    plain = _parameters(function)
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
