"""Functions in Rust: named here, run by workers of the programs that have them."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from quiltwork import _native, _plain
from quiltwork._functions import short_name
from quiltwork._future import Future
from quiltwork._plain import Written
from quiltwork._recipe import KEPT, Recipe, places
from quiltwork.errors import CannotTravel

if TYPE_CHECKING:
    from quiltwork._client import Client
    from quiltwork._native import Handle

R = TypeVar("R")


class RustTask(Generic[R]):
    """A function in Rust that is a task, to be given to `Client.submit` and `Client.map`, or submitted by `remote`.

    Its arguments are plain data, bytes, arrays of numpy's, and futures, also lists of these. Calling it runs it in the
    cluster of the current client, and waits.
    """

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self._options = options

    def __call__(self, *args: Any) -> R:
        return self.remote(*args).result()

    def remote(self, *args: Any) -> Future[R]:
        """Submits a call to the current client. Futures stand for their results."""
        from quiltwork._client import current_client

        future: Future[R] = current_client()._submit_task(self, self._options, args, {})
        return future

    def options(self, **options: Any) -> RustTask[R]:
        """The same function with other options, which are those of `Client.submit`."""
        return RustTask(self.name, {**self._options, **options})

    def __repr__(self) -> str:
        return f"<RustTask {self.name}>"


def rust(name: str, /, **options: Any) -> RustTask[Any]:
    """The task that is registered in Rust as `name`, which is its path: `my_program::count_words`.

    The cluster needs workers of a program that has it: `Client(programs=["target/release/my_program"])`.
    """
    parts = name.split("::")
    if not all(part.isidentifier() for part in parts):
        raise ValueError(f"`{name}` is not the path of a function in Rust\n  hint: write `program::function`")
    return RustTask(name, options)


_HINT = "give plain data, bytes or an array, or futures by themselves or as a list"
_HINTS = {
    "ActorHandle": "an actor is called in the language it is written in: give the futures of its calls",
    "Stream": "give the futures of its `futures()`",
}

# An argument of a call: encoded, or the number of an input, or the numbers of a list of them.
Passed = Written | int | list[int]


class RustFunction:
    """A function in Rust as it is sent: by its name, its arguments one by one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.short_name = short_name(name)
        self.yields = False

    def prepare(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], plain: Callable[[Future[Any]], Future[Any]]
    ) -> tuple[list[Passed], list[Future[Any]]]:
        """The arguments of a call, and the futures among them as `plain` makes them."""
        if kwargs:
            raise TypeError(f"`{self.name}` is a function in Rust, whose arguments have no names: {', '.join(kwargs)}")
        inputs: list[Future[Any]] = []

        def number_of(future: Future[Any]) -> int:
            inputs.append(plain(future))
            return len(inputs) - 1

        passed: list[Passed] = []
        for number, argument in enumerate(args, 1):
            if isinstance(argument, Future):
                passed.append(number_of(argument))
            elif isinstance(argument, (list, tuple)) and argument and all(isinstance(one, Future) for one in argument):
                passed.append([number_of(future) for future in argument])
            else:
                passed.append(self._written(number, argument))
        return passed, inputs

    def key_of(self, passed: list[Passed], inputs: list[Future[Any]]) -> str:
        """The same for the same call."""
        import hashlib

        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for argument in passed:
            if isinstance(argument, (int, list)):
                digest.update(f"{argument};".encode())
            else:
                form, first, rest = argument
                for piece in (form.encode(), first, *rest):
                    digest.update(piece)
        for future in inputs:
            digest.update(f"{future._handle.id};".encode())
        return f"{self.short_name}-{digest.hexdigest()}"

    def parameter(self, place: int | str) -> str:
        """What people call the argument at a place of a call."""
        return f"argument {int(place) + 1}"

    def send(
        self,
        session: _native.Session,
        passed: list[Passed],
        inputs: list[Handle],
        options: _native.Options | None,
        name: str | None,
    ) -> Handle:
        """Submits a call."""

        def filled(argument: Passed) -> Handle | list[Handle] | Written:
            if isinstance(argument, int):
                return inputs[argument]
            return [inputs[number] for number in argument] if isinstance(argument, list) else argument

        return session.submit_plain(self.name, [filled(argument) for argument in passed], options, name)

    def _written(self, number: int, argument: Any) -> Written:
        try:
            return _plain.write(argument)
        except (TypeError, ValueError, BufferError) as cause:
            error = CannotTravel(f"argument {number} of `{self.name}` cannot travel to Rust: {cause}")
            error.hint = _HINTS.get(type(argument).__name__, _HINT)
            raise error from cause


class RustCall(Recipe):
    """A call of a function in Rust."""

    __slots__ = ("inputs", "options", "passed", "places")

    function: RustFunction

    def __init__(
        self,
        function: RustFunction,
        passed: list[Passed],
        inputs: list[Future[Any]],
        options: _native.Options | None,
        args: tuple[Any, ...],
    ) -> None:
        size = sum(_size(argument) for argument in passed)
        self.function = function
        self.passed = passed if size <= KEPT else None
        self.inputs = [weakref.ref(future) for future in inputs]
        self.options = options
        self.places = places(args, {})
        for place, argument in enumerate(passed):
            numbers = [argument] if isinstance(argument, int) else argument if isinstance(argument, list) else []
            self.places.update((inputs[number]._handle.id, place) for number in numbers)

    @property
    def is_kept(self) -> bool:
        return self.passed is not None

    def submit(self, session: _native.Session, inputs: list[Handle], name: str | None) -> Handle:
        assert self.passed is not None
        return self.function.send(session, self.passed, inputs, self.options, name)


def _size(argument: Passed) -> int:
    if isinstance(argument, (int, list)):
        return 0
    _, first, rest = argument
    return len(first) + sum(memoryview(piece).nbytes for piece in rest)


class PlainForms:
    """The futures that were made plain already for functions in Rust, as long as they live."""

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[Future[Any], Future[Any]] = WeakKeyDictionary()

    def of(self, client: Client, future: Future[Any]) -> Future[Any]:
        """The future itself if functions in Rust can read it, or that of a task which makes it so."""
        if future._plain:
            return future
        plain = self._made.get(future)
        if plain is None:
            function, options = client._functions.of(_plain.same), _native.Options(plain=True)
            plain = client._submit(function, (future,), {}, options, None, False, name=future.name)
            self._made[future] = plain
        return plain


def submit_rust(
    client: Client,
    function: RustFunction,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: _native.Options | None,
    key: str | None,
    pure: bool,
    name: str | None,
) -> Future[Any]:
    """Submits a call of a function in Rust, as the client does those in Python."""
    passed, inputs = function.prepare(args, kwargs, functools.partial(client._plain_forms.of, client))
    if pure and key is None:
        key = function.key_of(passed, inputs)
        if (known := client._keyed.get(key)) is not None:
            return known
    handle = function.send(client._session, passed, [future._handle for future in inputs], options, name)
    recipe = RustCall(function, passed, inputs, options, args)
    future: Future[Any] = Future(client, handle, name or key or function.short_name, recipe, plain=True)
    if key is not None:
        client._keyed[key] = future
    return future
