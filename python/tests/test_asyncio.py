"""The client in an event loop, which goes on while tasks are waited for."""

from __future__ import annotations

import asyncio
import operator
import time
from collections.abc import Callable
from typing import Any

import pytest

import quiltwork as qw


def slow(seconds: float, value: int = 0) -> int:
    time.sleep(seconds)
    return value


def test_a_client_is_used_by_async_with() -> None:
    async def main() -> qw.Client:
        async with qw.Client(n_workers=1) as client:
            assert await client.submit(operator.neg, 1) == -1
            squares = client.map(pow, range(5), [2] * 5)
            assert await client.submit(sum, squares) == 30
            assert await asyncio.gather(*squares) == [0, 1, 4, 9, 16]
        return client

    assert "closed" in repr(asyncio.run(main()))


def test_a_loop_goes_on_while_tasks_are_awaited(client: qw.Client) -> None:
    async def main() -> int:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        heart = asyncio.create_task(beat())
        futures = [client.submit(slow, 0.3, n) for n in range(2)]
        assert [await future for future in futures] == [0, 1]
        async for future in qw.as_completed(client.map(slow, [0.1] * 4)):
            assert future.done()
        heart.cancel()
        return beats

    assert asyncio.run(main()) > 10


def test_futures_come_in_a_loop_as_they_complete(client: qw.Client) -> None:
    async def main() -> None:
        first = client.submit(slow, 0.5, 1)
        others = [client.submit(slow, 0.0, n) for n in (2, 3)]
        assert [await future async for future in qw.as_completed([first, *others, first])][-2:] == [1, 1]
        pairs = [pair async for pair in qw.as_completed(others, with_results=True)]
        assert sorted(result for _, result in pairs) == [2, 3]
        assert [future async for future in qw.as_completed([])] == []
        failing = client.submit(operator.truediv, 1, 0)
        with pytest.raises(ZeroDivisionError):
            _ = [pair async for pair in qw.as_completed([failing], with_results=True)]
        late = client.submit(slow, 0.3)
        with pytest.raises(TimeoutError, match="1 of 2 tasks have not ended within 0.1 s"):
            _ = [future async for future in qw.as_completed([first, late], timeout=0.1)]
        assert await late == 0

    asyncio.run(main())


def test_many_wait_for_one_future(client: qw.Client) -> None:
    async def wait_for(future: qw.Future[int]) -> int:
        return await future

    async def main() -> None:
        future = client.submit(slow, 0.1, 7)
        assert await asyncio.gather(*(wait_for(future) for _ in range(100))) == [7] * 100
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait_for(client.submit(slow, 0.3)), 0.01)
        doomed = client.submit(slow, 1.0)
        doomed.cancel()
        with pytest.raises(qw.errors.TaskCancelled):
            await doomed

    asyncio.run(main())


def test_a_loop_that_ends_first_hurts_nobody(client: qw.Client) -> None:
    async def begin() -> qw.Future[int]:
        future = client.submit(slow, 0.2, 3)
        waiting = asyncio.ensure_future(asyncio.wait_for(future, None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        waiting.cancel()
        return future

    future = asyncio.run(begin())
    assert future.result() == 3
    assert asyncio.run(begin()).result() == 3


def test_a_server_that_forks_makes_a_client_in_each_process(run_script: Callable[..., Any]) -> None:
    ran = run_script(
        """
import asyncio, os, sys, time
import quiltwork as qw

client = qw.Client(n_workers=1)
executor = client.executor()
pending = executor.submit(time.sleep, 0.3)
future = client.submit(abs, -1)

async def serve():
    async with qw.Client(n_workers=1) as own:
        return await own.submit(abs, -3)

async def inherit():
    return await future

if os.fork() == 0:
    for use in (lambda: asyncio.run(inherit()), lambda: executor.submit(abs, -1), lambda: client.map(abs, [1])):
        try:
            use()
        except RuntimeError as error:
            print(str(error).splitlines()[0])
    print(asyncio.run(serve()), flush=True)
    sys.exit(0)
os.wait()
print(future.result(), pending.result())
"""
    )
    refusal = "this client was made before the process was forked, and belongs to the parent\n"
    assert (ran.stdout, ran.stderr) == (3 * refusal + "3\n1 None\n", "")


def test_tasks_that_await_tasks_do_not_starve() -> None:
    def tree(depth: int) -> int:
        async def count() -> int:
            client = qw.current_client()
            return sum(await asyncio.gather(*(client.submit(tree, depth - 1) for _ in range(2))))

        return asyncio.run(count()) if depth else 1

    def in_turn() -> list[int]:
        async def negate() -> list[int]:
            futures = qw.current_client().map(operator.neg, range(3))
            return sorted([result async for _, result in qw.as_completed(futures, with_results=True)])

        return asyncio.run(negate())

    with qw.Client(n_workers=1) as client:
        assert client.submit(tree, 3).result(timeout=60) == 8
        assert client.submit(in_turn).result(timeout=60) == [-2, -1, 0]
        assert client.submit(operator.neg, 1).result(timeout=60) == -1, "the slot was taken back"
