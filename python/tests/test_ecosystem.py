"""Code written for Dask and joblib: the same results on a cluster of ours."""

from __future__ import annotations

import math
import operator
import os
from typing import Any

import dask
import dask.array
import dask.bag
import joblib
import numpy as np
import pytest

import quiltwork as qw
import quiltwork.joblib


def test_dask_arrays_are_computed(client: qw.Client) -> None:
    a = dask.array.arange(40_000, chunks=10_000).reshape(200, 200)
    product = (a @ a.T + 1).sum(axis=0)
    expected = product.compute(scheduler="sync")
    np.testing.assert_array_equal(product.compute(scheduler=client.get), expected)
    _, singular, _ = dask.array.linalg.svd(dask.array.ones((400, 10), chunks=(100, 10)))
    np.testing.assert_allclose(singular.compute(scheduler=client.get), singular.compute(scheduler="sync"), atol=1e-9)


def test_dask_bags_and_delayed_trees_are_computed(client: qw.Client) -> None:
    words = dask.bag.from_sequence(["the", "quilt", "the", "patch", "the", "thread"] * 50, npartitions=5)
    counts = dict(words.frequencies().compute(scheduler=client.get))
    assert counts == {"the": 150, "quilt": 50, "patch": 50, "thread": 50}
    level = [dask.delayed(operator.neg)(n) for n in range(16)]
    while len(level) > 1:
        level = [dask.delayed(operator.add)(a, b) for a, b in zip(level[::2], level[1::2])]
    where = dask.delayed(os.getpid)()
    total, pid = dask.compute(level[0], where, scheduler=client.get)
    assert total == -sum(range(16)) and pid in client.worker_pids()


def test_a_failing_node_raises_its_exception(client: qw.Client) -> None:
    with pytest.raises(ZeroDivisionError):
        dask.delayed(sum)([dask.delayed(operator.truediv)(1, 0), 1]).compute(scheduler=client.get)


def test_a_plain_graph_is_computed(client: qw.Client) -> None:
    graph = {"x": 1, "y": (operator.add, "x", 2), "z": (sum, ["x", "y"])}
    assert client.get(graph, "z") == 4
    assert client.get(graph, ["x", ["y", "z"]]) == (1, (3, 4))


def test_joblib_runs_its_calls_on_the_cluster(client: qw.Client) -> None:
    with joblib.parallel_config(backend="quiltwork", client=client):
        assert joblib.Parallel()(joblib.delayed(math.sqrt)(n * n) for n in range(200)) == list(range(200))
        pids = set(joblib.Parallel(n_jobs=2)(joblib.delayed(os.getpid)() for _ in range(20)))
        assert pids <= set(client.worker_pids())
        stream: Any = joblib.Parallel(return_as="generator")(joblib.delayed(operator.neg)(n) for n in range(5))
        assert list(stream) == [0, -1, -2, -3, -4]
        with pytest.raises(ZeroDivisionError):
            joblib.Parallel()(joblib.delayed(operator.truediv)(1, n) for n in range(50))
        assert joblib.Parallel()([joblib.delayed(abs)(-1)]) == [1]
