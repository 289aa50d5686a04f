"""The backend "quiltwork" of joblib, and so of scikit-learn; importing this module registers it.

import quiltwork as qw, quiltwork.joblib
from joblib import parallel_config

with qw.Client() as client, parallel_config(backend="quiltwork"):
    GridSearchCV(...).fit(X, y)
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from joblib import register_parallel_backend
from joblib._parallel_backends import AutoBatchingMixin, ParallelBackendBase

from quiltwork import _batches, _native
from quiltwork._client import current_client

if TYPE_CHECKING:
    from quiltwork._client import Client
    from quiltwork._executor import Executor


class QuiltworkBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Runs batches of joblib's calls as tasks of a client: the given one, or the current one.

    Further options are those of `Client.submit`, as in `parallel_config(backend="quiltwork", retries=2)`. Arrays larger
    than joblib's `max_nbytes` are brought into the cluster once for each call of `Parallel`, and are read-only in
    workers. A `Parallel` within a task runs on threads of its worker.
    """

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(self, *arguments: Any, client: Client | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._client = client
        self._executor: Executor | None = None
        self._shared: _batches.SharedArrays | None = None
        self._pending: set[Future[Any]] = set()
        self._least: float = 0

    def configure(self, n_jobs: int = 1, parallel: Any = None, max_nbytes: int | None = None, **_: Any) -> int:
        """Says how many calls run at a time."""
        self.parallel = parallel
        client, jobs = self._cluster(), self.effective_n_jobs(n_jobs)
        self._executor = client.executor(jobs if jobs < _slots(client) else None, **self.backend_kwargs)
        self._least = float("inf") if max_nbytes is None else max_nbytes
        return jobs

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """As many as the workers have slots, or as many as were asked for if that is less."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        slots = _slots(self._cluster())
        if n_jobs is None:
            return slots
        return min(n_jobs, slots) if n_jobs > 0 else max(1, slots + 1 + n_jobs)

    def start_call(self) -> None:
        """Begins a call of `Parallel`."""
        self._shared = _batches.SharedArrays(self._cluster(), self._least)

    def stop_call(self) -> None:
        """Lets go of the arrays that the call's tasks have shared."""
        self._shared = None

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Future[Any]:
        """Submits a batch of calls."""
        if self._executor is None or self._shared is None:
            raise RuntimeError("joblib submits calls between `start_call` and `stop_call`")
        future: Future[Any] = self._executor.submit(_batches.run, *_batches.dump(func, self._shared))
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """What a batch has made."""
        return pickle.loads(out.result())

    def retrieval_context(self) -> _native.Lent:
        """Within a task, what is held while its calls are waited for: others may use its slot."""
        return _native.lend()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancels what has not ended, after a call has failed."""
        for future in list(self._pending):
            future.cancel()

    def terminate(self) -> None:
        """Ends nothing: the cluster is the client's."""
        self._pending.clear()
        self.reset_batch_stats()

    def _cluster(self) -> Client:
        if self._client is None:
            self._client = current_client()
        return self._client


def _slots(client: Client) -> int:
    """How many calls all workers for Python together run at a time."""
    return sum(worker.slots for worker in client.workers() if worker.python)


register_parallel_backend("quiltwork", QuiltworkBackend)
