"""No runtime at all: every call is made at once, in the client's own process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comparison.contender import Contender


class Serial(Contender):
    """One thread that does everything itself."""

    name = "serial"
    title = "serial, no runtime"
    rank = 80
    is_limit = True
    links = True
    shares_memory = True

    def start(self) -> None:
        """There is nothing to start."""

    def stop(self) -> None:
        """And nothing to end."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def result(self, handle: Any) -> Any:
        return handle

    def split(self, function: Callable[..., Any], parts: int, *arguments: Any) -> list[Any]:
        return list(function(*arguments))

    @classmethod
    def first_result_script(cls) -> str:
        return "abs(-1)\nprint('ready', flush=True)\n"


CONTENDERS = [Serial]
