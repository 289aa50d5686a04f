"""Functions that a program in Rust calls: see tests/programs/mixed.rs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

import quiltwork as qw


def same(thing: Any) -> Any:
    return thing


def renamed(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {**record, "name": name}


def frequent(counts: dict[str, int], least: int) -> dict[str, int]:
    return {word: count for word, count in counts.items() if count >= least}


def transposed(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return matrix.T


def twice(data: memoryview) -> bytes:
    return bytes(data) * 2


def sums(matrices: list[npt.NDArray[np.float64]]) -> list[float]:
    return [float(matrix.sum()) for matrix in matrices]


def is_read_only(array: npt.NDArray[np.float64]) -> bool:
    return not array.flags.writeable and array.ctypes.data % 64 == 0


def unplain() -> object:
    return {"parts": [1, {2}]}


def fails(message: str) -> None:
    raise ValueError(message)


def slow() -> None:
    for _ in range(10_000):
        time.sleep(0.001)


def counted_in_rust(text: str) -> int:
    counts: dict[str, int] = qw.rust("mixed_program::count_words")(text)
    return len(counts)
