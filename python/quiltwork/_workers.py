"""How the worker processes of a cluster are started."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

# What a worker runs. Before anything is imported, modules are looked for where this process finds them, and not in
# the folder it happens to be in.
_BEGINNING = "import sys; sys.path[:] = sys.argv[2:]; from quiltwork.worker import main; main(sys.argv[1])"


# Other programs: how many workers run each, or as many as there are of Python's.
Programs = Mapping[str | os.PathLike[str], int] | Iterable[str | os.PathLike[str]]


def program_workers(programs: Programs, workers: int | None) -> list[tuple[str, int]]:
    """The programs with the numbers of their workers."""
    if isinstance(programs, (str, os.PathLike)):
        raise TypeError("programs is a list of paths, or a dict with the number of workers of each")
    if isinstance(programs, Mapping):
        return [(os.fspath(program), count) for program, count in programs.items()]
    count = len(os.sched_getaffinity(0)) if workers is None else workers
    return [(os.fspath(program), count) for program in programs]


def worker_command(slots: int) -> list[str]:
    """How a worker is started: this interpreter again, with its flags, and with this process's way to modules."""
    import subprocess

    if not sys.executable:
        raise RuntimeError("this interpreter does not know its own program (sys.executable), which workers run")
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    paths = map(os.path.abspath, sys.path)
    return [sys.executable, *flags, "-P", "-c", _BEGINNING, str(slots), *paths]
