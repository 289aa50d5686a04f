"""Dask's collections on a cluster of ours: the same results as by Dask's own scheduler of one thread."""

from __future__ import annotations

import operator
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import dask
import dask.array
import dask.bag
import dask.dataframe
import numpy as np
import pandas as pd
import pytest

import quiltwork as qw

WORDS = ["the", "quilt", "the", "patch", "the", "thread", "a", "needle", "the", "quilt"]


@pytest.fixture(scope="module", autouse=True)
def settings() -> Iterator[None]:
    """Dask's own shuffles by tasks: the others use files or need Dask's own cluster."""
    with dask.config.set({"dataframe.shuffle.method": "tasks"}):
        yield


def assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, (pd.DataFrame, pd.Series)):
        (pd.testing.assert_frame_equal if theirs.ndim == 2 else pd.testing.assert_series_equal)(ours, theirs)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def arrays() -> dict[str, Any]:
    x = dask.array.from_array(np.random.default_rng(1).normal(size=(300, 200)), chunks=(100, 50))
    tall = x.rechunk({1: -1})
    return {
        "matmul": x @ x.T,
        "tensordot": dask.array.tensordot(x, x, axes=([0], [0])),
        "svd": dask.array.linalg.svd(tall)[1],
        "qr": abs(dask.array.linalg.qr(tall)[1]),
        "reductions": dask.array.stack([x.mean(axis=0), x.std(axis=0), x.max(axis=0), x.argmin(axis=0)]),
        "total": (x**2).sum(),
        "rechunk": x.rechunk((70, 70)).T.rechunk((33, 300)),
        "slices": x[::7, ::-3][x[::7, 0] > 0],
        "overlap": x.map_overlap(lambda block: np.cumsum(block, axis=0), depth=1, boundary="reflect"),
        "cumsum": x.cumsum(axis=1),
        "histogram": dask.array.histogram(x, bins=20, range=(-3, 3))[0],
        "random": dask.array.random.default_rng(7).normal(size=1000, chunks=100),
    }


@pytest.mark.parametrize("lazy", [pytest.param(lazy, id=name) for name, lazy in arrays().items()])
def test_arrays_are_computed(client: qw.Client, lazy: Any) -> None:
    assert_same(lazy.compute(scheduler=client.get), lazy.compute(scheduler="sync"))


def frames() -> dict[str, Any]:
    random = np.random.default_rng(2)
    sales = pd.DataFrame(
        {
            "shop": random.integers(0, 20, 4000),
            "price": random.normal(10, 2, 4000),
            "name": random.choice(["needle", "thread", "cloth"], 4000),
        }
    )
    shops = pd.DataFrame({"shop": range(20), "city": [f"city {n % 7}" for n in range(20)]})
    lazy = dask.dataframe.from_pandas(sales, npartitions=6)
    cities = dask.dataframe.from_pandas(shops, npartitions=3)
    joined = lazy.merge(cities, on="shop")
    return {
        "groupby": lazy.groupby("shop").price.agg(["mean", "max", "count"]),
        "groupby over a shuffle": lazy.groupby("name").price.median(shuffle_method="tasks"),
        "apply": lazy.groupby("shop").apply(lambda part: part.price.max(), meta=("price", "f8")),
        "merge": joined.sort_values(["price", "shop"]).reset_index(drop=True),
        "merge and groupby": joined.groupby("city").price.sum(),
        "set_index": lazy.set_index("price").shop,
        "partitions": lazy.map_partitions(lambda part: part.assign(double=2 * part.price)).double,
        "value_counts": lazy.name.value_counts(),
        "describe": lazy[["shop", "price"]].describe(),
        "unique": lazy.drop_duplicates("shop").shop,
        "rolling": lazy.price.rolling(5).mean(),
    }


@pytest.mark.parametrize("lazy", [pytest.param(lazy, id=name) for name, lazy in frames().items()])
def test_dataframes_are_computed(client: qw.Client, lazy: Any) -> None:
    assert_same(lazy.compute(scheduler=client.get), lazy.compute(scheduler="sync"))


