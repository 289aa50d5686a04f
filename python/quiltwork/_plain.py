"""Values that functions of every language read: plain data, bytes, and arrays of numbers."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from quiltwork import _native
from quiltwork.errors import CannotTravel

if TYPE_CHECKING:
    from quiltwork._native import Payload

T = TypeVar("T")

# The form, and the bytes in pieces.
Written = tuple[str, Any, list[Any]]

# Kinds of numbers that other languages know, by numpy's names.
_KINDS = frozenset(("|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f4", "<f8"))
# What the place of an array's numbers is a multiple of.
_ALIGNMENT = 64
_MOST_DIMENSIONS = 64


def write(value: object) -> Written:
    """The value as it travels. `TypeError` if it is neither plain data nor bytes nor an array."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes", b"", [value]
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _write_array(numpy, value)
    return "plain", _native.pack(value), []


def read(payload: Payload) -> Any:
    """The value: plain data made anew, bytes as a `memoryview`, an array as a view, which is read-only."""
    match payload.form:
        case "plain":
            return payload.unpack()
        case "bytes":
            return memoryview(payload)
        case "array":
            return _read_array(payload)
        case "actor":
            error = CannotTravel("this value is an actor of another language")
            error.hint = "let tasks of that language call it, and take their results"
        case _:
            error = CannotTravel("this value was made in Rust, for Rust alone")
            error.hint = "submit the task that makes it with `.plain()`"
    raise error


def same(value: T) -> T:
    """What it is given: as a task it makes a plain value of a pickled one."""
    return value


def _write_array(numpy: Any, array: Any) -> Written:
    # In this machine's order of bytes, which is that of all machines Quiltwork runs on.
    array = numpy.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
    kind = array.dtype.str
    if kind not in _KINDS or array.ndim > _MOST_DIMENSIONS:
        raise TypeError(
            f"it is an array of {array.dtype} in {array.ndim} dimensions; other languages know arrays of"
            " integers and floats of up to 64 bits\n  hint: convert it with `astype`, or give a list"
        )
    numbers = memoryview(array.reshape(-1)).cast("B") if array.size else b""
    return "array", _header(kind, array.shape), [numbers]


def _header(kind: str, shape: tuple[int, ...]) -> bytes:
    header = struct.pack(f"<8sQ{len(shape)}Q", kind.encode(), len(shape), *shape)
    return header + bytes(-len(header) % _ALIGNMENT)


def _read_array(payload: Payload) -> Any:
    import numpy

    kind, dimensions = struct.unpack_from("<8sQ", payload)
    shape = struct.unpack_from(f"<{dimensions}Q", payload, 16)
    start = len(_header("", shape))
    array: Any = numpy.ndarray(shape, kind.rstrip(b"\0").decode(), memoryview(payload), start)
    if not array.flags.aligned:
        # A small one, beside a message, begins anywhere.
        array = array.copy()
        array.flags.writeable = False
    return array
