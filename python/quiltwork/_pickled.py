"""Objects as bytes that travel: pickles with their large buffers beside them, and futures that become their values."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quiltwork._future import Future
    from quiltwork._native import Payload

# Smaller buffers are copied into the pickle: a place of their own would cost more than it saves.
_BESIDE = 4096

# What stands in a pickle that names something of the script itself, which no other process can import.
_MAIN = b"__main__"

Pickled = tuple[bytes, list[memoryview]]


class _Passing(threading.local):
    """What is passed between a thread's pickler and the futures it meets, or its unpickler and their values."""

    futures: list[Future[Any]] | None = None
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
    if _passing.futures is not None:
        _passing.futures.clear()
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


def dump_call(call: object) -> tuple[Pickled, list[Future[Any]]]:
    """Pickles what a task is called with, and lists the futures in it, in the order of their numbers."""
    outer, _passing.futures = _passing.futures, []
    try:
        pickled = dump(call)
        return pickled, _passing.futures
    finally:
        _passing.futures = outer


def load_call(call: Payload, payloads: Sequence[Payload]) -> Any:
    """What a task is called with; the futures in it have become their values."""
    outer, _passing.payloads = _passing.payloads, payloads
    try:
        return load(call)
    finally:
        _passing.payloads = outer


def pass_future(future: Future[Any]) -> tuple[Callable[[int], Any], tuple[int]]:
    """How a future is pickled: as an argument of a task, and nowhere else."""
    futures = _passing.futures
    if futures is None:
        raise TypeError(
            "a future can only travel as an argument of a task (or within one)\n"
            "  hint: a result or a captured variable cannot hold it; use its result()"
        )
    futures.append(future)
    return value_of, (len(futures) - 1,)


def value_of(number: int) -> Any:
    """What a pickled future becomes where the task runs."""
    payloads = _passing.payloads
    if payloads is None:
        raise RuntimeError("a future was pickled for a task, and is read outside of one")
    return load(payloads[number])
