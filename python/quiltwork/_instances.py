"""In a worker: the instances that actors are, and the calls of their methods."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quiltwork._actor import is_asynchronous, methods_of, no_such_method
from quiltwork._functions import is_async_generator_function
from quiltwork._pickled import Pickled, load_call
from quiltwork._printing import end_task
from quiltwork._run import Raised, described, made
from quiltwork._several import several
from quiltwork._yielding import AsyncYielding, Yielding

if TYPE_CHECKING:
    from quiltwork._looped import Looped
    from quiltwork._native import Guard
    from quiltwork._pickled import Handed


class Instance:
    """An actor all of whose methods are plain functions: they run on the threads that call them."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing
        self._methods = frozenset(methods_of(type(thing)))

    def call(self, method: str, payloads: Sequence[Handed]) -> Pickled | Raised:
        """Calls a method. Never raises what that raises."""
        name = self.name_of(method)
        try:
            result, outputs = self.enter(method, payloads)
            if outputs is not None:
                result = several(result, outputs, name)
        except BaseException as error:
            return described(error)
        finally:
            end_task()
        return made(name, result)

    def enter(self, method: str, payloads: Sequence[Handed]) -> tuple[Any, int | None]:
        """Calls a method, of which there are those that the actor's class shows, and says how many results that shall
        make, if it is several."""
        if method not in self._methods:
            raise no_such_method(type(self._thing).__qualname__, method, self._methods)
        call, *inputs = payloads
        _, args, kwargs, outputs = load_call(call, inputs)
        return getattr(self._thing, method)(*args, **kwargs), outputs

    def name_of(self, method: str) -> str:
        """What people call the method."""
        return f"{type(self._thing).__qualname__}.{method}"

    def close(self) -> None:
        """Lets go of it; if nobody else holds it, its `__del__` runs here."""
        self._thing = None
        end_task()


def construct(
    thing: Any, args: tuple[Any, ...], kwargs: dict[str, Any], guard: Guard
) -> tuple[Instance | Looped, bool]:
    """Makes an actor of a class, or of a generator function, and says whether it lives in an event loop."""
    if not isinstance(thing, type):
        cls = AsyncYielding if is_async_generator_function(thing) else Yielding
        thing, args, kwargs = cls, (thing, args, kwargs), {}
    make = functools.partial(thing, *args, **kwargs)
    if not is_asynchronous(thing):
        return Instance(guard.call(make)), False
    from quiltwork._looped import Looped

    return Looped(make, guard), True
