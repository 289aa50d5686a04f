"""The tasks of a sample sort of unsigned numbers of 64 bits."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.uint64]


def generate(seed: int, length: int) -> Numbers:
    """Random numbers."""
    return np.random.default_rng(seed).integers(0, 2**64, length, dtype=np.uint64)


def sample(numbers: Numbers, length: int) -> Numbers:
    """Some of them, evenly spread."""
    return numbers[:: max(1, len(numbers) // length)].copy()


def split(numbers: Numbers, bounds: Numbers) -> list[Numbers]:
    """The sorted numbers, cut at the bounds."""
    ordered = np.sort(numbers)
    return np.split(ordered, np.searchsorted(ordered, bounds))


def merge(*pieces: Numbers) -> Numbers:
    """Sorted pieces as one. The sort finds what is in order already."""
    return np.sort(np.concatenate(pieces), kind="stable")


def merge_part(part: int, *splits: list[Numbers]) -> Numbers:
    """The same for one part of whole splits."""
    return merge(*(pieces[part] for pieces in splits))


def edges(numbers: Numbers) -> tuple[int, int, int, bool]:
    """How many, the first, the last, and whether they are in order."""
    return len(numbers), int(numbers[0]), int(numbers[-1]), bool((numbers[:-1] <= numbers[1:]).all())
