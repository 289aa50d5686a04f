"""CPython's own tests of executors, run against the executor of a client."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from typing import Any

import cpython_tests
import pytest

import quiltwork as qw

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modules = cpython_tests.find()
except cpython_tests.NotHere as reason:
    pytest.skip(f"CPython's own tests of executors were not run: {reason}", allow_module_level=True)

# Programs that name the standard library's classes and look for what workers print; test_executor.py has one like them.
NOT_OURS = ("test_interpreter_shutdown", "test_submit_after_interpreter_shutdown", "test_hang_gh83386")

_client: qw.Client


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Workers that find these tests, and all threads there will be."""
    global _client
    # They collect garbage often, and other tests have brought large libraries here.
    gc.freeze()
    with qw.Client(n_workers=2, slots=3) as _client:
        with _client.executor() as executor:
            assert executor.submit(abs, -1).result() == 1
        yield
    gc.unfreeze()


class QuiltworkMixin(cpython_tests.named(modules, "ExecutorMixin")):  # type: ignore[misc]
    """Makes the executor that is tested."""

    @staticmethod
    def executor_type(max_workers: int, **options: Any) -> qw.Executor:
        return _client.executor(max_workers, **options)

    def setUp(self) -> None:
        if self._testMethodName in NOT_OURS:
            self.skipTest("a program for the standard library's classes; test_executor.py has one like it")
        super().setUp()


def suite(mixin: str) -> type:
    bases = (cpython_tests.named(modules, mixin), QuiltworkMixin, cpython_tests.named(modules, "BaseTestCase"))
    return type(f"Test{mixin}", bases, {"__module__": __name__})


TestExecutor = suite("ExecutorTest")
TestWait = suite("WaitTests")
TestAsCompleted = suite("AsCompletedTests")
TestShutdown = suite("ExecutorShutdownTest")
TestInitializer = suite("InitializerMixin")
TestFailingInitializer = suite("FailingInitializerMixin")
