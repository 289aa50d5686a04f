"""A worker is killed while tasks run: every result is right all the same, and arrays it has made are still there.

Run it: `python examples/python/survive_a_crash.py` (it needs numpy). Expected output (the process's number is yours):

    killed process 4711 while it was at work
    all 200 squares and their sum are right
    20 arrays of 1 MB, made by whichever worker, sum up to 2500000.0
"""

import time

import numpy as np

import quiltwork as qw

NUMBERS = range(1, 201)


def square(x: int) -> int:
    time.sleep(0.01)  # so that it can be caught in the middle
    return x * x


def total(parts: list[np.ndarray]) -> float:
    return float(sum(part.sum() for part in parts))  # read where they are: no byte is copied


with qw.Client(n_workers=2) as client:
    arrays = [client.submit(np.ones, 125_000) for _ in range(20)]
    squares = client.map(square, NUMBERS)
    qw.wait(squares[:20])
    victim = client.worker_pids()[0]
    client.kill_worker(victim)
    print(f"killed process {victim} while it was at work")

    assert client.gather(squares) == [x * x for x in NUMBERS]
    assert client.submit(sum, squares).result() == sum(x * x for x in NUMBERS)
    print(f"all {len(NUMBERS)} squares and their sum are right")
    print(f"{len(arrays)} arrays of 1 MB, made by whichever worker, sum up to {client.submit(total, arrays).result()}")
