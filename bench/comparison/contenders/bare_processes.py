"""Two forked processes that only compute, with a barrier a round: the floor of all that also move data and average."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

from comparison.contender import WORKERS, Contender, NotOffered

FORK = multiprocessing.get_context("fork")
PATIENCE = 60.0


class BareProcesses(Contender):
    """Each process computes its share of the parts from what it had when it was forked. Nothing is sent."""

    name = "bare-processes"
    title = "two bare processes"
    rank = 81
    is_limit = True

    def start(self) -> None:
        self._processes: list[Any] = []

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()
        self._processes = []

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        raise NotOffered("it runs no tasks")

    def result(self, handle: Any) -> Any:
        raise NotOffered("it runs no tasks")

    def hold(self, parts: Sequence[Any]) -> list[Any]:
        # Those of the measurement before have its parts.
        self.stop()
        return list(parts)

    def round(self, function: Callable[..., Any], shared: Any, held: Sequence[Any]) -> list[Any]:
        if not self._processes:
            self._fork(function, shared, held)
        self._begin.wait(PATIENCE)
        self._end.wait(PATIENCE)
        return []

    def _fork(self, function: Callable[..., Any], shared: Any, held: Sequence[Any]) -> None:
        self._begin, self._end = FORK.Barrier(WORKERS + 1), FORK.Barrier(WORKERS + 1)
        for number in range(WORKERS):
            process = FORK.Process(target=self._compute, args=(function, shared, held[number::WORKERS]), daemon=True)
            process.start()
            self._processes.append(process)

    def _compute(self, function: Callable[..., Any], shared: Any, parts: Sequence[Any]) -> None:
        while True:
            self._begin.wait()
            for part in parts:
                function(shared, part)
            self._end.wait()


CONTENDERS = [BareProcesses]
