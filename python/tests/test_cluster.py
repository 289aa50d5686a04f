"""Clusters and their workers: who they are, what they hold, and what notebooks show of them."""

from __future__ import annotations

import operator
import os
import time
from pathlib import Path

import pytest
from conftest import areas_of, eventually, is_running

import quiltwork as qw
from quiltwork.errors import ConnectionLost, UsageError


def test_a_cluster_stands_by_itself() -> None:
    others = set(areas_of(os.getpid()))
    with qw.LocalCluster(n_workers=2, slots=2, memory_limit="1GiB") as cluster:
        workers = cluster.workers()
        folders = set(areas_of(os.getpid())) - others
        assert [(worker.slots, worker.memory_limit) for worker in workers] == [(2, 1 << 30)] * 2
        with qw.Client(cluster) as client:
            assert client.submit(operator.neg, 1).result() == -1
            assert client.workers() == workers and client.ticket == cluster.ticket
        with qw.Client(cluster) as other:
            last = other.submit(time.sleep, 600)
            assert repr(cluster) == "<LocalCluster: 2 workers>"
            cluster.close()
            with pytest.raises(ConnectionLost):
                last.result()
        assert repr(cluster) == "<LocalCluster: closed>" and cluster.closed
    eventually(lambda: not any(is_running(worker.pid) for worker in workers))
    assert folders and not any(folder.exists() for folder in folders)
    with pytest.raises(ValueError, match="for a cluster of its own"):
        qw.Client(cluster, n_workers=2)


def test_a_cluster_nobody_needs_any_more_ends() -> None:
    client = qw.Client(qw.LocalCluster(n_workers=1))
    (pid,) = client.worker_pids()
    assert client.submit(os.getpid).result() == pid
    del client
    eventually(lambda: not is_running(pid))


def test_every_worker_runs_it_once_also_busy_ones(tmp_path: Path) -> None:
    def wait_for(path: Path) -> None:
        while not path.exists():
            time.sleep(0.01)

    with qw.Client(n_workers=2) as client:
        client.gather(client.map(operator.neg, range(10)))
        busy = client.map(wait_for, [tmp_path / "go"] * 6, retries=0)
        eventually(lambda: sum(row[5] for row in client._session.workers()) == 2)
        for _ in range(5):
            ran = client.run_on_all(os.getpid)
            assert ran == {worker: worker.pid for worker in client.workers()} and len(ran) == 2
        assert client.run_on_all(operator.add, 1, 2) == dict.fromkeys(ran, 3)
        assert not any(future.done() for future in busy)
        (tmp_path / "go").touch()
        client.gather(busy)
        with pytest.raises(ZeroDivisionError):
            client.run_on_all(operator.truediv, 1, 0)


def test_holders_of_values_are_told_and_can_be_made_more() -> None:
    with qw.LocalCluster(n_workers=2, nodes=2) as cluster, qw.Client(cluster) as client:
        workers = client.workers()
        assert len({worker.node for worker in workers}) == 2
        large, small = client.submit(bytes, 1 << 20, workers=workers[1]), client.submit(bytes, 8)
        client.gather([large, small])
        assert client.who_has([large, {"x": small}]) == {large: [workers[1]], small: []}
        client.replicate(large, 2)
        assert client.who_has(large) == {large: workers}
        with pytest.raises(UsageError, match="3 copies"):
            client.replicate(large, 3)
        everywhere = client.scatter([bytes(1 << 20)], broadcast=True)
        assert client.who_has(everywhere) == {everywhere[0]: workers}


def test_notebooks_show_tables_and_states(client: qw.Client) -> None:
    html = client._repr_html_()
    assert html.startswith("<b>Client: 2 workers</b><table>") and html.count("<tr>") == 3
    assert all(f"<td>{pid}</td>" in html for pid in client.worker_pids())
    future = client.submit(operator.neg, 1, key="<key>")
    future.result()
    assert future._repr_html_().startswith("<b>Future</b> &lt;key&gt; <code>") and future.status == "finished"
    failed = client.submit(operator.truediv, 1, 0)
    qw.wait([failed])
    assert failed.status == "error" and "failed: ZeroDivisionError" in failed._repr_html_()
    with qw.LocalCluster(n_workers=1) as cluster:
        assert "LocalCluster: 1 worker<" in cluster._repr_html_()
    assert cluster._repr_html_() == "<b>LocalCluster: closed</b>"


def test_a_worker_keeps_the_memory_of_temporary_arrays() -> None:
    def fresh_pages() -> int:
        import resource

        import numpy as np

        def step() -> None:
            parts = [np.ones(1 << 19) for _ in range(10)]
            del parts

        step()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            step()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with qw.Client(n_workers=1) as client:
        # Without that, each of the 40 MiB in each step is a page of its own, or a large one, that is cleared first.
        assert client.submit(fresh_pages).result() < 100


def test_libraries_get_as_many_threads_as_their_worker_has_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with qw.Client(n_workers=1, slots=3) as client:
        found = client.submit(lambda: [os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")])
        assert found.result() == ["3", "7"]
