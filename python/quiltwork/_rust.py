"""Functions in Rust: named here, run by workers of the programs that have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from quiltwork import _native, _plain
from quiltwork._future import Future
from quiltwork._native import Handle
from quiltwork.errors import CannotTravel

if TYPE_CHECKING:
    from quiltwork._client import Client

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

        return current_client()._submit_task(self, self._options, args, {})

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


class RustFunction:
    """A function in Rust as it is sent: by its name, its arguments one by one."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name
        self.short_name = name.rpartition("::")[2]

    def passed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The arguments as they travel."""
        if kwargs:
            raise TypeError(f"`{self.name}` is a function in Rust, whose arguments have no names: {', '.join(kwargs)}")
        return [self._argument(number, argument) for number, argument in enumerate(args, 1)]

    def key_of(self, passed: list[Any]) -> str:
        """The same for the same call."""
        import hashlib

        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for argument in passed:
            for piece in _pieces(argument):
                digest.update(piece)
        return f"{self.short_name}-{digest.hexdigest()}"

    def _argument(self, number: int, argument: Any) -> Any:
        if isinstance(argument, Future):
            return self._client._plain_form(argument)._handle
        if isinstance(argument, (list, tuple)) and argument and all(isinstance(item, Future) for item in argument):
            return [self._client._plain_form(item)._handle for item in argument]
        try:
            return _plain.write(argument)
        except (TypeError, ValueError, BufferError) as cause:
            error = CannotTravel(f"argument {number} of `{self.name}` cannot travel to Rust: {cause}")
            error.hint = "give plain data, bytes or an array, or futures by themselves or as a list"
            raise error from cause


def _pieces(argument: Any) -> list[Any]:
    if isinstance(argument, Handle):
        return [f"{argument.id};".encode()]
    if isinstance(argument, list):
        return [f"{handle.id},".encode() for handle in argument]
    form, first, rest = argument
    return [form.encode(), first, *rest]


class PlainForms:
    """The futures that were made plain already for functions in Rust, as long as they live."""

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[Future[Any], Future[Any]] = WeakKeyDictionary()

    def of(self, future: Future[Any], make: Callable[[Future[Any]], Future[Any]]) -> Future[Any]:
        """The future itself if it is plain, or that of a task which makes it so."""
        if future._plain:
            return future
        plain = self._made.get(future)
        if plain is None:
            plain = self._made[future] = make(future)
        return plain


def plain_options() -> _native.Options:
    """The options of a task whose result every language can read."""
    return _native.Options(plain=True)
