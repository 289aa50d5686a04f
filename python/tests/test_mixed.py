"""Clusters with workers for Python and of programs in Rust, driven from either language."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PATIENCE, areas_of, eventually, is_running

import quiltwork as qw
from quiltwork import errors

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[2] / "target"))
# Built by python/verify from tests/programs/mixed.rs.
PROGRAM = TARGET / "debug" / "mixed-program"
MODULES = Path(__file__).parent / "modules"


def task(name: str, **options: Any) -> qw.RustTask[Any]:
    return qw.rust(f"mixed_program::{name}", **options)


@pytest.fixture(scope="module")
def mixed() -> Iterator[qw.Client]:
    """A cluster of two workers of each language."""
    with qw.Client(n_workers=2, programs=[PROGRAM]) as client:
        workers = client.worker_pids()
        assert len(workers) == 4
        yield client
    assert not [pid for pid in workers if is_running(pid)]


@dataclasses.dataclass
class Record:
    name: str
    weight: float
    tags: list[str]
    place: tuple[int, int] | None
    kind: dict[str, Any]
    counts: dict[str, int]


def test_results_flow_between_the_languages(mixed: qw.Client) -> None:
    texts = mixed.map(str.upper, ["a b a", "b a"])
    counts = mixed.map(task("count_words"), texts)
    assert mixed.gather(counts) == [{"A": 2, "B": 1}, {"A": 1, "B": 1}]
    total = mixed.submit(task("merge"), counts)
    assert mixed.submit(sorted, total).result() == ["A", "B"]
    assert mixed.submit(lambda counts: counts["A"], total).result() == 3


def test_plain_data_arrives_as_it_was(mixed: qw.Client) -> None:
    record = Record("ü", 1.5, ["a"], (-1, 2**40), {"is": "plain"}, {"x": 2**64 - 1})
    promoted = mixed.submit(task("promote"), record).result()
    expected = {**dataclasses.asdict(record), "weight": 3.0, "kind": {"is": "special", "rank": 1}, "place": [-1, 2**40]}
    assert promoted == expected
    # What Rust has made, it reads again, and as a value that was put as well.
    assert mixed.submit(task("promote"), mixed.submit(task("promote"), mixed.put(record))).result()["weight"] == 6.0


@pytest.mark.parametrize("shape", [(3, 4), (1000, 300), (0, 5), ()])
def test_arrays_are_numpys_on_one_side_and_slices_on_the_other(mixed: qw.Client, shape: tuple[int, ...]) -> None:
    array = np.arange(float(np.prod(shape))).reshape(shape)
    for given in (array, mixed.submit(np.asarray, array), array.copy(order="F")):
        scaled = mixed.submit(task("scale"), given, 2.0)
        assert np.array_equal(scaled.result(), array * 2)
        assert not scaled.result().flags.writeable
        assert mixed.submit(np.shape, scaled).result() == shape


def test_a_large_array_is_not_copied_by_its_readers(mixed: qw.Client) -> None:
    scaled = mixed.submit(task("scale"), mixed.put(np.ones(1 << 20)), 3.0)
    before = qw.copied_bytes()
    assert scaled.result().sum() == 3 << 20
    assert qw.copied_bytes() == before
    assert scaled.result().ctypes.data % 64 == 0


def test_bytes_stay_bytes(mixed: qw.Client) -> None:
    for data in (b"abc", bytearray(b"abc"), memoryview(b"abc"), mixed.submit(bytes, [97, 98, 99])):
        made = mixed.submit(task("reverse"), data)
        assert made.result() == b"cba" and isinstance(made.result(), memoryview)
    assert mixed.submit(bytes, mixed.submit(task("reverse"), b"x" * 100_000)).result() == b"x" * 100_000


def test_every_task_runs_where_its_function_is(mixed: qw.Client) -> None:
    rust = set(mixed.gather([mixed.submit(task("process")) for _ in range(20)]))
    python = set(mixed.gather([mixed.submit(os.getpid, key=f"pid-{number}") for number in range(20)]))
    assert not rust & python
    assert rust | python <= set(mixed.worker_pids())


def test_a_task_in_rust_is_called_like_a_function(mixed: qw.Client) -> None:
    count = task("count_words").options(retries=1)
    assert count("a a") == {"a": 2}
    assert count.remote("a").result() == {"a": 1}
    assert repr(count) == "<RustTask mixed_program::count_words>"
    first, second = (mixed.submit(count, "once", pure=True) for _ in range(2))
    assert first.key == second.key
    with mixed.executor() as executor:
        assert list(executor.map(count, ["a", "b"])) == [{"a": 1}, {"b": 1}]


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"a": [1, {2}]}, "argument 1 of `mixed_program::promote` cannot travel to Rust: `['a'][1]` is a `set`"),
        (2**70, "it is an int of more than 64 bits"),
        (object(), "it is a `object`, which is no plain data"),
        ([np.ones(2)], "`[0]` is a `ndarray`, which is no plain data: an array travels only by itself"),
        (np.ones(2, dtype=complex), "array of complex128 in 1 dimensions"),
    ],
)
def test_what_cannot_travel_is_refused_by_name(mixed: qw.Client, argument: object, said: str) -> None:
    with pytest.raises(errors.CannotTravel) as raised:
        mixed.submit(task("promote"), argument)
    assert said in str(raised.value) and raised.value.hint


def test_what_holds_itself_is_refused(mixed: qw.Client) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(errors.CannotTravel, match="holds itself"):
        mixed.submit(task("promote"), loop)


def test_what_is_no_plain_data_is_told_of_the_task_that_made_it(mixed: qw.Client) -> None:
    made = mixed.submit(set, [1])
    failed = mixed.submit(task("promote"), made)
    with pytest.raises(errors.CannotTravel, match="a `set`, cannot travel to another language"):
        failed.result()


def test_an_unknown_function_fails_at_once_with_what_looks_like_it(mixed: qw.Client) -> None:
    with pytest.raises(errors.TaskError) as raised:
        mixed.submit(task("count_word"), "a").result()
    assert "no worker of this cluster has the function `mixed_program::count_word`" in str(raised.value)
    assert "did you mean `mixed_program::count_words`?" in str(raised.value)


def test_wrong_arguments_are_named_with_what_was_expected(mixed: qw.Client) -> None:
    with pytest.raises(errors.TaskError, match="parameter `text` \\(number 1\\) expects a alloc::string::String"):
        mixed.submit(task("count_words"), 7).result()
    with pytest.raises(errors.TaskError, match="2 arguments were given, but it takes 1"):
        mixed.submit(task("count_words"), "a", "b").result()
    with pytest.raises(errors.TaskError, match="parameter `numbers`.*another type: plain data.*made by task"):
        mixed.submit(task("scale"), mixed.submit(task("count_words"), "a"), 1.0).result()
    with pytest.raises(TypeError, match="whose arguments have no names: text"):
        mixed.submit(task("count_words"), text="a")


def test_what_rust_returns_as_an_error_is_raised(mixed: qw.Client) -> None:
    with pytest.raises(errors.TaskError, match="returned an error: on purpose"):
        mixed.submit(task("fail"), "on purpose").result()


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="write `program::function`"):
        qw.rust("module:function")


def test_calls_of_rust_have_the_options_of_all_calls(mixed: qw.Client) -> None:
    in_rust = [worker for worker in mixed.workers() if not worker.python]
    assert len(in_rust) == 2
    for worker in in_rust:
        assert mixed.submit(task("process"), workers=worker).result() == worker.pid
    with pytest.raises(errors.TimedOut):
        mixed.submit(task("wait_for_end"), timeout=0.05).result()
    quotient, rest = mixed.submit(task("divide"), 17, 5, outputs=2)
    assert (quotient.result(), rest.result()) == (3, 2)
    assert [part.result() for part in task("divide", outputs=2).remote(quotient, rest)] == [1, 1]
    wrong = mixed.submit(task("divide"), 17, 5, outputs=3)
    with pytest.raises(ValueError, match="of 2 results, and not 3"):
        wrong[0].result()


def test_calls_of_rust_are_tried_again_with_what_they_need(mixed: qw.Client, tmp_path: Path) -> None:
    path = tmp_path / "words"
    name = mixed.submit(str, path)
    text = mixed.submit(task("read_text"), name)
    counts = mixed.submit(task("count_words"), text)
    with pytest.raises(errors.TaskError, match="No such file") as raised:
        counts.result()
    assert "`count_words` was not run: its argument 1 came from `read_text`, which failed" in raised.value.__notes__
    path.write_text("a b a")
    mixed.retry(counts)
    assert counts.result() == {"a": 2, "b": 1}


def test_what_is_for_all_workers_is_for_those_of_python(mixed: qw.Client) -> None:
    pids = mixed.run_on_all(os.getpid)
    assert all(worker.python and worker.pid == pid for worker, pid in pids.items()) and len(pids) == 2
    with pytest.raises(errors.UsageError, match="`mixed_program::process` is in Rust"):
        mixed.run_on_all(task("process"))
    in_rust = next(worker for worker in mixed.workers() if not worker.python)
    with pytest.raises(errors.NoSuchResources, match="whose program does not have its function"):
        mixed.submit(os.getpid, workers=in_rust).result()


class Tally:
    """An actor in Python."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = dict(counts)

    def add(self, counts: dict[str, int]) -> dict[str, int]:
        for word, count in counts.items():
            self.counts[word] = self.counts.get(word, 0) + count
        return self.counts

    async def mean(self, numbers: Any) -> float:
        return float(numbers.mean())

    def process(self) -> int:
        return os.getpid()


