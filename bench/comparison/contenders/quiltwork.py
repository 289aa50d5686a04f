"""Quiltwork's Python package, by its public names only."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

from comparison.contender import WORKERS, Contender, NotOffered, Place, RemoteCounter
from comparison.work.counting import Counter


class Quiltwork(Contender):
    """A client with a cluster of its own."""

    name = "quiltwork"
    title = "Quiltwork"
    rank = 10
    requires: ClassVar = ("quiltwork",)
    links = True
    shares_memory = True

    def start(self) -> None:
        import quiltwork as qw

        self._client = qw.Client(n_workers=WORKERS)
        self._options = inspect.signature(qw.Client.submit).parameters

    def stop(self) -> None:
        self._client.close()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(function, *arguments)

    def result(self, handle: Any) -> Any:
        return handle.result()

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        return list(self._client.gather(list(handles)))

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return list(self._client.gather(self._client.map(function, items)))

    def put(self, value: Any) -> Any:
        return self._client.put(value)

    def split(self, function: Callable[..., Any], parts: int, *arguments: Any) -> list[Any]:
        if "outputs" not in self._options:
            return super().split(function, parts, *arguments)
        options: dict[str, Any] = {"outputs": parts}
        return list(self._client.submit(function, *arguments, **options))

    def train(self, step: Callable[[Any, Any], Any], model: Any, held: Sequence[Any], rounds: int) -> Any:
        if find_spec("quiltwork.train") is None:
            raise NotOffered("this version has no training")
        train: Any = import_module("quiltwork.train")

        def fit(params: Any, partition: Any, context: Any) -> Any:
            return train.Update(step(params, partition), weight=len(partition[1]))

        return train.run(self._client, fit, params=model, partitions=held, rounds=rounds, progress=False).params

    def places(self) -> tuple[Place, Place]:
        if "workers" not in self._options:
            raise NotOffered("this version cannot bind a task to a worker")
        first, second = self._client.worker_pids()
        return _Place(self._client, first), _Place(self._client, second)

    def counter(self) -> RemoteCounter:
        import quiltwork as qw

        if not hasattr(qw, "actor"):
            raise NotOffered("this version has no actors")
        return _Counter(qw.actor(Counter).remote())

    def worker_pids(self) -> list[int]:
        return list(self._client.worker_pids())

    @classmethod
    def first_result_script(cls) -> str:
        return (
            "import quiltwork as qw\n"
            f"with qw.Client(n_workers={WORKERS}) as client:\n"
            "    client.submit(abs, -1).result()\n"
            "    print('ready', flush=True)\n"
        )


class _Place:
    def __init__(self, client: Any, pid: int) -> None:
        self._client, self._pid = client, pid

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(function, *arguments, workers=[self._pid])


class _Counter:
    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def add(self, amount: int) -> Any:
        return self._actor.add.remote(amount)


CONTENDERS = [Quiltwork]
