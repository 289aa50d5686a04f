"""Ray, without its dashboard."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from comparison.contender import WORKERS, Contender, Place, RemoteCounter
from comparison.work.counting import Counter

OPTIONS = {
    "num_cpus": WORKERS,
    "include_dashboard": False,
    "log_to_driver": False,
    "logging_level": "ERROR",
}


class Ray(Contender):
    """A local cluster of its own."""

    name = "ray"
    title = "Ray"
    rank = 20
    requires: ClassVar = ("ray",)
    environment: ClassVar = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    links = True
    shares_memory = True

    def start(self) -> None:
        import ray

        self._ray: Any = ray
        self._remote: dict[Callable[..., Any], Any] = {}
        ray.init(**OPTIONS)

    def stop(self) -> None:
        self._ray.shutdown()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._remote_of(function).remote(*arguments)

    def result(self, handle: Any) -> Any:
        return self._ray.get(handle)

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        return list(self._ray.get(list(handles)))

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        remote = self._remote_of(function)
        return list(self._ray.get([remote.remote(item) for item in items]))

    def put(self, value: Any) -> Any:
        return self._ray.put(value)

    def split(self, function: Callable[..., Any], parts: int, *arguments: Any) -> list[Any]:
        return list(self._remote_of(function).options(num_returns=parts).remote(*arguments))

    def places(self) -> tuple[Place, Place]:
        runner = self._ray.remote(_Runner)
        return _Place(runner.remote()), _Place(runner.remote())

    def counter(self) -> RemoteCounter:
        return _Counter(self._ray.remote(Counter).remote())

    def worker_pids(self) -> list[int]:
        return [self.result(self.submit(os.getpid))]

    def _remote_of(self, function: Callable[..., Any]) -> Any:
        if function not in self._remote:
            # Builtins cannot be decorated; a plain function around them can.
            plain = function if hasattr(function, "__code__") else lambda *arguments: function(*arguments)
            self._remote[function] = self._ray.remote(plain)
        return self._remote[function]

    @classmethod
    def first_result_script(cls) -> str:
        return (
            "import ray\n"
            f"ray.init(**{OPTIONS})\n"
            "ray.get(ray.remote(lambda: 1).remote())\n"
            "print('ready', flush=True)\n"
            "ray.shutdown()\n"
        )


class _Runner:
    """An actor, which is in one process and stays there."""

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)


class _Place:
    def __init__(self, runner: Any) -> None:
        self._runner = runner

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._runner.run.remote(function, *arguments)


class _Counter:
    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def add(self, amount: int) -> Any:
        return self._actor.add.remote(amount)


CONTENDERS = [Ray]
