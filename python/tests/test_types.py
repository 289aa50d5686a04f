"""What type checkers know: read by mypy, and run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import quiltwork as qw


def add(a: int, b: int) -> int:
    return a + b


@qw.task
def halve(x: int) -> float:
    return x / 2


@qw.task(outputs=2)
def split(x: int) -> tuple[int, int]:
    return x, -x


@qw.task
def numbers(n: int) -> Iterator[int]:
    yield from range(n)


async def words(n: int) -> AsyncIterator[str]:
    for _ in range(n):
        yield "word"


class Counter:
    def __init__(self, count: int) -> None:
        self.count = count

    def add(self, by: int) -> int:
        self.count += by
        return self.count


def test_types_of_results_survive(client: qw.Client) -> None:
    future = client.submit(add, 1, 2)
    assert_type(future, qw.Future[int])
    assert_type(future.result(), int)
    assert_type(client.map(add, [1], [2]), list[qw.Future[int]])
    assert_type(client.gather(future), int)
    assert_type(client.gather([future, future]), list[int])
    assert_type(halve(4), float)
    assert_type(halve.remote(future).result(), float)
    assert_type(client.submit(halve, 4), qw.Future[float])
    for done in qw.as_completed([future]):
        assert_type(done, qw.Future[int])
    for _, result in qw.as_completed([future], with_results=True):
        assert_type(result, int)
    assert_type(client.submit(add, 1, 2, timeout=60, workers=client.workers()), qw.Future[int])
    assert_type(client.submit(divmod, 7, 2, outputs=2), tuple[qw.Future[Any], ...])
    assert_type(split.remote(7), tuple[qw.Future[Any], ...])
    assert_type(halve.options(retries=1).remote(4), qw.Future[float])
    assert_type(client.run_on_all(add, 1, 2), dict[qw.Worker, int])
    assert_type(client.put("text"), qw.Future[str])
    with client.executor() as executor:
        assert_type(executor.submit(add, 1, 2).result(), int)


def test_parameters_keep_their_type() -> None:
    def fit(params: dict[str, float], partition: int, ctx: qw.train.Context) -> qw.train.Update:
        return qw.train.Update({"x": params["x"] + partition}, weight=1)

    outcome = qw.train.serial(fit, params={"x": 0.0}, partitions=[1, 2], progress=False)
    assert_type(outcome, qw.train.Outcome[dict[str, float]])
    assert_type(outcome.params["x"], float)
    assert outcome.params["x"] == 1.5 and assert_type(outcome.history[0].metrics, dict[str, float]) == {}


async def await_it(client: qw.Client) -> int:
    async for done in qw.as_completed(client.map(add, [1], [2])):
        assert_type(done, qw.Future[int])
    return assert_type(await client.submit(add, 1, 2), int)


def test_types_of_streams_and_actors_survive(client: qw.Client) -> None:
    assert_type(numbers.remote(2), qw.Stream[int])
    assert_type(client.submit(words, 2), qw.Stream[str])
    assert_type(client.map(numbers, [1]), list[qw.Stream[int]])
    for number in client.submit(numbers, 2):
        assert_type(number, int)
    for future in client.submit(words, 2).futures():
        assert_type(future, qw.Future[str])
    counter = client.actor(Counter, 5, max_restarts=1)
    assert_type(counter, qw.ActorHandle[Counter])
    assert_type(counter.add.remote(1), qw.Future[Any])
    named = assert_type(qw.actor(Counter).options(name="typed").remote(5), qw.ActorHandle[Counter])
    assert_type(client.get_actor("typed", Counter), qw.ActorHandle[Counter])
    del named
