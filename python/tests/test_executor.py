"""The client as an executor of the standard library."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import operator
import os
import threading
import time
from pathlib import Path
from typing import Any

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


def test_so_many_calls_are_with_the_cluster_at_a_time(client: qw.Client) -> None:
    with client.executor(max_workers=1) as executor:
        first, second, third = (executor.submit(time.sleep, 0.3) for _ in range(3))
        assert first.running() and not second.running()
        assert not first.cancel(), "it is with the cluster"
        assert third.cancel()
        assert second.result(60) is None and third.cancelled()
    with pytest.raises(ValueError, match="greater than 0"):
        client.executor(max_workers=0)


def test_what_cannot_travel_is_raised_by_its_future(client: qw.Client) -> None:
    with client.executor(max_workers=1) as executor:
        refused = [executor.submit(operator.neg, threading.Lock()) for _ in range(3)]  # type: ignore[arg-type]
        assert [type(future.exception(60)) for future in refused] == [qw.errors.CannotTravel] * 3
        assert executor.submit(operator.neg, 1).result(60) == -1


def test_a_map_goes_in_chunks(client: qw.Client) -> None:
    def pid(_: int) -> int:
        return os.getpid()

    with client.executor() as executor:
        assert list(executor.map(pow, range(40), range(40), chunksize=6)) == list(map(pow, range(40), range(40)))
        pids = list(executor.map(pid, range(40), chunksize=10))
        assert all(len(set(pids[n : n + 10])) == 1 for n in range(0, 40, 10))
        with pytest.raises(ValueError, match="chunksize"):
            executor.map(pow, [1], [1], chunksize=0)


def test_an_initializer_comes_first_in_every_process() -> None:
    def begin(word: str) -> None:
        assert "QUILTWORK_TEST_WORD" not in os.environ, "only once"
        os.environ["QUILTWORK_TEST_WORD"] = word

    def look() -> tuple[int, str]:
        return os.getpid(), os.environ["QUILTWORK_TEST_WORD"]

    with qw.Client(n_workers=1) as client, client.executor(initializer=begin, initargs=("patch",)) as executor:
        before = {future.result(60) for future in [executor.submit(look) for _ in range(5)]}
        client.kill_worker(client.worker_pids()[0])
        after = executor.submit(look).result(60)
    assert len(before) == 1 and before != {after} and after[1] == "patch"


def test_a_failing_initializer_breaks_its_executor_and_no_other(client: qw.Client, caplog: Any) -> None:
    executor = client.executor(2, initializer=operator.truediv, initargs=(1, 0))
    futures = [executor.submit(abs, -1)]
    with contextlib.suppress(concurrent.futures.BrokenExecutor):
        futures += [executor.submit(abs, -1) for _ in range(10)]
    for future in futures:
        with pytest.raises(concurrent.futures.BrokenExecutor, match="ZeroDivisionError"):
            future.result(60)
    with pytest.raises(qw.errors.InitializerFailed, match="the executor's initializer raised"):
        executor.submit(abs, -1)
    assert "Exception in initializer" in caplog.text and "division by zero" in caplog.text
    assert client.executor().submit(abs, -1).result(60) == 1


def test_what_was_submitted_ends_before_the_program(run_script: Any, tmp_path: Path) -> None:
    ran = run_script(
        """
import atexit, pathlib, time
import quiltwork as qw

@atexit.register
def last():
    try:
        executor.submit(abs, -1)
    except RuntimeError as error:
        print(error)

def touch(name):
    time.sleep(0.3)
    pathlib.Path(name).touch()

executor = qw.Client(n_workers=1).executor(max_workers=1)
executor.submit(touch, "first")
executor.submit(touch, "second")
executor.shutdown(wait=False)
"""
    )
    assert (ran.stdout, ran.stderr) == ("cannot schedule new futures after shutdown\n", "")
    assert (tmp_path / "first").exists() and (tmp_path / "second").exists()


def test_an_event_loop_runs_calls_in_it(client: qw.Client) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        with client.executor() as executor:
            return await asyncio.gather(*(loop.run_in_executor(executor, operator.neg, n) for n in range(10)))

    assert asyncio.run(main()) == [-n for n in range(10)]


def test_tasks_that_use_executors_do_not_starve() -> None:
    def nested(depth: int) -> int:
        if depth == 0:
            return 1
        with qw.current_client().executor() as executor:
            one = executor.submit(nested, 0)
            executor.submit(nested, 0)
            return one.result() + sum(executor.map(nested, [depth - 1] * 2))

    with qw.Client(n_workers=1) as client:
        assert client.submit(nested, 2).result(timeout=60) == 7
