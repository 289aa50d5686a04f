"""Actors with `async` methods: one event loop each."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually

import quiltwork as qw
from quiltwork.errors import ActorDiedError, TaskCancelled


class Gate:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self.opened = asyncio.Event()
        self.waiting = self.most = 0

    async def wait(self, value: int = 0) -> int:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await self.opened.wait()
        finally:
            self.waiting -= 1
        return value

    async def pass_by(self) -> None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(0.01)
        self.waiting -= 1

    def open(self) -> int:
        self.opened.set()
        return self.waiting

    def numbers(self) -> tuple[int, int]:
        return self.waiting, self.most

    async def is_at_home(self) -> bool:
        return asyncio.get_running_loop() is self.loop and threading.get_ident() == self.thread

    async def task_id(self) -> tuple[str | None, str | None]:
        await asyncio.sleep(0.01)
        outer = qw.current_task()
        inner = await asyncio.create_task(self._task_id())
        return outer and outer.id, inner

    async def _task_id(self) -> str | None:
        task = qw.current_task()
        return task and task.id

    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise KeyError("key")

    async def until_cancelled(self, path: Path) -> None:
        (path / "begun").touch()
        try:
            await asyncio.sleep(60)
        finally:
            (path / "cancelled").touch()


def test_thousands_of_calls_wait_beside_each_other(client: qw.Client) -> None:
    gate = client.actor(Gate)
    calls = [gate.wait.remote(n) for n in range(900)]
    eventually(lambda: gate.numbers.remote().result() == (900, 900))
    assert gate.open.remote().result() == 900
    assert client.gather(calls) == list(range(900))


def test_no_more_calls_run_than_may(client: qw.Client) -> None:
    gate = client.actor(Gate, max_concurrency=5)
    client.gather([gate.pass_by.remote() for _ in range(40)])
    assert gate.numbers.remote().result() == (0, 5)


def test_all_of_it_runs_in_one_loop_on_one_thread(client: qw.Client) -> None:
    gate = client.actor(Gate)
    assert all(client.gather([gate.is_at_home.remote() for _ in range(50)]))
    call = gate.task_id.remote()
    assert call.result() == (call.key.rpartition("-")[2],) * 2


def test_what_a_coroutine_raises_is_raised(client: qw.Client) -> None:
    gate = client.actor(Gate)
    failed = gate.fail.remote()
    with pytest.raises(KeyError, match="key"):
        failed.result()
    remote = failed.traceback()
    assert remote is not None and 'raise KeyError("key")' in remote and "_looped" not in remote


def test_a_cancelled_call_is_cancelled_where_it_waits(client: qw.Client, tmp_path: Path) -> None:
    gate = client.actor(Gate)
    call = gate.until_cancelled.remote(tmp_path)
    eventually(lambda: (tmp_path / "begun").exists())
    call.cancel()
    eventually(lambda: (tmp_path / "cancelled").exists())
    with pytest.raises(TaskCancelled):
        call.result(timeout=60)
    assert gate.numbers.remote().result() == (0, 0)


def test_the_end_cancels_what_waits_and_lets_go_in_the_loop(client: qw.Client, tmp_path: Path) -> None:
    class Noticing(Gate):
        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

        def __del__(self) -> None:
            (self.path / f"{threading.get_ident() == self.thread}").touch()

    noticing = client.actor(Noticing, tmp_path)
    call = noticing.until_cancelled.remote(tmp_path)
    eventually(lambda: (tmp_path / "begun").exists())
    client.kill(noticing)
    with pytest.raises(ActorDiedError):
        call.result(timeout=60)
    eventually(lambda: {"cancelled", "True"} <= set(os.listdir(tmp_path)))


def test_actors_await_each_other_and_tasks(client: qw.Client) -> None:
    class Asking:
        def __init__(self, gate: Any) -> None:
            self.gate = gate

        async def ask(self, n: int) -> Any:
            return await self.gate.wait.remote(await qw.current_client().submit(abs, -n))

        async def open(self) -> Any:
            return await self.gate.open.remote()

    gate = client.actor(Gate)
    asking = client.actor(Asking, gate)
    calls = [asking.ask.remote(n) for n in range(10)]
    eventually(lambda: gate.numbers.remote().result() == (10, 10))
    asking.open.remote().result()
    assert client.gather(calls) == list(range(10))


def test_calls_are_awaited_here(client: qw.Client) -> None:
    async def main() -> None:
        gate = client.actor(Gate)
        waiting = [asyncio.ensure_future(as_coroutine(gate.wait.remote(n))) for n in range(5)]
        await gate.open.remote()
        assert await asyncio.gather(*waiting) == list(range(5))

    async def as_coroutine(future: qw.Future[int]) -> int:
        return await future

    asyncio.run(main())


def test_a_constructor_that_fails_fails_every_call(client: qw.Client) -> None:
    class Refusing:
        def __init__(self) -> None:
            raise RuntimeError("no")

        async def get(self) -> None: ...

    with pytest.raises(RuntimeError, match="no"):
        client.actor(Refusing).get.remote().result(timeout=60)
