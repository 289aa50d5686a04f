"""The task with which a worker gets ready for all others."""

from __future__ import annotations

import time

from comparison.work import arrays, counting, learning, small, sorting, words

__all__ = ["arrays", "counting", "learning", "small", "sorting", "words"]


def get_ready(seconds: float) -> None:
    """Has everything imported, and takes long enough for every other worker to get one of its kind."""
    time.sleep(seconds)
