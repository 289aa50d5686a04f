"""Dask's distributed scheduler, without its dashboard: as it is installed, and tuned for many small tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from comparison.contender import WORKERS, Contender, Place, RemoteCounter
from comparison.work.counting import Counter

OPTIONS = f"n_workers={WORKERS}, threads_per_worker=1, processes=True, dashboard_address=None"


class Dask(Contender):
    """A local cluster with the default settings; its scheduler is in the client's process."""

    name = "dask"
    title = "Dask"
    rank = 30
    requires: ClassVar = ("dask", "distributed")
    links = True
    always_uses_the_network = True
    settings: ClassVar[dict[str, Any]] = {}

    def start(self) -> None:
        import dask
        from distributed import Client, LocalCluster

        dask.config.set(self.settings)
        self._cluster: Any = LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
        self._client: Any = Client(self._cluster)

    def stop(self) -> None:
        self._client.close()
        self._cluster.close()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(function, *arguments, pure=False)

    def result(self, handle: Any) -> Any:
        return handle.result()

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        from distributed.actor import BaseActorFuture

        if any(isinstance(handle, BaseActorFuture) for handle in handles):
            return super().gather(handles)
        return list(self._client.gather(list(handles)))

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return list(self._client.gather(self._client.map(function, list(items), pure=False)))

    def put(self, value: Any) -> Any:
        # Directly to a worker: twice as fast as by the scheduler.
        return self._client.scatter(value, direct=True, hash=False)

    def places(self) -> tuple[Place, Place]:
        first, second = self._client.scheduler_info()["workers"]
        return _Place(self._client, first), _Place(self._client, second)

    def counter(self) -> RemoteCounter:
        return _Counter(self._client.submit(Counter, actor=True).result())

    def worker_pids(self) -> list[int]:
        return [worker.pid for worker in self._cluster.workers.values()]

    @classmethod
    def first_result_script(cls) -> str:
        return (
            "from distributed import Client, LocalCluster\n"
            "if __name__ == '__main__':\n"
            f"    with LocalCluster({OPTIONS}) as cluster, Client(cluster) as client:\n"
            "        client.submit(abs, -1).result()\n"
            "        print('ready', flush=True)\n"
        )


class TunedDask(Dask):
    """The same with no limit to the tasks a worker is sent ahead."""

    name = "dask-tuned"
    title = "Dask, saturation=inf"
    rank = 31
    settings: ClassVar = {"distributed.scheduler.worker-saturation": float("inf")}


class _Place:
    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(function, *arguments, pure=False, workers=[self._address])


class _Counter:
    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def add(self, amount: int) -> Any:
        return self._actor.add(amount)


CONTENDERS = [Dask, TunedDask]
