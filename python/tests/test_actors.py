"""Actors: made, called, found, passed on, lost and ended."""

from __future__ import annotations

import inspect
import operator
import os
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import eventually

import quiltwork as qw
from quiltwork.errors import (
    ActorDiedError,
    ActorFullError,
    ActorLostError,
    CannotTravel,
    RemoteError,
    TaskCancelled,
    UsageError,
)


@qw.actor
class Counter:
    """Counts."""

    step = 1

    def __init__(self, start: int = 0) -> None:
        self.count = start
        self.thread = threading.get_ident()

    def add(self, by: int = 1, *, fail: bool = False) -> int:
        """Adds to the count."""
        if fail:
            raise ValueError(by)
        self.count += by * self.step
        return self.count

    def get(self) -> int:
        return self.count

    def pid(self) -> int:
        return os.getpid()

    def die(self) -> None:
        os._exit(3)

    def sleep(self, seconds: float) -> int:
        time.sleep(seconds)
        return self.count

    def attempt(self) -> tuple[str, int] | None:
        task = qw.current_task()
        return task and (task.id, task.attempt)

    def report(self, done: int, total: int) -> None:
        task = qw.current_task()
        assert task is not None
        task.progress(done, total)
        while not task.cancelled:
            time.sleep(0.01)

    def one_thread(self) -> bool:
        return threading.get_ident() == self.thread

    @classmethod
    def words(cls) -> str:
        return cls.__name__

    @staticmethod
    def twice(x: int) -> int:
        return 2 * x

    def _secret(self) -> None: ...


def add_to(counter: Any, by: int) -> int:
    result: int = counter.add.remote(by).result()
    return result


def test_calls_run_in_their_order_on_what_lives_there(client: qw.Client) -> None:
    counter = client.actor(Counter, 5)
    sums = [counter.add.remote(n) for n in range(200)]
    assert client.gather(sums) == [5 + n * (n + 1) // 2 for n in range(200)]
    assert counter.pid.remote().result() in client.worker_pids()
    assert all(client.gather([counter.one_thread.remote() for _ in range(20)]))
    assert (counter.words.remote().result(), counter.twice.remote(4).result()) == ("Counter", 8)


def test_the_class_stays_the_class_it_is(client: qw.Client) -> None:
    here = Counter(5)
    assert type(here) is Counter and here.add(2) == 7 and pickle.loads(pickle.dumps(here)).count == 7

    class Tens(Counter):
        step = 10

    assert Tens.remote(1).add.remote(2).result() == 21  # type: ignore[attr-defined]
    assert Counter.options(max_restarts=1).remote(start=3).get.remote().result() == 3  # type: ignore[attr-defined]
    assert qw.actor(max_restarts=-1)(Counter).remote(4).get.remote().result() == 4
    with pytest.raises(TypeError, match=r"no option `max_restrats`"):
        qw.actor(max_restrats=1)(Counter)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="made of a class"):
        client.actor(len)
    with pytest.raises(TypeError, match="a `remote` of its own"):
        qw.actor(type("Television", (), {"remote": lambda self: None}))


def test_a_handle_knows_the_methods_of_its_class(client: qw.Client) -> None:
    counter = client.actor(Counter)
    with pytest.raises(AttributeError, match="no method `ad`\n  hint: did you mean `add`"):
        counter.ad.remote(1)
    with pytest.raises(AttributeError, match="no method `count`"):
        counter.count.remote()
    with pytest.raises(AttributeError, match="private"):
        counter._secret.remote()
    with pytest.raises(TypeError, match=r"by `.remote\(...\)`"):
        counter.add(1)
    assert counter.add.__doc__ == "Adds to the count." and counter.add.__name__ == "add"
    assert str(inspect.signature(counter.add)) == "(by: 'int' = 1, *, fail: 'bool' = False) -> 'int'"
    assert {"add", "get", "words"} <= set(dir(counter)) and "count" not in dir(counter)
    assert repr(counter).startswith("<ActorHandle of Counter: ")


def test_what_a_method_raises_fails_its_call_and_no_other(client: qw.Client) -> None:
    counter = client.actor(Counter)
    before, failed, after = counter.add.remote(1), counter.add.remote(7, fail=True), counter.add.remote(1)
    with pytest.raises(ValueError, match="7"):
        failed.result()
    assert (before.result(), after.result()) == (1, 2)
    remote = failed.traceback()
    assert remote is not None and "raise ValueError(by)" in remote and "_instances" not in remote
    with pytest.raises(TypeError, match="sideways"):
        counter.add.remote(sideways=1).result()
    with pytest.raises(CannotTravel, match=r"argument `by` of `.*Counter\.add`"):
        counter.add.remote(threading.Lock())
    assert counter.get.remote().result() == 2


