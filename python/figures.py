"""Measures the Python package on this machine: two workers of one slot each, five rounds, minimum / median / maximum.

Run it with an installed release wheel: `pip install ./python numpy && OPENBLAS_NUM_THREADS=1 python python/figures.py`.
"""

from __future__ import annotations

import operator
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import quiltwork as qw
from quiltwork import train

ROUNDS = 5
TASKS = 10_000
CALLS = 500
LARGE = 12_500_000  # numbers of 8 bytes
PARTITIONS = 8
DIGITS = Path(__file__).parents[1] / "examples" / "data" / "digits.csv"


def report(what: str, unit: str, figures: list[float]) -> None:
    low, middle, high = min(figures), statistics.median(figures), max(figures)
    print(f"| {what} | {unit} | {low:,.1f} / **{middle:,.1f}** / {high:,.1f} |", flush=True)


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def process_millis(source: str) -> float:
    return 1000 * seconds(lambda: subprocess.run([sys.executable, "-P", "-c", source], check=True))


def start_millis() -> float:
    source = "import quiltwork as qw, os; c = qw.Client(n_workers=2); c.submit(abs, -1).result(); os._exit(0)"
    return process_millis(source) - process_millis("pass")


def latencies(client: qw.Client) -> list[float]:
    return sorted(1e6 * seconds(client.submit(operator.neg, 1).result) for _ in range(CALLS))


def likelihood(scores: Any) -> Any:
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def logistic_step(params: Any, partition: Any, ctx: train.Context) -> train.Update:
    """Multinomial logistic regression: 650 numbers, so that the round itself is seen."""
    inputs, labels = partition
    miss = likelihood(inputs @ params["w"])
    miss[np.arange(len(labels)), labels] -= 1
    params["w"] -= 0.1 / len(labels) * (inputs.T @ miss)
    return train.Update(params, weight=len(labels))


def network_step(params: Any, partition: Any, ctx: train.Context) -> train.Update:
    """One step through a network with a hidden layer: a million numbers of 4 bytes."""
    inputs, labels = partition
    hidden = np.maximum(inputs @ params["into"], 0)
    miss = likelihood(hidden @ params["out"])
    miss[np.arange(len(labels)), labels] -= 1
    miss *= np.float32(0.1 / len(labels))
    blame = (miss @ params["out"].T) * (hidden > 0)
    params["out"] -= hidden.T @ miss
    params["into"] -= inputs.T @ blame
    return train.Update(params, weight=len(labels))


def training(client: qw.Client) -> None:
    table = np.loadtxt(DIGITS, delimiter=",", skiprows=1)
    pixels, labels = np.hstack([table[:, :64] / 16, np.ones((len(table), 1))]), table[:, 64].astype(int)
    digits = [(pixels[number::PARTITIONS], labels[number::PARTITIONS]) for number in range(PARTITIONS)]
    rng = np.random.default_rng(0)
    noise = [(rng.standard_normal((256, 1000), dtype=np.float32), rng.integers(0, 10, 256)) for _ in range(PARTITIONS)]
    scale = np.float32(0.03)
    network = {
        name: scale * rng.standard_normal((1000, n), dtype=np.float32) for name, n in [("into", 1000), ("out", 10)]
    }
    for name, step, params, partitions, rounds in [
        ("logistic regression of digits", logistic_step, {"w": np.zeros((65, 10))}, digits, 50),
        ("a network of a million numbers", network_step, network, noise, 20),
    ]:
        run = dict(fit=step, params=params, rounds=rounds, progress=False)
        held = client.scatter(partitions)
        train.run(client, partitions=held, **run)

        def millis(work: Callable[[], object], rounds: int = rounds) -> list[float]:
            return [1000 * seconds(work) / rounds for _ in range(ROUNDS)]

        clustered = millis(lambda held=held, run=run: train.run(client, partitions=held, **run))
        report(f"a round of {name}, {PARTITIONS} partitions", "ms", clustered)
        alone = millis(lambda partitions=partitions, run=run: train.serial(partitions=partitions, **run))
        report(f"a round of {name} in one process", "ms", alone)


def main() -> None:
    print("| figure | unit | min / median / max |\n|---|---|---|")
    report(
        "import, over a bare Python",
        "ms",
        [process_millis("import quiltwork") - process_millis("pass") for _ in range(20)],
    )
    report(
        "start of the process to the first result, over a bare Python", "ms", [start_millis() for _ in range(ROUNDS)]
    )
    with qw.Client(n_workers=2) as client:
        client.gather(client.map(operator.neg, range(1000)))

        def no_ops() -> None:
            client.gather(client.map(operator.neg, range(TASKS)))

        report(f"`map` and `gather` of {TASKS:,} no-ops", "tasks/s", [TASKS / seconds(no_ops) for _ in range(ROUNDS)])
        rounds = [latencies(client) for _ in range(ROUNDS)]
        report("submit one, wait for it: p50", "µs", [times[CALLS // 2] for times in rounds])
        report("submit one, wait for it: p99", "µs", [times[CALLS * 99 // 100] for times in rounds])
        for size, name in ((LARGE // 100, "1 MB"), (LARGE, "100 MB")):
            arrays = [client.submit(np.ones, size) for _ in range(ROUNDS)]
            qw.wait(arrays)
            copied = qw.copied_bytes()
            report(
                f"{name} made before, to a task", "ms", [1000 * seconds(client.submit(len, a).result) for a in arrays]
            )
            report(f"{name} made before, to the client", "ms", [1000 * seconds(a.result) for a in arrays])
            assert qw.copied_bytes() == copied
            del arrays
        training(client)


if __name__ == "__main__":
    main()
