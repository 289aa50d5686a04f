"""The process pools of the standard library, which have no handles in arguments and no values that stay."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.managers import BaseManager
from typing import Any

from comparison.contender import WORKERS, Contender, RemoteCounter
from comparison.work.counting import Counter

# The quickest way to start one, and what it has been by default on Linux.
FORK = multiprocessing.get_context("fork")


class PoolExecutor(Contender):
    """`concurrent.futures.ProcessPoolExecutor`."""

    name = "process-pool-executor"
    title = "ProcessPoolExecutor"
    rank = 40

    def start(self) -> None:
        self._executor = ProcessPoolExecutor(WORKERS, mp_context=FORK)

    def stop(self) -> None:
        self._executor.shutdown(cancel_futures=True)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._executor.submit(function, *arguments)

    def result(self, handle: Any) -> Any:
        return handle.result()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return list(self._executor.map(function, items))

    def map_chunked(self, function: Callable[[Any], Any], items: Sequence[Any], size: int) -> list[Any]:
        return list(self._executor.map(function, items, chunksize=size))

    def worker_pids(self) -> list[int]:
        return list(self._executor._processes or {})

    @classmethod
    def first_result_script(cls) -> str:
        return (
            "from concurrent.futures import ProcessPoolExecutor\n"
            f"with ProcessPoolExecutor({WORKERS}) as executor:\n"
            "    executor.submit(abs, -1).result()\n"
            "    print('ready', flush=True)\n"
        )


class Pool(Contender):
    """`multiprocessing.Pool`, and a manager's proxy for want of actors."""

    name = "multiprocessing-pool"
    title = "multiprocessing.Pool"
    rank = 41

    def start(self) -> None:
        self._pool = FORK.Pool(WORKERS)

    def stop(self) -> None:
        self._pool.terminate()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._pool.apply_async(function, arguments)

    def result(self, handle: Any) -> Any:
        return handle.get()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return self._pool.map(function, items, chunksize=1)

    def map_chunked(self, function: Callable[[Any], Any], items: Sequence[Any], size: int) -> list[Any]:
        return self._pool.map(function, items, chunksize=size)

    def counter(self) -> RemoteCounter:
        manager = _CounterManager(ctx=FORK)
        manager.start()
        return _Proxy(manager)

    def worker_pids(self) -> list[int]:
        return [process.pid for process in vars(self._pool)["_pool"]]

    @classmethod
    def first_result_script(cls) -> str:
        return (
            "from multiprocessing import Pool\n"
            f"with Pool({WORKERS}) as pool:\n"
            "    pool.apply(abs, (-1,))\n"
            "    print('ready', flush=True)\n"
        )


class _CounterManager(BaseManager):
    """A server process for a counter."""


_CounterManager.register("Counter", Counter)


class _Proxy:
    """A proxy of a manager waits for each answer; a handle is a result already."""

    def __init__(self, manager: Any) -> None:
        # The server ends with the manager.
        self._manager = manager
        self._counter = manager.Counter()

    def add(self, amount: int) -> Any:
        return _Answered(self._counter.add(amount))


class _Answered:
    def __init__(self, value: Any) -> None:
        self._value = value

    def get(self) -> Any:
        return self._value


CONTENDERS = [PoolExecutor, Pool]
