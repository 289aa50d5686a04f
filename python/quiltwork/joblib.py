"""The backend "quiltwork" of joblib, and so of scikit-learn; importing this module registers it.

import quiltwork as qw, quiltwork.joblib
from joblib import parallel_config

with qw.Client() as client, parallel_config(backend="quiltwork"):
    GridSearchCV(...).fit(X, y)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from joblib import register_parallel_backend
from joblib._parallel_backends import AutoBatchingMixin, ParallelBackendBase

from quiltwork._client import current_client

if TYPE_CHECKING:
    from quiltwork._client import Client
    from quiltwork._future import Future


class QuiltworkBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Runs batches of joblib's calls as tasks of a client: the given one, or the current one."""

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(self, *arguments: Any, client: Client | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._client = client
        self._pending: set[Future[Any]] = set()

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Says how many calls run at a time."""
        self.parallel = parallel
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """As many as the workers have slots, or as many as were asked for if that is less."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        slots = self._cluster().slots()
        if n_jobs is None:
            return slots
        return min(n_jobs, slots) if n_jobs > 0 else max(1, slots + 1 + n_jobs)

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Future[Any]:
        """Submits a batch of calls."""
        future: Future[Any] = self._cluster().submit(func)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """What a batch has made."""
        return out.result()

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


register_parallel_backend("quiltwork", QuiltworkBackend)