def test_actors_take_what_rust_makes_and_make_what_rust_takes(mixed: qw.Client) -> None:
    tally = mixed.actor(Tally, mixed.submit(task("count_words"), "a b"))
    added = tally.add.remote(mixed.submit(task("count_words"), "a"))
    assert mixed.submit(task("merge"), [added, mixed.submit(task("count_words"), "c")]).result() == {
        "a": 2,
        "b": 1,
        "c": 1,
    }
    scaled = mixed.submit(task("scale"), np.arange(100_000.0), 2.0)
    assert tally.mean.remote(scaled).result() == 99_999.0
    assert tally.process.remote().result() in {worker.pid for worker in mixed.workers() if worker.python}
    with pytest.raises(
        errors.CannotTravel, match="argument 1 of `mixed_program::promote` cannot travel to Rust"
    ) as raised:
        mixed.submit(task("promote"), tally)
    assert raised.value.hint == "an actor is called in the language it is written in: give the futures of its calls"
    with pytest.raises(errors.TaskError, match="`mixed_program::Tally::new` makes an actor, and is no task"):
        mixed.submit(task("Tally::new"), {}).result()
    with pytest.raises(TypeError, match="an actor is made of a class"):
        mixed.actor(task("count_words"))


def test_items_of_a_stream_go_on_to_rust(mixed: qw.Client) -> None:
    def texts(count: dict[str, int]) -> Iterator[str]:
        for word, times in count.items():
            yield f"{word} " * times

    stream = mixed.submit(texts, mixed.submit(task("count_words"), "a b a"))
    counts = [mixed.submit(task("count_words"), text) for text in stream.futures()]
    assert mixed.gather(counts) == [{"a": 2}, {"b": 1}]
    with pytest.raises(errors.CannotTravel, match="cannot travel to Rust") as raised:
        mixed.submit(task("count_words"), mixed.submit(texts, {}))
    assert raised.value.hint == "give the futures of its `futures()`"
    with pytest.raises(errors.UsageError, match="nothing to make ahead"):
        mixed.submit(task("count_words"), "a", prefetch=2)


