"""Futures: waiting for one or many, in threads and in event loops, and letting go of them."""

from __future__ import annotations

import asyncio
import operator
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import areas_of, eventually

import quiltwork as qw


def slow(seconds: float, value: int = 0) -> int:
    time.sleep(seconds)
    return value


def test_a_time_limit_ends_the_wait_and_not_the_task(client: qw.Client) -> None:
    future = client.submit(slow, 0.4, 5)
    with pytest.raises(TimeoutError, match="no result within 0.01 s"):
        future.result(timeout=0.01)
    with pytest.raises(TimeoutError):
        future.exception(timeout=0)
    with pytest.raises(TimeoutError):
        client.gather([future], timeout=0.01)
    assert not future.done() and "pending" in repr(future)
    assert future.result(timeout=60) == 5
    assert future.done() and "finished" in repr(future)


def test_futures_come_as_they_complete(client: qw.Client) -> None:
    first = client.submit(slow, 0.5, 1)
    others = [client.submit(slow, 0.0, n) for n in (2, 3)]
    assert [future.result() for future in qw.as_completed([first, *others])][-1] == 1
    pairs = qw.as_completed(others, with_results=True)
    assert sorted(result for _, result in pairs) == [2, 3]
    with pytest.raises(TimeoutError, match="1 of 1"):
        list(qw.as_completed([client.submit(slow, 0.3)], timeout=0.01))


def test_wait_tells_what_is_done(client: qw.Client) -> None:
    long, short = client.submit(slow, 0.5), client.submit(slow, 0.0)
    done, not_done = qw.wait([long, short], return_when="FIRST_COMPLETED")
    assert (done, not_done) == ({short}, {long})
    failing = client.submit(operator.truediv, 1, 0)
    assert failing in qw.wait([long, failing], return_when="FIRST_EXCEPTION").done
    assert qw.wait([long], timeout=0.0).not_done in ({long}, set())
    assert qw.wait([long, short]).done == {long, short}
    with pytest.raises(ValueError, match="return_when"):
        qw.wait([short], return_when="SOMETIMES")  # type: ignore[arg-type]


def test_callbacks_are_called_once_with_the_future(client: qw.Client) -> None:
    called: list[Any] = []
    both = threading.Barrier(2)

    def callback(future: qw.Future[int]) -> None:
        called.append((future.result(), threading.current_thread().name))
        both.wait(60)

    future = client.submit(slow, 0.1, 4)
    future.add_done_callback(callback)
    both.wait(60)
    future.add_done_callback(callback)
    both.wait(60)
    assert called == [(4, "quiltwork-callbacks")] * 2


def test_a_callback_that_raises_does_not_stop_others(client: qw.Client, caplog: Any) -> None:
    told = threading.Event()
    future = client.submit(operator.neg, 1)
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(lambda _: told.set())
    assert told.wait(60)
    assert "ZeroDivisionError" in caplog.text


def test_futures_are_awaited(client: qw.Client) -> None:
    async def main() -> None:
        assert await client.submit(operator.neg, 1) == -1
        assert await asyncio.gather(*client.map(operator.neg, range(20))) == [-n for n in range(20)]
        with pytest.raises(ZeroDivisionError):
            await client.submit(operator.truediv, 1, 0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(as_coroutine(client.submit(slow, 0.3))), 0.01)

    async def as_coroutine(future: qw.Future[int]) -> int:
        return await future

    asyncio.run(main())


def test_threads_wait_beside_each_other(client: qw.Client) -> None:
    results: dict[int, int] = {}

    def work(number: int) -> None:
        results[number] = sum(client.gather(client.map(operator.add, range(50), [number] * 50)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {number: sum(range(50)) + 50 * number for number in range(8)}


def test_tasks_that_submit_tasks_do_not_starve() -> None:
    def tree(depth: int) -> int:
        if depth == 0:
            return 1
        client = qw.current_client()
        return sum(client.gather([client.submit(tree, depth - 1) for _ in range(2)]))

    def nested(depth: int) -> int:
        return sum(future.result() for future in qw.as_completed(qw.current_client().map(tree, [depth] * 2)))

    with qw.Client(n_workers=1) as client:
        assert client.submit(tree, 4).result(timeout=60) == 16
        assert client.submit(nested, 2).result(timeout=60) == 8
        with pytest.raises(qw.errors.UsageError, match="a task cannot start a cluster"):
            client.submit(qw.Client).result(timeout=60)


def test_a_task_knows_itself_and_tells_how_far_it_is(client: qw.Client) -> None:
    assert qw.current_task() is None

    def work() -> tuple[str, int]:
        task = qw.current_task()
        assert task is not None
        task.progress(3, 10)
        while not task.cancelled:
            time.sleep(0.01)
        return task.id, task.attempt

    future = client.submit(work)
    eventually(lambda: future.progress() == (3, 10))
    assert "running on" in client.story(future)
    assert future.cancel()
    with pytest.raises(qw.errors.TaskCancelled):
        future.result()
    # The slot is free again: both workers take tasks.
    assert len(client.gather([client.submit(time.sleep, 0.0) for _ in range(4)])) == 4
    assert "cancelled" in client.story(future)


def spin(begun: Path) -> None:
    begun.touch()
    while True:
        pass


def wait_for_another(begun: Path) -> None:
    another = qw.current_client().submit(time.sleep, 2)
    begun.touch()
    another.result()


@pytest.mark.parametrize("work", [spin, wait_for_another])
def test_a_function_is_ended_where_it_runs_when_its_task_is_cancelled(work: Any, tmp_path: Any) -> None:
    def guarded() -> None:
        try:
            work(tmp_path / "begun")
        except qw.errors.Interrupted:
            (tmp_path / "interrupted").touch()
            raise

    with qw.Client(n_workers=1) as client:
        pids = client.worker_pids()
        future = client.submit(guarded)
        eventually(lambda: (tmp_path / "begun").exists())
        assert future.cancel()
        eventually(lambda: (tmp_path / "interrupted").exists())
        with pytest.raises(qw.errors.TaskCancelled):
            future.result()
        assert {client.submit(os.getpid).result() for _ in range(20)} == set(pids), "the worker goes on"


def test_an_interrupt_never_reaches_another_task() -> None:
    def short() -> int:
        return sum(range(2000))

    with qw.Client(n_workers=1) as client:
        for _ in range(60):
            doomed, others = client.submit(short), client.map(operator.neg, range(5))
            doomed.cancel()
            assert client.gather(others) == [0, -1, -2, -3, -4]


def test_the_last_reference_frees_the_value() -> None:
    def make() -> bytes:
        return b"x" * (1 << 20)

    with qw.Client(n_workers=1) as client:
        folder = areas_of(os.getpid())[-1]
        held = client.submit(make)
        qw.wait([held])
        # What is being written ends with a tilde; what is kept to be written again has another name.
        assert len(list(folder.rglob("*-*-*.w*[0-9]"))) == 1
        del held
        eventually(lambda: not list(folder.rglob("*-*-*.w*[0-9]")))
