"""Generator functions: their items come while they run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PATIENCE, eventually

import quiltwork as qw
from quiltwork.errors import ActorDiedError, ActorLostError, UsageError


@qw.task
def numbers(n: int) -> Iterator[int]:
    yield from range(n)


@qw.task
async def numbers_asynchronously(n: int) -> AsyncIterator[int]:
    for number in range(n):
        await asyncio.sleep(0)
        yield number


def noting(folder: Path, n: int, fail_at: int = -1) -> Iterator[int]:
    """Leaves a file for each item before it is made, and one at the end."""
    try:
        for number in range(n):
            (folder / str(number)).touch()
            if number == fail_at:
                raise ValueError(number)
            yield number
    finally:
        (folder / "closed").touch()


async def noting_asynchronously(folder: Path, n: int) -> AsyncIterator[int]:
    try:
        for number in range(n):
            yield number
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
        (folder / "closed").touch()


def made(folder: Path) -> int:
    return sum(name.isdigit() for name in os.listdir(folder))


def test_items_come_in_their_order(client: qw.Client) -> None:
    assert list(client.submit(numbers, 100)) == list(range(100))
    assert list(numbers.remote(5)) == list(numbers(5)) == [0, 1, 2, 3, 4]
    assert list(numbers.options(prefetch=0).remote(3)) == [0, 1, 2]
    assert list(numbers_asynchronously.remote(50)) == list(range(50))
    assert [list(stream) for stream in client.map(numbers, [0, 1, 3])] == [[], [0], [0, 1, 2]]

    async def read() -> list[int]:
        return [number async for number in client.submit(numbers_asynchronously, 20)]

    assert asyncio.run(read()) == list(range(20))


def test_items_come_while_the_generator_runs(client: qw.Client, tmp_path: Path) -> None:
    def waiting(folder: Path) -> Iterator[int]:
        yield 1
        while not (folder / "go").exists():
            time.sleep(0.01)
        yield 2

    stream = client.submit(waiting, tmp_path)
    assert next(stream) == 1
    (tmp_path / "go").touch()
    assert list(stream) == [2]


def test_it_runs_no_further_ahead_than_it_may(client: qw.Client, tmp_path: Path) -> None:
    with client.submit(noting, tmp_path, 100, prefetch=3) as stream:
        eventually(lambda: made(tmp_path) == 3)
        assert [next(stream) for _ in range(4)] == [0, 1, 2, 3]
        eventually(lambda: made(tmp_path) == 7)
        time.sleep(0.1)
        assert made(tmp_path) == 7
    eventually(lambda: (tmp_path / "closed").exists())
    assert made(tmp_path) == 7
    with pytest.raises(StopIteration):
        next(stream)


@pytest.mark.parametrize("function", [noting, noting_asynchronously])
def test_a_stream_that_is_dropped_ends_its_generator(client: qw.Client, tmp_path: Path, function: Any) -> None:
    for number in client.submit(function, tmp_path, 1000):
        if number == 5:
            break
    eventually(lambda: (tmp_path / "closed").exists())


async def tidying(folder: Path) -> AsyncIterator[int]:
    try:
        (folder / "begun").touch()
        await asyncio.sleep(PATIENCE)
        yield 0
    finally:
        await asyncio.sleep(0.1)
        (folder / "closed").touch()


def test_what_an_asynchronous_generator_awaits_at_its_end_is_not_cancelled(client: qw.Client, tmp_path: Path) -> None:
    with client.submit(tidying, tmp_path):
        eventually(lambda: (tmp_path / "begun").exists())
    eventually(lambda: (tmp_path / "closed").exists())


def test_a_generator_is_ended_where_it_runs(client: qw.Client, tmp_path: Path) -> None:
    def endless(folder: Path) -> Iterator[int]:
        try:
            yield 1
            while True:
                time.sleep(0.01)
        finally:
            (folder / "closed").touch()

    stream = client.submit(endless, tmp_path)
    assert next(stream) == 1
    stream.close()
    eventually(lambda: (tmp_path / "closed").exists())


def test_what_it_raises_comes_in_its_place(client: qw.Client, tmp_path: Path) -> None:
    stream = client.submit(noting, tmp_path, 10, fail_at=3)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3") as raised:
        next(stream)
    assert "raise ValueError(number)" in str(raised.value.__cause__)
    assert list(stream) == []
    with pytest.raises(TypeError, match="positional argument"):
        next(client.submit(numbers, 1, 2, 3))


def test_a_generator_is_begun_again_if_asked(client: qw.Client, tmp_path: Path) -> None:
    def unlucky(folder: Path) -> Iterator[int]:
        tries = len(os.listdir(folder))
        (folder / str(tries)).touch()
        for number in range(6):
            if number == 3 + tries and tries < 2:
                raise ValueError(tries)
            yield number

    assert list(client.submit(unlucky, tmp_path, retries=2)) == [0, 1, 2, 3, 4, 5]
    assert len(os.listdir(tmp_path)) == 3


@pytest.mark.parametrize("retries", [0, 1])
def test_a_lost_worker_ends_the_stream_unless_it_may_begin_again(tmp_path: Path, retries: int) -> None:
    def slow(folder: Path) -> Iterator[int]:
        for number in range(40):
            if number == 20:
                (folder / "half").touch()
            time.sleep(0.005)
            yield number

    with qw.Client(n_workers=1) as client:
        stream = client.submit(slow, tmp_path, retries=retries, prefetch=4)
        items = [next(stream) for _ in range(18)]
        client.kill_worker(client.worker_pids()[0])
        if retries:
            assert items + list(stream) == list(range(40))
        else:
            with pytest.raises((ActorLostError, ActorDiedError)):
                list(stream)
            assert list(stream) == []


def test_items_go_on_to_tasks_as_futures(client: qw.Client) -> None:
    def arrays(n: int) -> Iterator[Any]:
        for number in range(n):
            yield np.full(100_000, number)

    sums = [client.submit(np.sum, future) for future in client.submit(arrays, 5).futures()]
    assert client.gather(sums) == [100_000 * n for n in range(5)]

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("here")

    first, last = client.submit(failing).futures()
    assert first.result() == 1 and isinstance(last.exception(), ValueError)


def test_a_reader_may_give_up_waiting_and_come_again(client: qw.Client, tmp_path: Path) -> None:
    def waiting(folder: Path) -> Iterator[int]:
        while not (folder / "go").exists():
            time.sleep(0.01)
        yield 1

    async def read() -> list[int]:
        stream = client.submit(waiting, tmp_path)
        async with contextlib.aclosing(stream):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(stream), 0.05)
            (tmp_path / "go").touch()
            return [item async for item in stream]

    assert asyncio.run(read()) == [1]


def test_a_stream_is_no_value(client: qw.Client) -> None:
    stream = client.submit(numbers, 3)
    with pytest.raises(TypeError, match="a stream cannot travel"):
        client.submit(sum, stream)
    with pytest.raises(UsageError, match="read once"):
        client.submit(numbers, 3, pure=True)
    with pytest.raises(UsageError, match="ahead"):
        client.submit(numbers, 3, prefetch=-1)
    assert repr(stream) == "<Stream numbers: at item 0>" and next(stream) == 0
    stream.close()
    assert repr(stream) == "<Stream numbers: closed>"


def test_a_stream_runs_on_the_workers_it_is_given(client: qw.Client) -> None:
    def pids() -> Iterator[int]:
        yield os.getpid()

    for worker in client.workers():
        assert list(client.submit(pids, workers=worker)) == [worker.pid]


def test_with_outputs_a_generator_function_is_a_task(client: qw.Client) -> None:
    first, second = client.submit(numbers, 2, outputs=2)
    assert (first.result(), second.result()) == (0, 1)
    (only,) = numbers.options(outputs=1).remote(1)
    assert only.result() == 0
    for future in client.submit(numbers, 3, outputs=2):
        with pytest.raises(ValueError, match="a `generator` of more than 2 results"):
            future.result()
    for future in client.submit(numbers_asynchronously, 2, outputs=2):
        with pytest.raises(TypeError, match="returned a `async_generator`, and not 2 results"):
            future.result()


def test_options_that_streams_and_tasks_do_not_share_are_refused(client: qw.Client) -> None:
    with pytest.raises(UsageError, match="no timeout") as refused:
        client.submit(numbers, 3, timeout=1)
    assert refused.value.hint is not None
    for make in (
        lambda: client.submit(abs, -1, prefetch=2),  # type: ignore[call-overload]
        lambda: client.submit(numbers, 2, outputs=2, prefetch=2),
        lambda: client.map(abs, [-1], prefetch=2),  # type: ignore[call-overload]
        lambda: qw.task(prefetch=2)(abs).remote(-1),
    ):
        with pytest.raises(UsageError, match="nothing to make ahead"):
            make()
