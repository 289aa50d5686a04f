"""How the worker processes of a cluster are started."""

from __future__ import annotations

import os
import sys

# What a worker runs. Before anything is imported, modules are looked for where this process finds them, and not in
# the folder it happens to be in.
_BEGINNING = "import sys; sys.path[:] = sys.argv[2:]; from quiltwork.worker import main; main(sys.argv[1])"


def worker_command(slots: int) -> list[str]:
    """How a worker is started: this interpreter again, with its flags, and with this process's way to modules."""
    import subprocess

    if not sys.executable:
        raise RuntimeError("this interpreter does not know its own program (sys.executable), which workers run")
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    paths = map(os.path.abspath, sys.path)
    return [sys.executable, *flags, "-P", "-c", _BEGINNING, str(slots), *paths]