def test_a_constructor_that_fails_fails_every_call(client: qw.Client) -> None:
    class Refusing:
        def __init__(self, why: str) -> None:
            raise RuntimeError(why)

        def get(self) -> None: ...

    refusing = client.actor(Refusing, "no")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            refusing.get.remote().result()
    with pytest.raises(CannotTravel, match="argument `why`"):
        client.actor(Refusing, threading.Lock())


def test_handles_travel_to_tasks_calls_and_actors(client: qw.Client) -> None:
    class Proxy:
        def __init__(self, targets: dict[str, Any]) -> None:
            self.target = targets["counter"]

        def add(self, by: int) -> Any:
            return self.target.add.remote(by).result()

        def use(self, target: Any) -> None:
            self.target = target

    counter, other = client.actor(Counter), client.actor(Counter, 100)
    assert client.submit(add_to, counter, 3).result() == 3
    assert client.submit(lambda handles: add_to(handles[0], 2), [counter]).result() == 5
    proxy = client.actor(Proxy, {"counter": counter})
    assert proxy.add.remote(1).result() == 6
    proxy.use.remote(other).result()
    del other
    assert [proxy.add.remote(1).result() for _ in range(3)] == [101, 102, 103], "who keeps a handle keeps the actor"
    assert counter.get.remote().result() == 6
    with pytest.raises(TypeError, match="can only travel as an argument"):
        pickle.dumps(counter)
    with pytest.raises(CannotTravel, match="can only travel as an argument"):
        client.submit(lambda: counter)


def test_futures_are_arguments_and_hold_up_only_their_own_caller(client: qw.Client) -> None:
    counter = client.actor(Counter)
    late = counter.add.remote(client.submit(slow, 0.5, 10))
    later = counter.add.remote(1)
    # A task is another caller.
    assert client.submit(add_to, counter, 5).result() == 5
    assert (late.result(), later.result()) == (15, 16)
    assert client.submit(operator.neg, counter.get.remote()).result() == -16


def slow(seconds: float, value: int) -> int:
    time.sleep(seconds)
    return value


def test_actors_occupy_no_slots(client: qw.Client) -> None:
    counters = [client.actor(Counter, n) for n in range(6)]
    sleeping = [counter.sleep.remote(0.3) for counter in counters]
    assert client.submit(os.getpid).result() in client.worker_pids()
    assert client.gather(sleeping) == list(range(6))


def test_an_actor_knows_its_call(client: qw.Client) -> None:
    counter = client.actor(Counter)
    far = counter.report.remote(3, 10)
    eventually(lambda: far.progress() == (3, 10))
    assert far.cancel()
    first, second = counter.attempt.remote(), counter.attempt.remote()
    assert first.result() == (first.key.rpartition("-")[2], 1) and first.result()[0] != second.result()[0]


def test_an_actor_has_a_name(client: qw.Client) -> None:
    counter = Counter.options(name="named").remote(1)  # type: ignore[attr-defined]
    assert qw.get_actor("named").add.remote(1).result() == 2
    assert client.get_actor("named", Counter).add.remote(1).result() == 3
    again = client.actor(Counter, 50, name="named", get_if_exists=True)
    assert again.get.remote().result() == 3

    def find(name: str) -> Any:
        return qw.get_actor(name).add.remote(1).result()

    assert client.submit(find, "named").result() == 4
    with pytest.raises(AttributeError, match="did you mean `add`"):
        client.get_actor("named").ad.remote(1).result()
    with pytest.raises(qw.errors.TaskError, match="named"):
        client.actor(Counter, name="named").get.remote().result()
    with pytest.raises(qw.errors.QuiltworkError, match="nobody"):
        client.get_actor("nobody")
    with pytest.raises(ValueError, match="get_if_exists"):
        client.actor(Counter, get_if_exists=True)
    del counter, again
    # Its name is free when it has ended.
    eventually(lambda: client.actor(Counter, 7, name="named", get_if_exists=True).get.remote().result() == 7)


def test_the_last_handle_ends_the_actor(client: qw.Client, tmp_path: Path) -> None:
    class Noticing:
        def __init__(self, path: Path) -> None:
            self.path, self.thread = path, threading.get_ident()

        def get(self) -> int:
            return 1

        def __del__(self) -> None:
            (self.path / f"{threading.get_ident() == self.thread}").touch()

    noticing = client.actor(Noticing, tmp_path)
    future = noticing.get.remote()
    del noticing
    assert future.result() == 1, "a call holds its actor"
    eventually(lambda: os.listdir(tmp_path) == ["True"])


