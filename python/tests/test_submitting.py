"""Calls, and how their arguments, functions and results travel."""

from __future__ import annotations

import functools
import gc
import operator
import os
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import pytest

import quiltwork as qw
from quiltwork.errors import CannotTravel


def add(a: int, b: int = 0) -> int:
    return a + b


@dataclass
class Order:
    name: str
    amount: Any


def test_a_function_runs_in_another_process(client: qw.Client) -> None:
    assert client.submit(os.getpid).result() in client.worker_pids()
    assert client.submit(add, 2, b=3).result() == 5


def test_functions_of_all_kinds_travel(client: qw.Client) -> None:
    factor = 3

    def scaled(x: int) -> int:
        return factor * x

    class Scale:
        def __init__(self, by: int) -> None:
            self.by = by

        def __call__(self, x: int) -> int:
            return self.by * x

        def twice(self, x: int) -> int:
            return 2 * self.by * x

    scale = Scale(5)
    functions = [scaled, lambda x: 4 * x, functools.partial(operator.mul, 6), scale, scale.twice, operator.neg]
    assert [client.submit(function, 7).result() for function in functions] == [21, 28, 42, 35, 70, -7]
    scale.by = 9
    assert client.submit(scale, 7).result() == 63, "an object is taken as it is when it is submitted"


def test_a_function_that_came_by_value_is_read_once_per_worker(client: qw.Client) -> None:
    calls: list[int] = []

    def count() -> int:
        calls.append(1)
        return len(calls)

    counts = client.gather([client.submit(count) for _ in range(20)])
    assert max(counts) >= 10, "its state stays with the worker"
    assert calls == []


MEETING = threading.Barrier(2)


def meet() -> int:
    return MEETING.wait(60)


def test_slots_run_side_by_side_on_threads_of_their_own() -> None:
    with qw.Client(n_workers=1, slots=2) as client:
        assert client.slots() == 2
        assert sorted(client.gather([client.submit(meet), client.submit(meet)])) == [0, 1]


def test_futures_nest_in_arguments(client: qw.Client) -> None:
    one, two = client.submit(add, 1), client.submit(add, 2)
    nested = {"list": [one, (two, 3)], "again": one, "order": Order("x", two)}
    assert client.submit(repr, nested).result() == repr({"list": [1, (2, 3)], "again": 1, "order": Order("x", 2)})
    assert client.submit(add, one, b=two).result() == 3
    assert client.submit(lambda *args, **kwargs: (args, kwargs), one, k=[two]).result() == ((1,), {"k": [2]})


def test_map_takes_several_iterables_and_further_arguments(client: qw.Client) -> None:
    assert client.gather(client.map(add, range(5), range(10, 20))) == [10, 12, 14, 16, 18]
    assert client.gather(client.map(add, range(3), b=5)) == [5, 6, 7]
    assert [future.name for future in client.map(add, range(2), key="part")] == ["part-0", "part-1"]


def test_gather_keeps_the_shape(client: qw.Client) -> None:
    a, b = client.map(add, [1, 2])
    assert client.gather(a) == 1
    assert client.gather({"x": a, "y": (b, [a])}) == {"x": 1, "y": (2, [1])}
    assert client.gather([a, 7, "text"]) == [1, 7, "text"]
    failing = client.submit(operator.truediv, 1, 0)
    assert client.gather([a, failing, b], errors="skip") == [1, 2]
    with pytest.raises(ZeroDivisionError):
        client.gather([a, failing, b])


def listed(*things: object) -> list[object]:
    return list(things)


def test_futures_stand_anywhere_among_plain_arguments(client: qw.Client) -> None:
    a, b = client.map(add, [1, 2])
    assert client.submit(listed, 7, a, None, b, "x", a).result() == [7, 1, None, 2, "x", 1]
    assert client.gather(client.map(listed, [a, 8, b], range(3))) == [[1, 0], [8, 1], [2, 2]]
    local = client.submit(lambda *things: things, a, 7, b)
    assert local.result() == (1, 7, 2)


