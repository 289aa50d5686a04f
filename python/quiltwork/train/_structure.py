"""Parameters as people write them, trees of dicts, lists, tuples and dataclasses, and the arrays in them, their
leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
P = TypeVar("P")

# Smaller leaves travel as bytes within the pickle, larger ones as arrays beside it.
_BESIDE = 4096


@dataclasses.dataclass(frozen=True)
class Leaf:
    """An array, or a number, that is trained. `dtype` is the character of its element type: `f` or `d`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    is_float: bool

    def take(self, value: Any, into: list[Array]) -> None:
        """Adds what stands in this place to the list, in the leaf's own type."""
        # Where a float stood, Python's own arithmetic may have made an int.
        found = _as_array(float(value) if self.is_float and type(value) is int else value, self.name)
        if found.shape != self.shape:
            raise ValueError(
                f"`{self.name}` has the shape {found.shape}, but {self.shape} in the parameters it began with"
            )
        into.append(np.ascontiguousarray(found, dtype=self.dtype).reshape(self.shape))

    def build(self, leaves: Iterator[Array]) -> Any:
        array = next(leaves)
        return float(array) if self.is_float else array


@dataclasses.dataclass(frozen=True)
class Kept:
    """What is part of the parameters and never trained: None, a text or a truth value."""

    name: str
    value: Any

    def take(self, value: Any, into: list[Array]) -> None:
        if type(value) is not type(self.value) or value != self.value:
            raise ValueError(f"`{self.name}` is {value!r}, but {self.value!r} in the parameters it began with")

    def build(self, leaves: Iterator[Array]) -> Any:
        return self.value


@dataclasses.dataclass(frozen=True)
class Branch:
    """A dict, list, tuple or dataclass of further nodes."""

    name: str
    kind: type[Any]
    parts: tuple[tuple[Any, Node], ...]

    def take(self, value: Any, into: list[Array]) -> None:
        if type(value) is not self.kind:
            raise TypeError(
                f"`{self.name}` is a `{type(value).__qualname__}`, but a `{self.kind.__qualname__}` "
                "in the parameters it began with"
            )
        found = dict(_parts(value))
        if found.keys() != dict(self.parts).keys():
            expected, names = [key for key, _ in self.parts], list(found)
            raise ValueError(f"`{self.name}` has the parts {names}, but {expected} in the parameters it began with")
        for key, node in self.parts:
            node.take(found[key], into)

    def build(self, leaves: Iterator[Array]) -> Any:
        built = [(key, node.build(leaves)) for key, node in self.parts]
        if issubclass(self.kind, dict):
            return self.kind(built)
        if dataclasses.is_dataclass(self.kind):
            return _dataclass(self.kind, dict(built))
        values = [value for _, value in built]
        return self.kind(*values) if hasattr(self.kind, "_fields") else self.kind(values)


Node = Leaf | Kept | Branch


class Structure(Generic[P]):
    """What parameters consist of: the way between a tree and the list of its leaves, in a fixed order."""

    def __init__(self, params: P) -> None:
        self.leaves: list[Leaf] = []
        self._root = self._node(params, "params")
        names = [leaf.name for leaf in self.leaves]
        if not names:
            raise ValueError("the parameters have no arrays\n  hint: give at least one array of floats")
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two parts of the parameters have the name `{min(twice)}`")

    def take(self, params: P) -> list[Array]:
        """The leaves of such a tree, each in one piece and of its own type."""
        into: list[Array] = []
        self._root.take(params, into)
        return into

    def build(self, leaves: Sequence[Array]) -> P:
        """The tree with these leaves."""
        params: P = self._root.build(iter(leaves))
        return params

    def views(self, buffers: Sequence[Any]) -> list[Array]:
        """The leaves that stand in buffers: read-only, and not copied."""
        views = []
        for leaf, buffer in zip(self.leaves, buffers, strict=True):
            view: Array = np.frombuffer(buffer, dtype=leaf.dtype).reshape(leaf.shape)
            view.flags.writeable = False
            views.append(view)
        return views

    def copies(self, buffers: Sequence[Any]) -> list[Array]:
        """The leaves that stand in buffers, to be written to."""
        return [view.copy() for view in self.views(buffers)]

    def _node(self, value: Any, path: str) -> Node:
        kind = type(value)
        if value is None or isinstance(value, (str, bool)):
            return Kept(path, value)
        if issubclass(kind, (dict, list, tuple)) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
            below = "" if path == "params" else f"{path}."
            return Branch(path, kind, tuple((key, self._node(part, f"{below}{key}")) for key, part in _parts(value)))
        array = _as_array(value, path)
        leaf = Leaf(path, array.dtype.char, array.shape, isinstance(value, float) and not isinstance(value, np.generic))
        self.leaves.append(leaf)
        return leaf


def sent(buffers: Sequence[Any]) -> list[Any]:
    """Buffers as they are pickled best."""
    raw = [np.frombuffer(buffer, dtype=np.uint8) for buffer in buffers]
    return [array if array.nbytes >= _BESIDE else array.tobytes() for array in raw]


def packed(leaves: Sequence[Array]) -> list[Any]:
    """The bytes of leaves as they are pickled best."""
    return sent([leaf.reshape(-1).view(np.uint8) for leaf in leaves])


def _parts(value: Any) -> list[tuple[Any, Any]]:
    """The parts of a branch by their keys."""
    if isinstance(value, dict):
        return list(value.items())
    if dataclasses.is_dataclass(value):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    return list(zip(getattr(value, "_fields", range(len(value))), value))


def _dataclass(kind: type[Any], values: dict[str, Any]) -> Any:
    """A dataclass with these fields; those it makes by itself are set afterwards."""
    made = kind(**{field.name: values[field.name] for field in dataclasses.fields(kind) if field.init})
    for field in dataclasses.fields(kind):
        if not field.init:
            object.__setattr__(made, field.name, values[field.name])
    return made


def _as_array(value: Any, path: str) -> Array:
    """A leaf as an array of `float32` or `float64`."""
    if isinstance(value, (np.ndarray, np.generic, float)):
        array = np.asarray(value)
        if array.dtype.char in "fd":
            return array
        what, hint = f"of type {array.dtype}", f"convert it: {path.rpartition('.')[2]}.astype(numpy.float32)"
    else:
        what, hint = f"a `{type(value).__qualname__}`", "give numpy arrays of floats, floats, and what holds them"
    raise TypeError(f"`{path}` is {what}, which cannot be averaged\n  hint: {hint}; leave out what is not trained")
