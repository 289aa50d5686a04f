"""joblib and scikit-learn on a cluster of ours: the same results as by joblib's own processes."""

from __future__ import annotations

import math
import multiprocessing
import operator
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import eventually
from joblib import Parallel, delayed
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import quiltwork as qw
import quiltwork.joblib


@pytest.fixture
def backend(client: qw.Client) -> Iterator[None]:
    with joblib.parallel_config(backend="quiltwork", client=client):
        yield


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    X, y = make_classification(2000, 90, n_informative=30, n_classes=3, random_state=0)
    assert X.nbytes > 1_000_000
    return X, y


def test_calls_run_on_the_cluster(client: qw.Client, backend: None) -> None:
    assert Parallel()(delayed(math.sqrt)(n * n) for n in range(2000)) == list(range(2000))
    pids = set(Parallel(n_jobs=2)(delayed(os.getpid)() for _ in range(20)))
    assert pids <= set(client.worker_pids())
    factor = 3
    assert Parallel()(delayed(lambda x: factor * x)(n) for n in range(5)) == [0, 3, 6, 9, 12]
    with Parallel() as parallel:
        assert parallel([delayed(abs)(-1)]) == parallel([delayed(abs)(1)]) == [1]


def test_results_come_as_they_are_made(backend: None) -> None:
    def late(n: int) -> int:
        time.sleep(0.5 if n == 0 else 0)
        return n

    stream: Any = Parallel(return_as="generator")(delayed(operator.neg)(n) for n in range(50))
    assert list(stream) == [-n for n in range(50)]
    stream = Parallel(n_jobs=2, return_as="generator_unordered", batch_size=1)(delayed(late)(n) for n in range(6))
    assert next(stream) != 0 and sorted([*stream, 1])[:2] == [0, 1]


def test_no_more_calls_run_than_jobs_were_asked_for(tmp_path: Path) -> None:
    def company(n: int) -> int:
        mark = tmp_path / str(n)
        mark.touch()
        time.sleep(0.05)
        running = len(list(tmp_path.iterdir()))
        mark.unlink()
        return running

    with qw.Client(n_workers=3) as wider, joblib.parallel_config(backend="quiltwork", client=wider):
        assert joblib.effective_n_jobs(-1) == 3 and joblib.effective_n_jobs(2) == 2
        running = Parallel(n_jobs=2, batch_size=1, pre_dispatch="all")(delayed(company)(n) for n in range(12))
        assert max(running) <= 2


def test_an_exception_ends_the_call_and_cancels_the_rest(backend: None, tmp_path: Path) -> None:
    def work(n: int) -> None:
        if n == 3:
            raise KeyError("three")
        time.sleep(0.05)
        (tmp_path / f"{n}").touch()

    with pytest.raises(KeyError, match="three"):
        Parallel(n_jobs=2, batch_size=1, pre_dispatch="all")(delayed(work)(n) for n in range(200))
    made = len(list(tmp_path.iterdir()))
    assert made < 100
    assert Parallel()([delayed(abs)(-1)]) == [1], "the cluster goes on"
    with pytest.raises(multiprocessing.TimeoutError):
        Parallel(n_jobs=2, timeout=0.05)([delayed(time.sleep)(1)])


def test_calls_within_calls_run_in_the_worker(client: qw.Client, backend: None) -> None:
    def outer(n: int) -> tuple[int, set[int]]:
        inner = Parallel(n_jobs=2)(delayed(lambda m: (m, os.getpid()))(n + m) for m in range(3))
        return sum(m for m, _ in inner), {pid for _, pid in inner} - {os.getpid()}

    assert Parallel(n_jobs=2)(delayed(outer)(n) for n in range(4)) == [(3 * n + 3, set()) for n in range(4)]


def test_tasks_that_use_joblib_do_not_starve() -> None:
    def nested() -> list[int]:
        import quiltwork.joblib  # noqa: F401

        with joblib.parallel_config(backend="quiltwork"):
            return list(Parallel(n_jobs=2)(delayed(operator.neg)(n) for n in range(3)))

    # One slot would make it run its calls one by one where it is.
    with qw.Client(n_workers=1, slots=2) as client:
        assert client.gather(client.map(lambda _: nested(), range(4)), timeout=60) == [[0, -1, -2]] * 4


