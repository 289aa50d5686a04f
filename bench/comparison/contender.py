"""What a contender offers to measurements. It must not know any of them.

A contender is a class in a file of its own in `contenders/`. It runs in a process of its own, so that what one leaves
behind meets nobody else, and it has two workers of one thread each.
"""

from __future__ import annotations

import operator
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

WORKERS = 2


class NotOffered(Exception):
    """This contender has nothing of the kind: its cell stays empty, and this is the reason."""


class Place(Protocol):
    """One certain worker."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Runs a call there; what it returns is a handle of the contender's."""


class RemoteCounter(Protocol):
    """A counter that lives in a worker."""

    def add(self, amount: int) -> Any:
        """Sends a call, and returns a handle of its result, the new count."""


class Contender(ABC):
    """A runtime, or something it is measured against."""

    name: ClassVar[str]
    title: ClassVar[str]
    rank: ClassVar[int]
    """Where it stands in tables."""
    is_limit: ClassVar[bool] = False
    """Whether it is what the machine can do at best, which nobody is compared with as with an equal."""
    requires: ClassVar[Sequence[str]] = ()
    """The modules without which it cannot run."""
    environment: ClassVar[Mapping[str, str]] = {}
    """What its processes need to find in their environment."""
    links: ClassVar[bool] = False
    """Whether handles may be arguments of further calls."""
    shares_memory: ClassVar[bool] = False
    """Whether a task that takes a large value reads it where it is, without a copy of its own."""
    always_uses_the_network: ClassVar[bool] = False
    """Whether values go from worker to worker on one machine as they do between machines."""

    @classmethod
    def command(cls) -> list[str]:
        """The process that answers measurements in this contender's name."""
        return [sys.executable, "-m", "comparison.serving", cls.name]

    @classmethod
    def absence(cls) -> str | None:
        """Why it cannot take part on this machine."""
        from importlib.util import find_spec

        missing = [module for module in cls.requires if find_spec(module) is None]
        return f"not installed: {', '.join(missing)}" if missing else None

    @abstractmethod
    def start(self) -> None:
        """Starts its workers."""

    @abstractmethod
    def stop(self) -> None:
        """Ends them."""

    @abstractmethod
    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Runs one call on a worker; returns a handle."""

    @abstractmethod
    def result(self, handle: Any) -> Any:
        """Waits for one result."""

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        """Waits for many."""
        return [self.result(handle) for handle in handles]

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """The results of one task for each item, in the way the contender has for it."""
        return self.gather([self.submit(function, item) for item in items])

    def map_chunked(self, function: Callable[[Any], Any], items: Sequence[Any], size: int) -> list[Any]:
        """The same with so many items a task; by hand, unless the contender has a way for that too."""
        chunks = [(function, items[at : at + size]) for at in range(0, len(items), size)]
        return [result for results in self.map(apply_to_each, chunks) for result in results]

    def put(self, value: Any) -> Any:
        """Brings a value where tasks can share it; for a contender without handles in arguments the value itself."""
        return value

    def hold(self, parts: Sequence[Any]) -> list[Any]:
        """Brings partitions to the workers, for `round`."""
        return [self.put(part) for part in parts]

    def round(self, function: Callable[..., Any], shared: Any, held: Sequence[Any]) -> list[Any]:
        """The results of `function(shared, part)` for all parts; none if it only computes them."""
        return self.gather([self.submit(function, shared, part) for part in held])

    def train(self, step: Callable[[Any, Any], Any], model: Any, held: Sequence[Any], rounds: int) -> Any:
        """The model after rounds of training and averaging that are the contender's own, not the client's."""
        raise NotOffered("no training of its own")

    def split(self, function: Callable[..., Any], parts: int, *arguments: Any) -> list[Any]:
        """Handles of the single items of a list that a call returns."""
        whole = self.submit(function, *arguments)
        return [self.submit(operator.getitem, whole, part) for part in range(parts)]

    def places(self) -> tuple[Place, Place]:
        """Two workers that are not the same."""
        raise NotOffered("a task cannot be bound to a worker")

    def counter(self) -> RemoteCounter:
        """A new counter in a worker."""
        raise NotOffered("no actors")

    def worker_pids(self) -> list[int]:
        """The worker processes."""
        raise NotOffered("no worker processes")

    @classmethod
    def first_result_script(cls) -> str:
        """A program that starts the contender with two workers, runs one call, prints a line, and ends properly."""
        raise NotOffered("nothing to start")


def apply_to_each(chunk: tuple[Callable[[Any], Any], Sequence[Any]]) -> list[Any]:
    """The results of a function for many items."""
    function, items = chunk
    return [function(item) for item in items]
