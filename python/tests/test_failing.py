"""What is raised where, and what it says."""

from __future__ import annotations

import operator
import os
import signal
import sys
import time
import traceback
from typing import Any

import pytest

import quiltwork as qw
from quiltwork.errors import (
    CannotTravel,
    ConnectionLost,
    OutOfMemory,
    Poisoned,
    RemoteError,
    TaskCancelled,
    TaskError,
)


class Unlucky(Exception):
    def __init__(self, number: int, *, why: str) -> None:
        super().__init__(number)
        self.number, self.why = number, why

    def __reduce__(self) -> Any:
        return rebuild, (self.number, self.why)


class Stubborn(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("I stay")


def rebuild(number: int, why: str) -> Unlucky:
    return Unlucky(number, why=why)


def fail(number: int) -> None:
    raise Unlucky(number, why="no luck")


def fail_deeply(number: int) -> None:
    try:
        fail(number)
    except Unlucky as error:
        raise RuntimeError("deep") from error


def test_a_function_in_rust_that_no_worker_has_is_said_to_be_missing(client: qw.Client) -> None:
    with pytest.raises(TaskError, match="app::count") as raised:
        client.submit(qw.rust("app::count"), 3).result()
    assert "programs=" in str(raised.value)


def test_the_very_exception_is_raised_with_the_remote_traceback(client: qw.Client) -> None:
    future = client.submit(fail, 7)
    with pytest.raises(Unlucky) as caught:
        future.result()
    assert (caught.value.number, caught.value.why) == (7, "no luck")
    text = "".join(traceback.format_exception(caught.value))
    assert 'raise Unlucky(number, why="no luck")' in text and "in fail\n" in text
    assert "quiltwork/_" not in text, "nothing of the way through the package is shown"
    remote = future.traceback()
    assert (
        remote is not None
        and remote.startswith("Traceback")
        and "quiltwork" not in remote.replace("quiltwork/tests", "")
    )
    assert isinstance(future.exception(), Unlucky)
    deep = client.submit(fail_deeply, 7).traceback()
    assert deep is not None and "direct cause" in deep and "Unlucky" in deep


def test_an_exception_defined_on_the_way_is_the_same_class_here(client: qw.Client) -> None:
    class Local(Exception):
        pass

    def fail_locally() -> None:
        raise Local("here")

    with pytest.raises(Local, match="here"):
        client.submit(fail_locally).result()


def test_a_task_that_ended_well_raised_nothing(client: qw.Client) -> None:
    future = client.submit(operator.neg, 1)
    assert future.exception() is None and future.traceback() is None and not future.cancelled()


def test_what_needs_a_failed_task_fails_likewise_and_says_why(client: qw.Client) -> None:
    failed = client.submit(fail, 3)
    with pytest.raises(Unlucky) as caught:
        client.submit(str, client.submit(repr, [failed])).result()
    assert caught.value.__notes__ == ["`str` was not run: it needs `fail`, which failed"]
    for use, place in [
        (client.submit(operator.add, 1, failed), "argument `b`"),
        (client.submit(fail, number=[{"deep": failed}]), "argument `number`"),
        (client.submit(print, 1, 2, failed), "argument 3"),
    ]:
        note = f"`{use.name}` was not run: its {place} came from `fail`, which failed"
        with pytest.raises(Unlucky) as caught:
            client.gather([use])
        assert caught.value.__notes__ == [note]
        assert getattr(use.exception(), "__notes__", None) == [note]


def test_what_cannot_be_pickled_arrives_as_text(client: qw.Client) -> None:
    def stubborn() -> None:
        raise Stubborn("words")

    with pytest.raises(RemoteError, match=r"Stubborn: words") as caught:
        client.submit(stubborn).result()
    assert caught.value.type_name.endswith("Stubborn")
    with pytest.raises(RemoteError, match="SystemExit: 3"):
        client.submit(sys.exit, 3).result()
    with pytest.raises(CannotTravel, match="the result of .* a `generator`"):
        client.submit(lambda: (x for x in [1])).result()
    with pytest.raises(RemoteError, match="ValueError"):
        client.submit(raise_large).result()


def raise_large() -> None:
    raise ValueError("x" * 100_000)


def test_a_function_workers_cannot_import_is_an_import_error(client: qw.Client) -> None:
    import types

    module = types.ModuleType("made_up_here")
    exec("def function():\n    return 1\n", module.__dict__)
    sys.modules["made_up_here"] = module
    try:
        with pytest.raises(ModuleNotFoundError, match="made_up_here") as caught:
            client.submit(module.function).result()
        assert "workers look for modules" in caught.value.__notes__[0]
    finally:
        del sys.modules["made_up_here"]


def test_a_cancelled_task_says_so(client: qw.Client) -> None:
    import concurrent.futures

    running = [client.submit(time.sleep, 0.3) for _ in range(2)]
    waiting = client.submit(operator.neg, 1, priority=-1)
    dependent = client.submit(operator.neg, waiting)
    assert waiting.cancel()
    with pytest.raises(TaskCancelled):
        waiting.result()
    with pytest.raises(concurrent.futures.CancelledError):
        dependent.result()
    assert waiting.cancelled() and not running[0].cancelled()
    assert client.gather(running) == [None, None]
    assert not running[0].cancel()


def overflow() -> None:
    sys.setrecursionlimit(2**31 - 1)

    # By way of a function in C, each step of which takes stack.
    def recurse(_: object) -> int:
        return sorted([0, 1], key=recurse)[0]

    recurse(0)


@pytest.mark.parametrize("kill", [lambda: os._exit(3), lambda: os.kill(os.getpid(), signal.SIGSEGV), overflow])
def test_a_task_that_kills_workers_is_stopped_and_hurts_nobody_else(kill: Any) -> None:
    with qw.Client(n_workers=2) as client:
        killer = client.submit(kill)
        others = client.map(operator.neg, range(50))
        with pytest.raises(Poisoned, match=r"exit status 3|SIGSEGV"):
            killer.result()
        assert client.gather(others) == [-n for n in range(50)]


def test_a_task_that_uses_all_memory_is_stopped_by_name_and_hurts_nobody_else() -> None:
    def greedy() -> int:
        kept = []
        while True:
            kept.append(b"x" * (4 << 20))
            time.sleep(0.005)

    with qw.Client(n_workers=2, memory_limit="200MiB", output=lambda _: None) as client:
        others = client.map(operator.neg, range(50))
        with pytest.raises(OutOfMemory, match="greedy") as caught:
            client.submit(greedy).result()
        assert isinstance(caught.value, MemoryError) and caught.value.hint is not None
        assert client.gather(others) == [-n for n in range(50)]


def test_a_worker_that_keeps_the_interpreter_to_itself_is_not_taken_for_dead() -> None:
    def hog(seconds: int) -> int:
        import ctypes

        # Unlike `CDLL`, it keeps the interpreter's lock. Links give up on a peer that is silent for ten seconds.
        ctypes.PyDLL(None).sleep(seconds)
        return os.getpid()

    with qw.Client(n_workers=1) as client:
        pids = client.worker_pids()
        assert client.submit(hog, 12).result() == pids[0]
        assert client.worker_pids() == pids


def test_a_deep_recursion_is_an_error_and_no_death(client: qw.Client) -> None:
    def recurse() -> None:
        recurse()

    with pytest.raises(RecursionError):
        client.submit(recurse).result()


def test_a_closed_client_says_so() -> None:
    client = qw.Client(n_workers=1)
    future = client.submit(operator.neg, 1)
    assert future.result() == -1
    late = client.map(operator.neg, range(2000))
    client.close()
    client.close()
    assert future.result() == -1, "what was here stays"
    with pytest.raises(ConnectionLost):
        late[-1].result()
    with pytest.raises(RuntimeError, match="closed"):
        client.submit(operator.neg, 1)
    assert repr(client) == "<Client: closed>"
