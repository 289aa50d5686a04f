"""`python -m quiltwork`: starts a cluster here, runs a task on it, and says what it found."""

from __future__ import annotations

import argparse
import os
import platform
import time

import quiltwork


def main() -> None:
    """Checks that this installation works on this machine."""
    parser = argparse.ArgumentParser(prog="python -m quiltwork", description="Checks that quiltwork works here.")
    parser.add_argument("--version", action="version", version=f"quiltwork {quiltwork.__version__}")
    parser.add_argument("--workers", type=int, default=None, help="how many processes to start (one per processor)")
    workers: int | None = parser.parse_args().workers
    print(f"quiltwork {quiltwork.__version__} on Python {platform.python_version()}")
    begun = time.perf_counter()
    with quiltwork.Client(n_workers=workers) as client:
        pid = client.submit(os.getpid).result()
        millis = 1000 * (time.perf_counter() - begun)
        count = len(client.worker_pids())
        print(f"{count} workers; process {pid} ran the first task {millis:.0f} ms after the start")


if __name__ == "__main__":
    main()