def test_a_large_array_travels_once(backend: None) -> None:
    large = np.arange(1_000_000.0)
    frame = pd.DataFrame({"a": large, "b": large}, copy=True)

    def total(kind: str, thing: Any) -> float:
        return float(thing.to_numpy().sum() if kind == "frame" else thing.sum())

    for kind, thing, size in (("array", large, 8e6), ("frame", frame, 16e6), ("view", large[::2], 4e6)):
        before = qw.copied_bytes()
        totals = Parallel(batch_size=1)(delayed(total)(kind, thing) for _ in range(20))
        assert set(totals) == {float(np.asarray(thing).sum())}
        assert size <= qw.copied_bytes() - before < 3 * size
    changed = large + 1
    assert Parallel()([delayed(np.sum)(changed)]) == [changed.sum()], "another array is another value"


def test_arrays_are_let_go_with_their_owners(client: qw.Client) -> None:
    shared = quiltwork._batches.SharedArrays(client, 0)
    array = np.arange(100.0)
    first = shared.future_of(array)
    assert shared.future_of(array) is first and shared.future_of(array[:]) is first
    assert shared.future_of(array[1:]) is not first
    assert len(shared._futures) == 1
    del array
    eventually(lambda: not shared._futures)


def test_what_calls_get_and_make_can_be_written_to(backend: None) -> None:
    def scale(array: Any) -> Any:
        array *= 2
        return np.repeat(array, 100)

    (made,) = Parallel()([delayed(scale)(np.ones(10_000))])
    made += 1
    assert made.sum() == 3_000_000


def test_grid_searches_are_the_same(data: Any, backend: None) -> None:
    X, y = data
    search = GridSearchCV(
        make_pipeline(StandardScaler(), SGDClassifier(random_state=0)), {"sgdclassifier__alpha": [1e-4, 1e-2]}, cv=3
    )
    ours = search.fit(X, y).cv_results_
    with joblib.parallel_config(backend="loky", n_jobs=2):
        theirs = search.fit(X, y).cv_results_
    for name in theirs:
        if "score" in name and "time" not in name:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_scores_forests_and_predictions_are_the_same(data: Any, backend: None) -> None:
    X, y = data
    forest = RandomForestClassifier(8, random_state=0, max_depth=6)
    model = LogisticRegression(max_iter=50, tol=1.0)

    def run() -> list[Any]:
        return [
            cross_val_score(model, X, y, cv=4),
            cross_val_predict(model, pd.DataFrame(X), y, cv=3),
            forest.fit(X, y).predict_proba(X),
            cross_val_score(forest.set_params(n_jobs=2), X, y, cv=2),
        ]

    ours = run()
    with joblib.parallel_config(backend="loky", n_jobs=2):
        theirs = run()
    for mine, others in zip(ours, theirs):
        # A forest adds up its trees on threads, in whatever order.
        np.testing.assert_allclose(mine, others, rtol=1e-12)


def test_fitted_models_learn_on(data: Any, backend: None) -> None:
    X, y = data
    model = OneVsRestClassifier(SGDClassifier(random_state=0), n_jobs=-1).fit(X, y)
    model.partial_fit(X[:100], y[:100])
    assert model.predict(X[:10]).shape == (10,)


def test_calls_from_threads_do_not_disturb_each_other(client: qw.Client) -> None:
    results: dict[int, list[int]] = {}

    def work(number: int) -> None:
        with joblib.parallel_config(backend="quiltwork", client=client):
            results[number] = Parallel()(delayed(operator.mul)(number, n) for n in range(50))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {number: [number * n for n in range(50)] for number in range(4)}


def test_options_reach_the_tasks(client: qw.Client, tmp_path: Path) -> None:
    def fail_once() -> int:
        path = tmp_path / "failed"
        if not path.exists():
            path.touch()
            raise OSError("the first time")
        return 1

    with joblib.parallel_config(backend="quiltwork", client=client, retries=1):
        assert Parallel()([delayed(fail_once)()]) == [1]
