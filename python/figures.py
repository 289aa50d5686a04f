"""Measures the Python package on this machine: two workers of one slot each, five rounds, minimum / median / maximum.

Run it with an installed release wheel: `pip install ./python numpy && python python/figures.py`.
"""

from __future__ import annotations

import operator
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

import quiltwork as qw

ROUNDS = 5
TASKS = 10_000
CALLS = 500
LARGE = 12_500_000  # numbers of 8 bytes


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


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self, by: int) -> int:
        self.count += by
        return self.count


def numbers(count: int) -> Iterator[int]:
    yield from range(count)


def report_actors(client: qw.Client) -> None:
    counter = client.actor(Counter)

    def calls() -> None:
        client.gather([counter.add.remote(1) for _ in range(TASKS)])

    def one_by_one() -> None:
        for _ in range(CALLS):
            counter.add.remote(1).result()

    def read() -> None:
        assert sum(1 for _ in client.submit(numbers, TASKS)) == TASKS

    calls()
    report("calls of an actor, one by one", "calls/s", [CALLS / seconds(one_by_one) for _ in range(ROUNDS)])
    report(f"{TASKS:,} calls of an actor at once", "calls/s", [TASKS / seconds(calls) for _ in range(ROUNDS)])
    report("items of a stream", "items/s", [TASKS / seconds(read) for _ in range(ROUNDS)])


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
        report_actors(client)
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


if __name__ == "__main__":
    main()
