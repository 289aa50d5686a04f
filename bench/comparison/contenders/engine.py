"""The contenders of the Rust program `quiltwork-bench`: Quiltwork's own crate, and what the machine can do at best."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comparison.contender import Contender, NotOffered

PROGRAM = "QUILTWORK_BENCH_PROGRAM"
"""The variable with the program's path."""


class _InRust(Contender):
    """Answers measurements in a process of its own, by code of its own."""

    @classmethod
    def command(cls) -> list[str]:
        return [os.environ[PROGRAM], cls.name]

    @classmethod
    def absence(cls) -> str | None:
        program = os.environ.get(PROGRAM)
        return None if program and Path(program).is_file() else "not built: quiltwork-bench"

    def start(self) -> None:
        raise NotOffered("it is not in Python")

    def stop(self) -> None:
        raise NotOffered("it is not in Python")

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        raise NotOffered("it is not in Python")

    def result(self, handle: Any) -> Any:
        raise NotOffered("it is not in Python")


class QuiltworkInRust(_InRust):
    """The crate `quiltwork`, with tasks in Rust."""

    name = "quiltwork-rust"
    title = "Quiltwork (Rust)"
    rank = 0


class RawQuinn(_InRust):
    """QUIC between two processes with the settings of Quiltwork's transport, and nothing above it."""

    name = "raw-quinn"
    title = "bare QUIC"
    rank = 90
    is_limit = True


class UnixSocket(_InRust):
    """A Unix socket between two processes, with nothing above it."""

    name = "unix-socket"
    title = "bare Unix socket"
    rank = 91
    is_limit = True


class Memcpy(_InRust):
    """One thread that copies memory it has touched before."""

    name = "memcpy"
    title = "memcpy"
    rank = 92
    is_limit = True


CONTENDERS = [QuiltworkInRust, RawQuinn, UnixSocket, Memcpy]
