"""In a worker: what an executor wants called in each process before the first of its calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from quiltwork.errors import InitializerFailed

T = TypeVar("T")


class Setup(NamedTuple):
    """What is called first, and by what name a process remembers that it was."""

    token: str
    initializer: Callable[..., object]
    initargs: tuple[Any, ...]


# What came of each executor's initializer in this process: nothing, if it was well.
_outcomes: dict[str, InitializerFailed | None] = {}
_lock = threading.Lock()


def call_after(setup: Setup, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    """Calls the function; the first time in this process after the initializer."""
    # Held while the initializer runs: another thread's call must not come before its end.
    with _lock:
        if setup.token not in _outcomes:
            _outcomes[setup.token] = _initialize(setup)
        failure = _outcomes[setup.token]
    if failure is not None:
        raise InitializerFailed(*failure.args) from failure.__cause__
    return function(*args, **kwargs)


def _initialize(setup: Setup) -> InitializerFailed | None:
    try:
        setup.initializer(*setup.initargs)
    except Exception as error:
        failure = InitializerFailed(f"the executor's initializer raised {type(error).__qualname__}: {error}")
        failure.__cause__ = error
        return failure
    return None
