"""One graph in two languages: signals are made with numpy, smoothed and searched by tasks in Rust, and judged here.

Run it: `cargo build --release --example signals` and then `python examples/python/mixed_rust.py` (it needs numpy). The
tasks are in `examples/signals.rs`. Expected output:

    8 signals of 100000 points
    as they are they have 33313 peaks on average, smoothed 100
"""

import os
from pathlib import Path

import numpy as np

import quiltwork as qw

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[2] / "target"))
PROGRAM = max(TARGET.glob("*/examples/signals"), key=lambda program: program.stat().st_mtime)

smooth = qw.rust("signals::smooth")
peaks = qw.rust("signals::peaks")


def noisy(seed: int) -> np.ndarray:
    noise = np.random.RandomState(seed).normal(size=100_000)
    return np.sin(np.arange(100_000) * 2 * np.pi / 1000) + 0.1 * noise


def mean_length(lists: list[list[int]]) -> float:
    return sum(map(len, lists)) / len(lists)


with qw.Client(n_workers=1, programs={PROGRAM: 1}) as client:
    signals = client.map(noisy, range(8))
    smoothed = signals
    for _ in range(4):
        smoothed = [client.submit(smooth, signal, 100) for signal in smoothed]
    found = client.map(peaks, signals), client.map(peaks, smoothed)
    before, after = (client.submit(mean_length, lists).result() for lists in found)
    print(f"{len(signals)} signals of {len(signals[0].result())} points")
    print(f"as they are they have {before:.0f} peaks on average, smoothed {after:.0f}")
