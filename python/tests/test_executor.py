"""The client as an executor of the standard library."""

from __future__ import annotations

import concurrent.futures
import operator
import time

import pytest

import quiltwork as qw


def test_it_is_an_executor(client: qw.Client) -> None:
    with client.executor() as executor:
        assert isinstance(executor, concurrent.futures.Executor)
        future = executor.submit(operator.add, 1, 2)
        assert isinstance(future, concurrent.futures.Future)
        assert future.result(60) == 3
        assert list(executor.map(operator.add, range(10), range(10))) == [2 * n for n in range(10)]
        assert executor.submit(dict, key=1, retries=2).result(60) == {"key": 1, "retries": 2}
        failing = executor.submit(operator.truediv, 1, 0)
        assert isinstance(failing.exception(60), ZeroDivisionError)
        futures = [executor.submit(operator.neg, n) for n in range(20)]
        done, not_done = concurrent.futures.wait(futures, timeout=60)
        assert len(done) == 20 and not not_done
        completed = concurrent.futures.as_completed(futures, timeout=60)
        assert sorted(future.result() for future in completed) == sorted(-n for n in range(20))
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(operator.neg, 1)
    assert client.submit(operator.neg, 1).result() == -1, "the client goes on"


def test_the_end_of_an_executor_waits_for_its_calls(client: qw.Client) -> None:
    executor = client.executor(priority=1)
    futures = [executor.submit(time.sleep, 0.1) for _ in range(4)]
    executor.shutdown()
    assert all(future.done() for future in futures)


def test_calls_are_cancelled(client: qw.Client) -> None:
    executor = client.executor()
    futures = [executor.submit(time.sleep, 0.2) for _ in range(10)]
    executor.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in futures)


def test_map_gives_up_in_time(client: qw.Client) -> None:
    with client.executor() as executor, pytest.raises(TimeoutError):
        list(executor.map(time.sleep, [0, 0.5], timeout=0.1))