def test_a_function_is_let_go_of_when_nobody_has_it(client: qw.Client) -> None:
    def local(number: int) -> int:
        return number + 1

    assert client.gather([client.submit(local, 1), *client.map(local, [2, 3])]) == [2, 3, 4]
    known = weakref.ref(local)
    del local
    gc.collect()
    assert known() is None


def test_a_function_that_has_lost_its_name_goes_by_value(client: qw.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(number: int) -> int:
        return 100 * number

    other.__module__, other.__qualname__ = "operator", "neg"
    monkeypatch.setattr(operator, "neg", other)
    assert client.submit(other, 1).result() == -1, "workers know another one by that name"
    monkeypatch.undo()
    assert client.submit(other, 1).result() == 100


def test_values_can_be_put_and_scattered(client: qw.Client) -> None:
    put = client.put({"weights": list(range(5000))})
    assert client.gather([client.submit(len, put), client.submit(operator.getitem, put, "weights")])[0] == 1
    parts = client.scatter([1, 2, 3])
    assert client.submit(sum, parts).result() == 6
    assert client.submit(add, **client.scatter({"a": 1, "b": 2})).result() == 3
    assert client.scatter("whole").result() == "whole"


def test_a_key_names_one_task_while_its_future_lives(client: qw.Client) -> None:
    first = client.submit(os.urandom, 8, key="random")
    assert client.submit(os.urandom, 8, key="random") is first
    assert first.name == "random"
    pure = [client.submit(os.urandom, n, pure=True) for n in (8, 8, 9)]
    assert pure[0] is pure[1] and pure[2] is not pure[0]
    assert client.submit(os.urandom, 8) is not client.submit(os.urandom, 8)


def test_a_failing_task_is_tried_again_if_asked(client: qw.Client, tmp_path: Any) -> None:
    def fails_twice(folder: str) -> int:
        tries = len(os.listdir(folder))
        open(os.path.join(folder, str(tries)), "w").close()
        if tries < 2:
            raise RuntimeError("not yet")
        return tries

    assert client.submit(fails_twice, str(tmp_path), retries=2).result() == 2


def test_what_cannot_be_pickled_is_named(client: qw.Client) -> None:
    lock = threading.Lock()
    with pytest.raises(CannotTravel, match=r"argument `b` of `.*test_submitting:add`.*cannot pickle '_thread.lock'"):
        client.submit(add, 1, lock)
    with pytest.raises(CannotTravel, match=r"argument `a` .* because of `\.amount\['x'\]`, a `lock`"):
        client.submit(add, Order("x", {"x": lock}))
    with pytest.raises(CannotTravel, match=r"the function `.*` cannot be pickled, because of `lock`, a `lock`"):
        client.submit(lambda: lock)
    with pytest.raises(TypeError, match="no function"):
        client.submit(7)  # type: ignore[arg-type]


def test_a_future_travels_only_as_an_argument(client: qw.Client) -> None:
    import pickle

    future = client.submit(add, 1)
    with pytest.raises(TypeError, match="only travel as an argument"):
        pickle.dumps(future)
    with pytest.raises(CannotTravel, match="only travel as an argument"):
        client.submit(lambda: future)


def test_resources_are_asked_for(client: qw.Client) -> None:
    assert client.submit(add, 1, memory="1MiB", priority=3).result() == 1
    with pytest.raises(qw.errors.NoSuchResources, match="gpu"):
        client.submit(add, 1, resources={"gpu": 1}).result()
    with pytest.raises(qw.errors.UsageError, match="much"):
        client.submit(add, 1, memory="much")


@qw.task
def double(x: int) -> int:
    """Twice as much."""
    return 2 * x


def test_a_task_is_called_here_and_submitted_there(client: qw.Client) -> None:
    assert double(4) == 8 and double.__doc__ == "Twice as much."
    assert double.remote(double.remote(4)).result() == 16
    assert double.options(key="named", retries=1).remote(1).name == "named"
    assert client.submit(double, 5).result() == 10
    with pytest.raises(TypeError, match="sideways"):
        double.options(sideways=True).remote(1)
    local = qw.task(priority=2)(lambda x: x + 1)
    assert local.remote(1).result() == 2
