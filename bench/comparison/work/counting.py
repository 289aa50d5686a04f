"""A counter, as an actor: its own state and one method."""

from __future__ import annotations


class Counter:
    """Counts up."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, amount: int) -> int:
        """The new count."""
        self.count += amount
        return self.count
