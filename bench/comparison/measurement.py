"""What a measurement is: what it is called, how much of it is done, and the figures it gives.

A measurement is a class in a file of its own in `measurements/`. It uses what every contender offers and must not know
any of them. Contenders that are programs in Rust have their own code for the measurements of the same names.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from comparison.contender import Contender

GROUPS = {
    "tasks": "Small tasks",
    "data": "Large values",
    "actors": "Actors",
    "life": "Starting, resting, failing",
    "training": "Parameter averaging",
    "training-tuned": "Parameter averaging, glibc's malloc tuned",
    "programs": "Whole programs",
}
"""The tables, in their order. Within a group all measurements of a round are made by one process of a contender."""

Sizes = Mapping[str, Any]
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Figure:
    """One row of a table."""

    key: str
    title: str
    unit: str
    more_is_better: bool = False


class Measurement(ABC):
    """One thing that is measured."""

    name: str
    group: ClassVar[str]
    rank: int
    """Where it stands in its group."""
    starts: ClassVar[bool] = True
    """Whether the contender is started before."""
    breaks: ClassVar[bool] = False
    """Whether a contender may be of no use after it: then it is the last thing its process does."""
    environment: ClassVar[Mapping[str, str]] = {}
    """What all processes of all contenders find in their environment; the same for all measurements of a group."""
    limit: ClassVar[float] = 60.0
    """Seconds after which it is given up; a quick run has less patience."""
    grows_from: tuple[str, float] | None = None
    """A measurement before it, and how often as long this one takes: what surely passes the limit is not tried."""

    @abstractmethod
    def sizes(self, quick: bool) -> Sizes | None:
        """How much is done; nothing if it is left out of a quick run."""

    @abstractmethod
    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        """What it finds out."""

    def prepare(self, folder: Path, sizes: Sizes) -> None:
        """Writes what all contenders read, once, into this folder. Most read nothing."""
        del folder, sizes

    @abstractmethod
    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        """Measures once: each figure by its key. What warms up is done before, and what is checked after the clock."""


class Watch:
    """A clock that has been stopped."""

    seconds = 0.0


@contextmanager
def clock() -> Iterator[Watch]:
    """Measures what is done within."""
    watch = Watch()
    begun = time.perf_counter()
    yield watch
    watch.seconds = time.perf_counter() - begun


def seconds(work: Callable[[], object]) -> float:
    """How long this takes."""
    with clock() as watch:
        work()
    return watch.seconds


def expect(condition: bool, what: str) -> None:
    """A wrong result makes a figure worthless."""
    if not condition:
        raise AssertionError(f"wrong result: {what}")
