"""Tasks that count words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path


def count(path: str) -> Counter[str]:
    """How often each word stands in a file."""
    return Counter(Path(path).read_text().split())


def merge(*counts: Counter[str]) -> Counter[str]:
    """All counts together."""
    merged: Counter[str] = Counter()
    for each in counts:
        merged.update(each)
    return merged
