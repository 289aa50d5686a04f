"""Where tasks run, how long they may, how many results they make, and how failed ones are tried again."""

from __future__ import annotations

import gc
import operator
import os
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import areas_of, eventually

import quiltwork as qw
from quiltwork.errors import NoSuchResources, TimedOut, UsageError


def spin() -> None:
    while True:
        pass


def test_a_function_is_ended_when_its_time_is_over(client: qw.Client) -> None:
    # To import this module would count as well.
    client.run_on_all(divided, 1, 1)
    future = client.submit(spin, timeout=0.5)
    with pytest.raises(TimedOut, match=r"its time limit is 500ms") as caught:
        future.result(timeout=60)
    assert isinstance(caught.value, TimeoutError) and caught.value.retryable
    assert "in spin" in str(caught.value) and caught.value.hint is not None
    assert client.submit(operator.neg, 1, timeout=60).result() == -1
    assert client.submit(operator.neg, 1, timeout=float("inf")).result() == -1
    for wrong in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="timeout of a task"):
            client.submit(operator.neg, 1, timeout=wrong)


def test_what_does_not_hear_that_its_time_is_over_gives_its_slot_away() -> None:
    with qw.Client(n_workers=1) as client:
        pids = client.worker_pids()
        deaf = client.submit(time.sleep, 600, timeout=0.05)
        after = client.submit(os.getpid)
        with pytest.raises(TimedOut):
            deaf.result(timeout=60)
        assert [after.result(timeout=60)] == pids == client.worker_pids()


def test_whoever_catches_the_interrupt_fails_all_the_same(client: qw.Client) -> None:
    def stubborn() -> str:
        try:
            spin()
        except qw.errors.Interrupted:
            return "an answer"
        return "never"

    with pytest.raises(TimedOut):
        client.submit(stubborn, timeout=0.05).result()


def test_a_task_out_of_time_is_tried_again_if_asked(client: qw.Client, tmp_path: Path) -> None:
    def slow_at_first(marker: Path) -> int:
        tries = len(list(marker.iterdir()))
        (marker / str(tries)).touch()
        if tries < 2:
            spin()
        return tries

    assert client.submit(slow_at_first, tmp_path, timeout=1, retries=9).result(timeout=60) == 2


def test_what_a_task_waits_for_counts(client: qw.Client) -> None:
    def parent() -> None:
        qw.current_client().submit(time.sleep, 1.0).result()

    with pytest.raises(TimedOut):
        client.submit(parent, timeout=0.1).result(timeout=60)


def test_a_task_runs_on_one_of_the_workers_it_is_bound_to() -> None:
    with qw.Client(n_workers=3) as client:
        one, two, three = client.workers()
        for name in (two, two.id, two.pid, [two], (two.pid,)):
            assert client.submit(os.getpid, workers=name).result() == two.pid
        several = client.map(lambda _: os.getpid(), range(20), workers=[one, three.pid])
        assert set(client.gather(several)) <= {one.pid, three.pid}
        client.kill_worker(one.pid)
        assert client.submit(os.getpid, workers=[one, three]).result() == three.pid
        with pytest.raises(NoSuchResources, match=f"bound to worker {one.id}, which is not there"):
            client.submit(os.getpid, workers=one).result()
        for wrong in ("nobody", -1, "w"):
            with pytest.raises(UsageError, match="is no worker of this cluster"):
                client.submit(os.getpid, workers=wrong)
        with pytest.raises(UsageError, match="no worker at all"):
            client.submit(os.getpid, workers=[])


def divided(a: int, b: int) -> tuple[int, int]:
    return divmod(a, b)


def test_several_results_are_values_of_their_own(client: qw.Client) -> None:
    quotient, rest = client.submit(divided, 17, 5, outputs=2)
    assert (quotient.result(), rest.result()) == (3, 2)
    assert client.submit(operator.add, quotient, rest).result() == 5
    assert (quotient.name, rest.name) == ("divided[0]", "divided[1]")
    (alone,) = client.submit(lambda: iter([7]), outputs=1)
    assert alone.result() == 7
    assert qw.task(divided).options(outputs=2).remote(9, 2)[1].result() == 1
    first, again = (client.submit(divided, 17, 5, outputs=2, pure=True) for _ in range(2))
    assert first[0] is again[0] and first[1] is again[1]


@pytest.mark.parametrize(
    ("makes", "said"),
    [
        (lambda: 7, r"returned a `int`, and not 2 results"),
        (lambda: (1, 2, 3), r"returned a `tuple` of more than 2 results, and not 2"),
        (lambda: [1], r"returned a `list` of 1 results, and not 2"),
    ],
)
def test_a_wrong_number_of_results_is_told(client: qw.Client, makes: Any, said: str) -> None:
    for future in client.submit(makes, outputs=2):
        with pytest.raises((TypeError, ValueError), match=said):
            future.result()
    with pytest.raises(ValueError, match="at least one result"):
        client.submit(makes, outputs=0)


def test_each_of_several_results_is_freed_alone() -> None:
    def parts() -> tuple[bytes, bytes]:
        return b"x" * (1 << 20), b"y" * (1 << 20)

    with qw.Client(n_workers=1) as client:
        folder = areas_of(os.getpid())[-1]

        def held() -> int:
            return len(list(folder.rglob("*-*-*.w*[0-9]")))

        one, two = client.submit(parts, outputs=2)
        qw.wait([one, two])
        eventually(lambda: held() == 2)
        del one
        gc.collect()
        eventually(lambda: held() == 1)
        assert two.result() == b"y" * (1 << 20)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """While this file is there, `careful` fails."""
    path = tmp_path / "broken"
    path.touch()
    return path


def careful(path: Path, number: int = 0) -> int:
    if path.exists():
        raise RuntimeError("not yet")
    return number + 1


def test_failed_tasks_are_tried_again_with_the_inputs_they_need(client: qw.Client, broken: Path) -> None:
    fine = client.submit(operator.neg, -1)
    first = client.submit(careful, broken, fine)
    second = client.submit(careful, broken, first)
    with pytest.raises(RuntimeError):
        second.result()
    broken.unlink()
    client.retry([second, fine])
    assert (second.result(), first.result(), fine.result()) == (3, 2, 1)
    client.retry(second)
    assert second.result() == 3, "what has not failed is not run again"


def test_what_is_needed_to_try_again_must_be_there(client: qw.Client, broken: Path) -> None:
    orphan = client.submit(careful, broken, client.submit(careful, broken))
    large = client.submit(careful, [broken, bytes(20_000)])
    part, _ = client.submit(careful, broken, outputs=2)
    for future in (orphan, large, part):
        assert future.exception() is not None
    gc.collect()
    with pytest.raises(UsageError, match="the future of an input is gone"):
        client.retry(orphan)
    with pytest.raises(UsageError, match="too large to be kept"):
        client.retry(large)
    with pytest.raises(UsageError, match="is one of several results"):
        client.retry([part])