def test_bags_are_computed(client: qw.Client) -> None:
    bag = dask.bag.from_sequence(WORDS * 50, npartitions=5)
    for lazy in (
        bag.frequencies(sort=True),
        bag.foldby(len, lambda total, word: total + len(word), 0, operator.add),
        bag.filter(lambda word: word != "the").map(str.upper).distinct(),
        bag.groupby(len, shuffle="tasks").map(lambda group: (group[0], len(group[1]))),
        bag.topk(3, key=len),
    ):
        assert sorted(lazy.compute(scheduler=client.get)) == sorted(lazy.compute(scheduler="sync"))


def test_delayed_trees_are_computed(client: qw.Client) -> None:
    level = [dask.delayed(operator.neg)(n) for n in range(16)]
    while len(level) > 1:
        level = [dask.delayed(operator.add)(a, b) for a, b in zip(level[::2], level[1::2])]
    where = dask.delayed(os.getpid)()
    nested = dask.delayed(sorted)({"b": level[0], "a": [where]})
    total, pid, keys = dask.compute(level[0], where, nested, scheduler=client.get)
    assert total == -sum(range(16)) and pid in client.worker_pids() and keys == ["a", "b"]


def test_a_plain_graph_is_computed(client: qw.Client) -> None:
    graph = {"x": 1, "y": (operator.add, "x", 2), "z": (sum, ["x", "y"]), "same": "z"}
    assert client.get(graph, "z") == 4
    assert client.get(graph, ["x", ["y", "same"]]) == (1, (3, 4))


def test_many_nodes_are_computed(client: qw.Client) -> None:
    lazy = (dask.array.ones((4000, 4000), chunks=(80, 80)) + 1).sum()
    assert len(lazy.__dask_graph__()) > 5000
    assert lazy.compute(scheduler=client.get) == 32e6


def test_a_failing_node_raises_its_exception_and_names_itself(client: qw.Client) -> None:
    broken = dask.delayed(operator.truediv)(1, 0, dask_key_name="broken-node")
    with pytest.raises(ZeroDivisionError, match="division by zero") as caught:
        dask.delayed(sum)([broken, 1]).compute(scheduler=client.get)
    assert any("'broken-node'" in note for note in caught.value.__notes__)


def test_what_was_computed_can_be_written_to(client: qw.Client) -> None:
    (array,) = dask.compute(dask.array.ones((100, 100), chunks=50), scheduler=client.get)
    array += 1
    assert array.sum() == 20_000
    frame = dask.dataframe.from_pandas(pd.DataFrame({"a": np.arange(10_000.0)}), npartitions=2)
    computed = frame.compute(scheduler=client.get)
    computed.loc[:, "a"] = 1.0
    computed["a"].to_numpy(copy=True)[0] = 3


def count_a_call(log: str, x: Any) -> Any:
    with open(log, "a") as file:
        file.write("called\n")
    return x + 1


@pytest.mark.parametrize("way", ["client.persist", "dask.persist"])
def test_what_is_persisted_is_computed_once_and_stays_in_the_cluster(
    client: qw.Client, tmp_path: Any, way: str
) -> None:
    log = tmp_path / "calls"
    zeros = dask.array.zeros((400, 100), chunks=(100, 100))
    lazy = zeros.map_blocks(lambda x: count_a_call(str(log), x), dtype="f8", meta=np.empty((0, 0)))
    if way == "client.persist":
        kept = client.persist(lazy)
    else:
        (kept,) = dask.persist(lazy, scheduler=client.get)
    parts = list(dict(kept.__dask_graph__()).values())
    assert len(parts) == 4 and all(isinstance(part, qw.Future) for part in parts)
    assert kept.sum().compute(scheduler=client.get) == 40_000
    assert (kept @ kept.T).sum().compute(scheduler=client.get) == 400 * 400 * 100
    assert log.read_text().count("called") == 4
    copied = qw.copied_bytes()
    (kept * 2).sum().compute(scheduler=client.get)
    assert qw.copied_bytes() - copied < 80_000, "the parts do not travel through this process"


