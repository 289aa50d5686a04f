"""How functions travel: importable ones by their names, all others by value, once per client."""

from __future__ import annotations

import functools
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from quiltwork._pickled import dump, load

if TYPE_CHECKING:
    from quiltwork._native import Handle, Session
    from quiltwork._pickled import Handed

# How many functions that came by value a worker keeps.
_KEPT = 256


class Reference:
    """A function that came by value, by the digest of what it was pickled to. Stands in a call; pickles small."""

    __slots__ = ("digest",)

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def __reduce__(self) -> tuple[type[Reference], tuple[bytes]]:
        return Reference, (self.digest,)


def name_of(function: Callable[..., Any]) -> str:
    """`module:qualname`, or the nearest thing a callable has to it."""
    inner = function.func if isinstance(function, functools.partial) else function
    kind = type(inner)
    module = getattr(inner, "__module__", None) or kind.__module__
    qualname = getattr(inner, "__qualname__", None) or getattr(inner, "__name__", None) or kind.__qualname__
    return f"{module}:{qualname}"


def short_name(name: str) -> str:
    """What people call a task: its function's own name, or all of a name they have given it."""
    module, colon, qualname = name.partition(":")
    if qualname.startswith(":"):
        # The path of a function in Rust.
        return name.rpartition("::")[2]
    is_of_function = colon and module.replace(".", "_").isidentifier()
    return qualname.rpartition(".")[2] if is_of_function else name


def is_importable(function: Callable[..., Any]) -> bool:
    """Whether another process finds this very function by its name."""
    name = getattr(function, "__module__", None)
    qualname = getattr(function, "__qualname__", None)
    if not name or not qualname or name in ("__main__", "__mp_main__") or "<" in qualname:
        return False
    found: Any = sys.modules.get(name)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found is function


# The flags of code that yields, and of code that yields asynchronously, as `inspect` has them.
_YIELDS, _YIELDS_ASYNCHRONOUSLY = 0x20, 0x200


def is_generator_function(function: Callable[..., Any]) -> bool:
    """Whether a call makes a generator, plain or asynchronous."""
    return bool(_flags_of(function) & (_YIELDS | _YIELDS_ASYNCHRONOUSLY))


def is_async_generator_function(function: Callable[..., Any]) -> bool:
    """Whether a call makes an asynchronous generator."""
    return bool(_flags_of(function) & _YIELDS_ASYNCHRONOUSLY)


def _flags_of(function: Any) -> int:
    """Those of a function's code, also of what `@task` or `partial` made of it."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(getattr(function, "function", function), "__code__", None)
    return code.co_flags if isinstance(code, types.CodeType) else 0


class Shelf:
    """The functions and classes a client has sent by value; each is forgotten with the function."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sent: WeakKeyDictionary[Callable[..., Any], tuple[Reference, Handle]] = WeakKeyDictionary()

    def send(self, function: types.FunctionType | type) -> tuple[Reference, Handle]:
        """The function's reference, and the value it was brought into the cluster as."""
        sent = self._sent.get(function)
        if sent is None:
            import hashlib

            pickled, buffers = dump(function)
            digest = hashlib.blake2b(pickled, digest_size=16)
            for buffer in buffers:
                digest.update(buffer)
            sent = Reference(digest.digest()), self._session.put(pickled, buffers)
            self._sent[function] = sent
        return sent


_found: dict[str, Callable[..., Any]] = {}
_unpickled: OrderedDict[bytes, Callable[..., Any]] = OrderedDict()


def find(name: str) -> Callable[..., Any]:
    """In a worker: the function of that name, imported if need be."""
    function = _found.get(name)
    if function is None:
        import importlib

        module, _, qualname = name.partition(":")
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
        function = _found[name] = found
    return function


def take(reference: Reference, payload: Handed) -> Callable[..., Any]:
    """In a worker: a function that came by value, unpickled when it first comes."""
    function = _unpickled.pop(reference.digest, None)
    if function is None:
        function = load(payload)
    _unpickled[reference.digest] = function
    while len(_unpickled) > _KEPT:
        _unpickled.popitem(last=False)
    return function
