"""CPython's own tests of executors, run against the executor of a client."""

from __future__ import annotations

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

# What they say of an executor but not of ours, and why.
NOT_OURS = {
    "test_interpreter_shutdown": "a program for the standard library's classes; test_executor.py has one of the kind",
    "test_submit_after_interpreter_shutdown": "likewise",
    "test_hang_gh83386": "likewise",
}

_client: qw.Client


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Workers that find these tests, and all threads there will be."""
    global _client
    with qw.Client(n_workers=2, slots=3) as _client:
        with _client.executor() as executor:
            assert executor.submit(abs, -1).result() == 1
        yield


class QuiltworkMixin(cpython_tests.named(modules, "ExecutorMixin")):  # type: ignore[misc]
    """Makes the executor that is tested."""

    @staticmethod
    def executor_type(max_workers: int, **options: Any) -> qw.Executor:
        return _client.executor(max_workers, **options)

    def setUp(self) -> None:
        if reason := NOT_OURS.get(self._testMethodName):
            self.skipTest(reason)
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