def test_a_killed_actor_raises_and_never_hangs(client: qw.Client) -> None:
    counter = client.actor(Counter)
    assert counter.get.remote().result() == 0
    running, waiting = counter.sleep.remote(60), counter.get.remote()
    client.kill(counter)
    for future in (running, waiting, counter.get.remote()):
        with pytest.raises(ActorDiedError):
            future.result(timeout=60)
    early = client.actor(Counter)
    client.kill(early)
    with pytest.raises(ActorDiedError):
        early.get.remote().result(timeout=60)


def test_a_lost_actor_is_made_again_as_often_as_it_may() -> None:
    with qw.Client(n_workers=2) as client:
        counter = client.actor(Counter, 5, max_restarts=1)
        assert counter.add.remote(1).result() == 6
        deadly, waiting = counter.die.remote(), counter.sleep.remote(0)
        with pytest.raises(ActorLostError) as lost:
            deadly.result(timeout=60)
        assert lost.value.retryable
        # What had been dispatched may have run; what comes after the loss finds a new instance.
        assert isinstance(waiting.exception(timeout=60), (ActorLostError, type(None)))
        assert counter.add.remote(2).result(timeout=60) == 7, "it begins again from its constructor"
        client.kill_worker(counter.pid.remote().result())
        with pytest.raises((ActorDiedError, ActorLostError)):
            counter.get.remote().result(timeout=60)
        with pytest.raises(ActorDiedError):
            counter.get.remote().result(timeout=60)
        assert client.submit(abs, -1).result() == 1


def test_a_call_that_may_be_repeated_survives_the_loss_of_its_worker(tmp_path: Path) -> None:
    class Careful:
        def run(self, path: Path) -> int:
            path.touch()
            if not (path.parent / "again").exists():
                time.sleep(60)
            return 1

    with qw.Client(n_workers=1) as client:
        careful = client.actor(Careful, max_restarts=-1)
        future = careful.run.options(retries=1).remote(tmp_path / "begun")
        eventually(lambda: (tmp_path / "begun").exists())
        (tmp_path / "again").touch()
        client.kill_worker(client.worker_pids()[0])
        assert future.result(timeout=60) == 1


def test_an_actor_that_is_full_refuses_at_once(client: qw.Client) -> None:
    counter = client.actor(Counter, max_pending=3)
    taken = [counter.sleep.remote(0.5) for _ in range(3)]
    with pytest.raises(ActorFullError, match="hint: ") as full:
        counter.get.remote().result(timeout=60)
    assert full.value.retryable and not taken[-1].done()
    assert client.gather(taken) == [0, 0, 0]
    assert counter.get.remote().result() == 0


def test_calls_are_cancelled(client: qw.Client, tmp_path: Path) -> None:
    class Working:
        def work(self, path: Path) -> None:
            try:
                (path / "begun").touch()
                while True:
                    time.sleep(0.01)
            except qw.errors.Interrupted:
                (path / "interrupted").touch()
                raise

        def get(self) -> int:
            return 1

    working = client.actor(Working)
    running, waiting, after = working.work.remote(tmp_path), working.get.remote(), working.get.remote()
    eventually(lambda: (tmp_path / "begun").exists())
    waiting.cancel()
    running.cancel()
    for future in (running, waiting):
        with pytest.raises(TaskCancelled):
            future.result(timeout=60)
    assert after.result(timeout=60) == 1
    assert (tmp_path / "interrupted").exists()


def test_plain_methods_run_side_by_side_on_threads_if_they_may(client: qw.Client) -> None:
    class Meeting:
        def __init__(self, parties: int) -> None:
            self.barrier = threading.Barrier(parties)

        def meet(self) -> str:
            self.barrier.wait(60)
            return threading.current_thread().name

    meeting = client.actor(Meeting, 4, max_concurrency=4)
    for _ in range(3):
        assert len(client.gather([meeting.meet.remote() for _ in range(4)])) == 4


def test_an_actor_submits_tasks_and_calls_other_actors(client: qw.Client) -> None:
    class Boss:
        def __init__(self) -> None:
            self.counter = qw.current_client().actor(Counter)

        def work(self, n: int) -> Any:
            futures = [qw.current_client().submit(add_to, self.counter, 1) for _ in range(n)]
            return max(future.result() for future in futures)

    assert client.actor(Boss).work.remote(5).result(timeout=60) == 5


