"""Tasks that make several results: in the worker, the results of a function, and one of them by its number."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any


def several(result: Any, outputs: int, name: str) -> tuple[Any, ...]:
    """The results of a function that shall make so many."""
    kind = type(result).__qualname__
    if not isinstance(result, Iterable):
        raise TypeError(f"`{name}` returned a `{kind}`, and not {outputs} results (outputs={outputs})")
    results = tuple(itertools.islice(result, outputs + 1))
    if len(results) == outputs:
        return results
    many = f"more than {outputs}" if len(results) > outputs else str(len(results))
    raise ValueError(f"`{name}` returned a `{kind}` of {many} results, and not {outputs} (outputs={outputs})")


def pick(results: tuple[Any, ...], number: int) -> Any:
    """One of the results of a task that makes several: what the task runs that stands for it."""
    return results[number]


def pick_counted(results: Any, number: int, outputs: int, name: str) -> Any:
    """The same of a function in another language, whose results nobody has counted."""
    return several(results, outputs, name)[number]
