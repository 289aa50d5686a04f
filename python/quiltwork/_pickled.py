"""Objects as bytes that travel: pickles with their large buffers beside them, futures that become their values, and
handles of actors."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from quiltwork._actor import ActorHandle, Kind
    from quiltwork._future import Future
    from quiltwork._native import Payload

    # What stands in a call for something in the cluster.
    Input: TypeAlias = Future[Any] | ActorHandle[Any]

# Smaller buffers are copied into the pickle: a place of their own would cost more than it saves.
_BESIDE = 4096

# What stands in a pickle that names something of the script itself, which no other process can import.
_MAIN = b"__main__"

Pickled = tuple[bytes, Sequence[memoryview]]

# A value as the engine hands it over: a small pickle by itself.
Handed: TypeAlias = "Payload | bytes"

# What can hold neither a large buffer nor a future, and goes by value nowhere.
PLAIN = frozenset((int, float, complex, bool, str, bytes, type(None)))


class _Passing(threading.local):
    """What is passed between a thread's pickler and the futures it meets, or its unpickler and their values."""

    inputs: list[Input] | None = None
    payloads: Sequence[Handed] | None = None


_passing = _Passing()


def dump(thing: object) -> Pickled:
    """Pickles an object; what is defined in the script itself, or has no name, goes along by value."""
    if type(thing) in PLAIN:
        return dump_plain(thing)
    buffers: list[memoryview] = []

    def beside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _BESIDE:
            return True
        buffers.append(raw)
        return False

    try:
        pickled = pickle.dumps(thing, protocol=5, buffer_callback=beside)
        if _MAIN not in pickled:
            return pickled, buffers
    except (pickle.PicklingError, AttributeError, TypeError):
        pass
    return _dump_by_value(thing, beside, buffers)


def _dump_by_value(thing: object, beside: Callable[[pickle.PickleBuffer], bool], buffers: list[memoryview]) -> Pickled:
    import cloudpickle

    buffers.clear()
    if _passing.inputs is not None:
        _passing.inputs.clear()
    return cloudpickle.dumps(thing, protocol=5, buffer_callback=beside), buffers


def dump_plain(thing: object) -> Pickled:
    """Pickles what is made of plain things, without looking for what such things cannot hold."""
    return pickle.dumps(thing, protocol=5), ()


def load(payload: Handed) -> Any:
    """The object. Its large arrays are views of the payload: not copied, and read-only."""
    if isinstance(payload, bytes):
        return pickle.loads(payload)
    if not payload.pickled:
        from quiltwork import _plain

        return _plain.read(payload)
    pickled, buffers = payload.open()
    return pickle.loads(pickled, buffers=buffers)


def load_to_write(payload: Handed) -> Any:
    """The object, with large arrays of its own that may be written to."""
    if isinstance(payload, bytes):
        return pickle.loads(payload)
    if not payload.pickled:
        import copy

        return copy.deepcopy(load(payload)) if payload.form == "array" else load(payload)
    pickled, buffers = payload.open()
    return pickle.loads(pickled, buffers=map(bytearray, buffers))


def dump_call(call: object) -> tuple[Pickled, list[Input]]:
    """Pickles what a task is called with, and lists the futures and actors in it, in the order of their numbers."""
    outer, _passing.inputs = _passing.inputs, []
    try:
        pickled = dump(call)
        return pickled, _passing.inputs
    finally:
        _passing.inputs = outer


def load_call(call: Handed, payloads: Sequence[Handed]) -> tuple[Any, tuple[Any, ...], dict[str, Any], int | None]:
    """What is called, with its arguments, and how many results it makes if it makes several; the futures among the
    arguments have become their values."""
    if not payloads:
        # Then there is no future in it.
        called, args, kwargs, outputs, _ = load(call)
        return called, args, kwargs, outputs
    outer, _passing.payloads = _passing.payloads, payloads
    try:
        called, args, kwargs, outputs, places = load(call)
    finally:
        _passing.payloads = outer
    if places:
        args = list(args)
        for place, payload in zip(places, payloads):
            args[place] = load(payload)
    return called, tuple(args), kwargs, outputs


def pass_future(future: Future[Any]) -> tuple[Callable[[int], Any], tuple[int]]:
    """How a future is pickled: as an argument of a task, and nowhere else."""
    inputs = _passing.inputs
    if inputs is None:
        raise _stays("a future", "a result or a captured variable cannot hold it; use its result()")
    inputs.append(future)
    return value_of, (len(inputs) - 1,)


def pass_actor(actor: ActorHandle[Any]) -> tuple[Callable[[int, Kind], ActorHandle[Any]], tuple[int, Kind]]:
    """How the handle of an actor is pickled: as an argument of a task, and nowhere else."""
    inputs = _passing.inputs
    if inputs is None:
        hint = "a result or a captured variable cannot hold it; give the actor a name, and use `get_actor` there"
        raise _stays("the handle of an actor", hint)
    inputs.append(actor)
    return actor_of, (len(inputs) - 1, actor._kind)


def _stays(what: str, hint: str) -> TypeError:
    return TypeError(f"{what} can only travel as an argument of a task (or within one)\n  hint: {hint}")


def value_of(number: int) -> Any:
    """What a pickled future becomes where the task runs."""
    return load(_passed(number))


def actor_of(number: int, kind: Kind) -> ActorHandle[Any]:
    """What the pickled handle of an actor becomes where the task runs."""
    from quiltwork._actor import received

    # Its name, which is no pickle.
    return received(cast("Payload", _passed(number)), kind)


def _passed(number: int) -> Handed:
    payloads = _passing.payloads
    if payloads is None:
        raise RuntimeError("it was pickled as an argument of a task, and is read outside of one")
    return payloads[number]
