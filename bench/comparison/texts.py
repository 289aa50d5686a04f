"""Text made of words that are as common as in a language: what words are counted of. Nobody measures how it is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

VOCABULARY = 50_000


def write_text(folder: Path, files: int, size: int) -> None:
    """So many files with about `size` bytes together; nothing if they are there."""
    done = folder / "done"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(2)
    letters = random.integers(ord("a"), ord("z") + 1, (VOCABULARY, 10), dtype=np.uint8)
    lengths = random.integers(2, 10, VOCABULARY)
    words = np.array([bytes(row[:length]).decode() for row, length in zip(letters, lengths, strict=True)])
    chances = 1 / np.arange(1, VOCABULARY + 1)
    chances /= chances.sum()
    mean = float((chances * (lengths + 1)).sum())
    for number in range(files):
        chosen = random.choice(VOCABULARY, round(size / files / mean), p=chances)
        (folder / f"{number:03}.txt").write_text(" ".join(words[chosen]))
    done.touch()
