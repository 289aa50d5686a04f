"""Objects as bytes that travel: pickles with their large buffers beside them, futures that become their values, and
handles of actors."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

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

Pickled = tuple[bytes, list[memoryview]]


class _Passing(threading.local):
    """What is passed between a thread's pickler and the futures it meets, or its unpickler and their values."""

    inputs: list[Input] | None = None
    payloads: Sequence[Payload] | None = None


_passing = _Passing()


def dump(thing: object) -> Pickled:
    """Pickles an object; what is defined in the script itself, or has no name, goes along by value."""
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


def load(payload: Payload) -> Any:
    """The object. Its large arrays are views of the payload: not copied, and read-only."""
    if not payload.pickled:
        from quiltwork import _plain

        return _plain.read(payload)
    pickled, buffers = payload.open()
    return pickle.loads(pickled, buffers=buffers)


def load_to_write(payload: Payload) -> Any:
    """The object, with large arrays of its own that may be written to."""
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


def load_call(call: Payload, payloads: Sequence[Payload]) -> Any:
    """What a task is called with; the futures in it have become their values."""
    outer, _passing.payloads = _passing.payloads, payloads
    try:
        return load(call)
    finally:
        _passing.payloads = outer


def pass_future(future: Future[Any]) -> tuple[Callable[[int], Any], tuple[int]]:
    """How a future is pickled: as an argument of a task, and nowhere else."""
    hint = "a result or a captured variable cannot hold it; use its result()"
    return value_of, (_pass(future, "a future", hint),)


def pass_actor(actor: ActorHandle[Any]) -> tuple[Callable[[int, Kind], ActorHandle[Any]], tuple[int, Kind]]:
    """How the handle of an actor is pickled: as an argument of a task, and nowhere else."""
    hint = "a result or a captured variable cannot hold it; give the actor a name, and use `get_actor` there"
    return actor_of, (_pass(actor, "the handle of an actor", hint), actor._kind)


def _pass(thing: Input, what: str, hint: str) -> int:
    """The number under which the task gets it."""
    inputs = _passing.inputs
    if inputs is None:
        raise TypeError(f"{what} can only travel as an argument of a task (or within one)\n  hint: {hint}")
    inputs.append(thing)
    return len(inputs) - 1


def value_of(number: int) -> Any:
    """What a pickled future becomes where the task runs."""
    return load(_passed(number))


def actor_of(number: int, kind: Kind) -> ActorHandle[Any]:
    """What the pickled handle of an actor becomes where the task runs."""
    from quiltwork._actor import received

    return received(_passed(number), kind)


def _passed(number: int) -> Payload:
    payloads = _passing.payloads
    if payloads is None:
        raise RuntimeError("it was pickled as an argument of a task, and is read outside of one")
    return payloads[number]