def test_a_cluster_of_rust_alone_says_what_it_has_not() -> None:
    with qw.LocalCluster(0, programs={PROGRAM: 1}) as cluster, qw.Client(cluster) as client:
        assert [worker.python for worker in client.workers()] == [False]
        assert client.submit(task("count_words"), "a").result() == {"a": 1}
        with pytest.raises(errors.TaskError, match="no worker of this cluster has the function `posix:getpid`"):
            client.submit(os.getpid).result()
        assert client.run_on_all(os.getpid) == {}


def test_a_killed_worker_of_either_language_loses_nothing(mixed: qw.Client) -> None:
    counts = mixed.map(task("count_words"), mixed.map(str, ["a"] * 200))
    for pid in mixed.worker_pids()[::2]:
        mixed.kill_worker(pid)
    total = mixed.submit(task("merge"), counts)
    assert total.result() == {"a": 200}
    eventually(lambda: len(mixed.worker_pids()) == 4)


def test_a_program_that_is_none_is_told_at_once() -> None:
    before = areas_of(os.getpid())
    with pytest.raises(errors.ClusterError, match="cannot start `/no/such/program`"):
        qw.Client(n_workers=1, programs={"/no/such/program": 1})
    assert areas_of(os.getpid()) == before


def drive(**environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the program as a driver, with this interpreter for its workers."""
    environment = {**os.environ, "QUILTWORK_PYTHON": sys.executable, **environment}
    command = [PROGRAM, MODULES]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment)


def test_a_program_in_rust_calls_functions_in_python() -> None:
    ran = drive()
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["plain"] == [True, "new", {"is": "special", "rank": 1}, 3.0, "put"]
    assert told["graph"] == {"a": 2, "b": 2}
    assert told["pipeline"] == sum(number**2 for number in range(100))
    assert told["arrays"] == [[200, 300], 400.0, [3, 2, 1, 3, 2, 1], [60000 * 59999.0] * 2, True]
    assert told["actor"] == [{"a": 4, "b": 1}, {"a": 6}, 7, 3]
    expected = [
        "`partner:same` in Python cannot read the result of `mixed_program::count_words`, which is made for Rust alone",
        "`no_function` is not the name of a function in Python",
        "module 'partner' has no attribute 'missing'",
        "the result of `partner:unplain`, a `dict`, cannot travel to another language: `['parts'][1]` is a `set`",
        "cannot decode u64",
        "on purpose",
        "its time limit is 20ms",
    ]
    for said, text in zip(expected, told["refusals"], strict=True):
        assert said in text


def test_an_interpreter_without_the_package_is_told_at_once(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    ran = drive(QUILTWORK_PYTHON=str(bare))
    assert ran.returncode != 0
    assert f"`{bare}` cannot be started as a worker: it has no package `quiltwork`" in ran.stderr
    assert "hint: install it for this interpreter" in ran.stderr
