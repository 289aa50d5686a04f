"""What a task was submitted with: kept to submit it again when it has failed, and to say where its inputs came from."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from quiltwork._future import Future
from quiltwork._nested import futures_in
from quiltwork._pickled import PLAIN
from quiltwork._raised import explain
from quiltwork.errors import UsageError

if TYPE_CHECKING:
    from quiltwork import _native
    from quiltwork._calls import Function
    from quiltwork._pickled import Input, Pickled
    from quiltwork._raised import Needed
    from quiltwork._rust import RustFunction

# Larger calls are not kept: a future is to cost little.
KEPT = 16 * 1024


class Recipe:
    """A call as it was sent, until it is known that it has ended well. It keeps no input alive."""

    __slots__ = ("function",)

    function: Function[Any] | RustFunction
    inputs: Sequence[weakref.ref[Input]]
    options: _native.Options | None
    places: dict[str | None, int | str] | None

    def parameter_of(self, needed: Needed) -> str | None:
        """Which argument came from the task that failed, if one did."""
        place = (self.places or {}).get(needed.origin_id)
        return None if place is None else self.function.parameter(place)

    @property
    def is_kept(self) -> bool:
        """Whether its arguments are still known."""
        raise NotImplementedError

    def submit(self, session: _native.Session, inputs: list[_native.Handle], name: str | None) -> _native.Handle:
        """Sends it, with inputs in the order of its own."""
        raise NotImplementedError


class PlainCall(Recipe):
    """A call of a function in Python with neither inputs nor options. There are many of these."""

    __slots__ = ("pickle",)

    function: Function[Any]
    inputs = ()
    options = None
    places = None

    def __init__(self, function: Function[Any], pickle: bytes) -> None:
        self.function = function
        self.pickle = pickle if len(pickle) <= KEPT else None

    @property
    def is_kept(self) -> bool:
        return self.pickle is not None

    def submit(self, session: _native.Session, inputs: list[_native.Handle], name: str | None) -> _native.Handle:
        assert self.pickle is not None
        return session.submit(self.function.name, self.pickle, (), self.function.shelved, None, name)


class PickledCall(Recipe):
    """Any other call of a function in Python."""

    __slots__ = ("_called", "buffers", "inputs", "options", "pickle", "places")

    function: Function[Any]

    def __init__(
        self,
        function: Function[Any],
        pickled: Pickled,
        inputs: Sequence[Input],
        options: _native.Options | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        pickle, buffers = pickled
        size = len(pickle) + sum(buffer.nbytes for buffer in buffers) if buffers else len(pickle)
        self.function = function
        self.pickle = pickle if size <= KEPT else None
        # There are many of these: what is empty is shared.
        self.buffers = buffers if buffers and size <= KEPT else ()
        self.inputs = [weakref.ref(one) for one in inputs] if inputs else ()
        self.options = options
        self.places = places(args, kwargs) if inputs else None
        # It knows what its parameters are called.
        self._called = function.function if inputs else None

    @property
    def is_kept(self) -> bool:
        return self.pickle is not None

    def submit(self, session: _native.Session, inputs: list[_native.Handle], name: str | None) -> _native.Handle:
        assert self.pickle is not None
        inputs = [*inputs, *self.function.shelved]
        return session.submit(self.function.name, self.pickle, self.buffers, inputs, self.options, name)


def recipe_of(
    function: Function[Any],
    pickled: Pickled,
    inputs: Sequence[Input],
    options: _native.Options | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Recipe:
    """What a call was submitted with."""
    pickle, buffers = pickled
    if options is None and not inputs and not buffers:
        return PlainCall(function, pickle)
    return PickledCall(function, pickled, inputs, options, args, kwargs)


def places(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str | None, int | str]:
    """The ids of the tasks that arguments come from, and where these stand."""
    found: dict[str | None, int | str] = {}
    arguments: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    for place, argument in arguments:
        if type(argument) is Future:
            found[argument._handle.id] = place
        elif type(argument) not in PLAIN:
            found.update((future._handle.id, place) for future in futures_in(argument))
    return found


def retry(session: _native.Session, futures: Iterable[Future[Any]]) -> None:
    """Submits those that have failed again, after their inputs that have."""
    for future in _in_order(futures):
        recipe = future._recipe
        if recipe is None:
            why = "it was put, is one of several results, or was made by an actor"
            raise _cannot(future, why, "keep what it was made of")
        if not recipe.is_kept:
            raise _cannot(future, "its arguments are too large to be kept here", "`put` large arguments first")
        inputs = [one._handle for one in _inputs(future)]
        name = None if future.name == recipe.function.short_name else future.name
        future._handle = recipe.submit(session, inputs, name)


def _in_order(futures: Iterable[Future[Any]]) -> list[Future[Any]]:
    """The failed ones among the futures and all they need, inputs first."""
    ordered: list[Future[Any]] = []
    seen: set[Future[Any]] = set()
    stack = [(future, False) for future in futures]
    while stack:
        future, has_its_inputs = stack.pop()
        if has_its_inputs:
            ordered.append(future)
        elif future not in seen and future._handle.done() and future._handle.failure() is not None:
            seen.add(future)
            stack.append((future, True))
            # An actor that has ended is not made again: it would not be the same one.
            stack.extend((one, False) for one in _inputs(future) if isinstance(one, Future))
    return ordered


def _inputs(future: Future[Any]) -> list[Input]:
    alive = [one() for one in (future._recipe.inputs if future._recipe is not None else [])]
    kept = [one for one in alive if one is not None]
    if len(kept) < len(alive):
        raise _cannot(
            future, "the future of an input is gone", "keep the futures of inputs as long as their consumers'"
        )
    return kept


def _cannot(future: Future[Any], why: str, hint: str) -> UsageError:
    error = UsageError(f"`{future.name}` cannot be tried again: {why}")
    error.hint = f"{hint}, or submit it again"
    return error


def explain_one_of(error: BaseException, futures: list[Future[Any]]) -> None:
    """Says in a note which argument of which of these tasks came from one that failed, if that is why."""

    def parameter_of(needed: Needed) -> str | None:
        failed = (future._recipe for future in futures if future._handle.id == needed.task_id)
        recipe = next(failed, None)
        return None if recipe is None else recipe.parameter_of(needed)

    explain(error, parameter_of)
