"""Tasks that do next to nothing."""

from __future__ import annotations

import time


def same(number: int) -> int:
    """What it is given."""
    return number


def add(left: int, right: int) -> int:
    """A sum of two."""
    return left + right


def sleep(seconds: float) -> float:
    """What it is given, later."""
    time.sleep(seconds)
    return seconds
