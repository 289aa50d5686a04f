"""Code written for Dask and joblib: the same results on a cluster of ours."""

from __future__ import annotations

import math
import operator
import os
from typing import Any

import joblib
import pytest

import quiltwork as qw
import quiltwork.joblib


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
