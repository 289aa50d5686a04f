"""Tasks that make and read large arrays."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]


def make(length: int) -> Floats:
    """So many numbers."""
    return np.full(length, 1.0)


def total(array: Floats) -> float:
    """Their sum; every page is read."""
    return float(array.sum())


def length(array: Floats) -> int:
    """How many they are; nothing is read."""
    return len(array)


def item(array: Floats, index: int) -> float:
    """One of them."""
    return float(array[index])