def test_what_an_actor_keeps_leaves_it_without_being_copied_to_its_readers(client: qw.Client) -> None:
    class Parameters:
        def __init__(self, size: int) -> None:
            self.weights = np.zeros(size)

        def add(self, gradient: Any) -> None:
            self.weights += gradient

        def get(self) -> Any:
            return self.weights

    size = 1 << 20
    parameters = client.actor(Parameters, size)
    gradient = client.put(np.ones(size))
    before = qw.copied_bytes()
    client.gather([parameters.add.remote(gradient) for _ in range(3)])
    weights = parameters.get.remote().result()
    assert weights.sum() == 3 * size and not weights.flags.writeable
    assert client.submit(np.sum, parameters.get.remote()).result() == 3 * size
    assert qw.copied_bytes() == before
    parameters.add.remote(gradient).result()
    assert weights.sum() == 3 * size, "a result does not change with the actor"


def test_an_actor_whose_method_ends_its_process_is_told_from_one_that_raises(client: qw.Client) -> None:
    class Exiting:
        def leave(self) -> None:
            raise SystemExit(3)

        def get(self) -> int:
            return 1

    exiting = client.actor(Exiting)
    with pytest.raises(RemoteError, match="SystemExit: 3"):
        exiting.leave.remote().result()
    assert exiting.get.remote().result() == 1


def test_an_actor_lives_on_the_workers_it_is_given(client: qw.Client) -> None:
    for worker in client.workers():
        assert client.actor(Counter, workers=worker).pid.remote().result() == worker.pid
        bound = Counter.options(workers=[worker.id]).remote()  # type: ignore[attr-defined]
        assert bound.pid.remote().result() == worker.pid
    with pytest.raises(UsageError, match="no worker of this cluster"):
        client.actor(Counter, workers="nobody")


def test_a_call_makes_several_results_if_asked(client: qw.Client) -> None:
    class Dividing:
        def divide(self, x: int, y: int) -> tuple[int, int]:
            return divmod(x, y)

    class Awaiting:
        async def divide(self, x: int, y: int) -> tuple[int, int]:
            return divmod(x, y)

    for cls in (Dividing, Awaiting):
        dividing: Any = client.actor(cls)
        quotient, rest = dividing.divide.options(outputs=2).remote(17, 5)
        assert (quotient.result(), rest.result()) == (3, 2)
        assert quotient.name == f"{cls.__name__}.divide[0]"
        assert client.submit(operator.add, quotient, rest).result() == 5
        (wrong,) = dividing.divide.options(outputs=1).remote(17, 5)
        with pytest.raises(ValueError, match=rf"`.*{cls.__name__}\.divide` returned a `tuple` of more than 1 results"):
            wrong.result()
    with pytest.raises(ValueError, match="at least one result"):
        client.actor(Dividing).divide.options(outputs=0)


def test_options_that_are_those_of_tasks_are_refused(client: qw.Client) -> None:
    counter = client.actor(Counter)
    for options in ({"timeout": 1}, {"workers": []}, {"priority": 1}):
        with pytest.raises(UsageError, match=f"no option `{next(iter(options))}`") as refused:
            counter.get.options(**options)  # type: ignore[call-overload]
        assert refused.value.hint is not None and "result(timeout=...)" in refused.value.hint
    with pytest.raises(TypeError, match=r"no option `timeout`"):
        Counter.options(timeout=1)  # type: ignore[attr-defined]


def test_tasks_that_use_actors_are_known_by_their_key_and_tried_again(client: qw.Client, tmp_path: Path) -> None:
    counter, other = client.actor(Counter), client.actor(Counter, 100)
    keyed = [client.submit(add_to, one, 1, pure=True) for one in (counter, other, counter)]
    assert keyed[0] is keyed[2] and keyed[0] is not keyed[1]
    assert (keyed[0].result(), keyed[1].result()) == (1, 101)

    def careful(counter: Any, path: Path) -> int:
        if not path.exists():
            raise FileNotFoundError(path)
        return add_to(counter, 1)

    failed = client.submit(careful, counter, tmp_path / "fixed")
    assert isinstance(failed.exception(), FileNotFoundError)
    (tmp_path / "fixed").touch()
    client.retry(failed)
    assert failed.result() == 2
    call = counter.add.remote(1, fail=True)
    assert isinstance(call.exception(), ValueError)
    with pytest.raises(UsageError, match="made by an actor"):
        client.retry(call)
