"""A client's link to its cluster, and what it says of that. What is run there is the client's business."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quiltwork._callbacks import Callbacks
from quiltwork._cluster import LocalCluster, Worker, counted
from quiltwork._nested import futures_in
from quiltwork.errors import QuiltworkError

if TYPE_CHECKING:
    from quiltwork import _native
    from quiltwork._actor import ActorHandle
    from quiltwork._future import Future


class Link:
    """A link to a cluster, as long as it is open."""

    def _open(self, session: _native.Session, cluster: LocalCluster | None) -> None:
        self._session = session
        self._cluster = cluster
        self._callbacks: Callbacks | None = None
        self._lock = threading.Lock()

    def workers(self) -> list[Worker]:
        """The workers there are."""
        return [Worker.of(row) for row in self._session.workers()]

    def replicate(self, futures: Any, n: int | None = None) -> None:
        """Waits for results and keeps each on `n` nodes, or on all, so that they survive the loss of all but one."""
        nodes = len({worker.node for worker in self.workers()}) if n is None else n
        for future in futures_in(futures):
            future._handle.replicate(nodes)

    def who_has(self, futures: Any) -> dict[Future[Any], list[Worker]]:
        """The workers that hold the results of tasks; none before a task has ended, and of small ones, which the master
        holds."""
        return {
            future: [Worker.of(row) for row in self._session.who_has(future._handle)] for future in futures_in(futures)
        }

    def story(self, future: Future[Any] | ActorHandle[Any]) -> str:
        """What happened to a task so far: when it was submitted, where it ran, and which workers died with it."""
        return self._session.story(future._handle)

    @property
    def ticket(self) -> str:
        """What lets other processes of this machine in, as `Client(ticket)`. It holds a private key: keep it secret."""
        return (self._session if self._cluster is None else self._cluster).ticket

    def worker_pids(self) -> list[int]:
        """The process ids of the workers there are."""
        return [worker.pid for worker in self.workers()]

    def slots(self) -> int:
        """How many tasks all workers together run at a time."""
        return sum(worker.slots for worker in self.workers())

    def kill_worker(self, pid: int) -> None:
        """Kills a worker at once, as bad luck would. What it was doing is done again by another."""
        (self._session if self._cluster is None else self._cluster).kill_worker(pid)

    def __repr__(self) -> str:
        if self._session.closed:
            return "<Client: closed>"
        try:
            return f"<Client: {counted(len(self.workers()), 'worker')}>"
        except QuiltworkError:
            return "<Client: the link is lost>"

    def _repr_html_(self) -> str:
        from quiltwork._notebook import workers_table

        try:
            return workers_table(repr(self), [] if self._session.closed else self.workers())
        except QuiltworkError:
            return workers_table(repr(self), [])

    def _notify(self, future: Future[Any], callback: Callable[[Future[Any]], object]) -> None:
        with self._lock:
            if self._callbacks is None and not self._session.closed:
                self._callbacks = Callbacks()
            callbacks = self._callbacks
        if callbacks is not None:
            callbacks.add(future, callback)
        else:
            # Nothing more will come: what is not here has failed.
            callback(future)

    def _end_callbacks(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            callbacks.close()