def test_frames_bags_and_delayed_are_persisted(client: qw.Client) -> None:
    frame = dask.dataframe.from_pandas(pd.DataFrame({"a": range(100), "b": [1, 2] * 50}), npartitions=4)
    bag, lazy = dask.bag.range(10, npartitions=2), dask.delayed(operator.neg)(3)
    kept = client.persist(frame[frame.a > 10])
    words, number = client.persist([bag.map(str), lazy])
    assert kept.groupby("b").a.sum().compute(scheduler=client.get).to_dict() == {1: 2420, 2: 2475}
    assert kept.npartitions == 4 and len(kept.compute(scheduler=client.get)) == 89
    assert words.compute(scheduler=client.get) == [str(n) for n in range(10)]
    assert (number + 1).compute(scheduler=client.get) == -2


def test_collections_become_futures(client: qw.Client) -> None:
    array = dask.array.arange(10, chunks=3)
    future = client.compute(array.sum())
    assert isinstance(future, qw.Future) and future.result() == 45
    whole, plain = client.compute([array, 7])
    np.testing.assert_array_equal(whole.result(), np.arange(10))
    assert plain == 7
    assert client.submit(operator.add, future, 1).result() == 46
    assert dask.delayed(operator.add)(future, 2).compute(scheduler=client.get) == 47
    assert dask.delayed(sum)([future, 1]).compute(scheduler=client.get) == 46
    assert client.get({"x": [future, 1], "y": (sum, "x")}, ["x", "y"]) == ([45, 1], 46)
    with pytest.raises(qw.errors.CannotTravel, match="node"):
        client.get({"x": threading.Lock(), "y": (str, "x")}, "y")


def test_annotations_and_options_reach_the_tasks(client: qw.Client, tmp_path: Any) -> None:
    def fail_once(name: str) -> str:
        path = tmp_path / name
        if not path.exists():
            path.touch()
            raise OSError("the first time")
        return name

    with dask.annotate(retries=1):
        lazy = dask.delayed(fail_once)("annotated")
    assert lazy.compute(scheduler=client.get, optimize_graph=False) == "annotated"
    given = dask.delayed(fail_once)("given")
    assert given.compute(scheduler=client.get, retries=1) == "given"
    with dask.annotate(resources={"gpu": 1}):
        impossible = dask.delayed(fail_once)("impossible")
    with pytest.raises(qw.errors.NoSuchResources, match="gpu"):
        impossible.compute(scheduler=client.get, optimize_graph=False)


def test_a_client_is_the_default_within_its_block() -> None:
    where = dask.delayed(os.getpid, pure=False)
    before = dask.config.get("scheduler", None)
    with qw.Client(n_workers=1) as outer:
        assert where().compute() in outer.worker_pids()
        with qw.Client(n_workers=1) as inner:
            assert where().compute() in inner.worker_pids()
            assert where().compute(scheduler="sync") == os.getpid()
        assert where().compute() in outer.worker_pids()
        frame = dask.dataframe.from_pandas(pd.DataFrame({"a": [3, 1, 2]}), npartitions=2)
        assert list(frame.set_index("a").compute().index) == [1, 2, 3]
    assert dask.config.get("scheduler", None) == before


def test_another_release_is_refused_only_where_it_differs(client: qw.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = dask.delayed(operator.neg)(1)
    monkeypatch.setattr("dask.__version__", "2099.1.0")
    assert lazy.compute(scheduler=client.get) == -1
    monkeypatch.delattr(sys.modules["dask._task_spec"], "convert_legacy_graph")
    with pytest.raises(ImportError, match="hint: install one from"):
        client.get({"x": 1}, "x")
