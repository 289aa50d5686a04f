"""In a worker: generators as actors, which make their items one after the other, each when it is asked for."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any


class Ended:
    """Stands for the item behind the last one."""

    def __reduce__(self) -> str:
        return "ENDED"


ENDED = Ended()
PICKLED_END = pickle.dumps(ENDED, protocol=5)


class _Source:
    """A generator that can be begun again."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = function, args, kwargs
        self._failures = 0
        self._failure: Exception | None = None
        self._begin()

    def _begin(self) -> None:
        function, args, kwargs = self._call
        self._items = function(*args, **kwargs)
        self._made = 0

    def _on_raised(self, error: Exception, retries: int) -> None:
        if self._failures == retries:
            self._failure = error
            return
        self._failures += 1
        self._begin()


class Yielding(_Source):
    """A plain generator."""

    def item(self, number: int, retries: int) -> Any:
        """The item of that number, from 0. If the generator raises, it is begun again that many times in all; the items
        before this one are made again then, and left out."""
        while self._failure is None:
            try:
                for item in self._items:
                    self._made += 1
                    if self._made > number:
                        return item
                return ENDED
            except Exception as error:
                self._on_raised(error, retries)
        raise self._failure


class AsyncYielding(_Source):
    """An asynchronous generator."""

    async def item(self, number: int, retries: int) -> Any:
        """As of `Yielding`."""
        while self._failure is None:
            try:
                async for item in self._items:
                    self._made += 1
                    if self._made > number:
                        return item
                return ENDED
            except Exception as error:
                self._on_raised(error, retries)
        raise self._failure
