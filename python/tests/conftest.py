"""One cluster for most tests; and after all of them nothing may be left."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import quiltwork as qw

# A guard against hanging, far beyond what a slow machine needs.
PATIENCE = 120.0


@pytest.fixture(scope="session")
def client() -> Iterator[qw.Client]:
    """A cluster of two workers with one slot each."""
    with qw.Client(n_workers=2) as client:
        workers, folders = client.worker_pids(), areas_of(os.getpid())
        assert folders
        yield client
    assert not [pid for pid in workers if is_running(pid)]
    assert not [folder for folder in folders if folder.exists()]


@pytest.fixture
def run_script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a Python program as a process of its own, to its end."""

    def run(source: str, *flags: str, name: str = "program.py") -> subprocess.CompletedProcess[str]:
        path = tmp_path / name
        path.write_text(source)
        command = [sys.executable, *flags, str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)

    return run


def areas_of(pid: int) -> list[Path]:
    """The folders of shared memory that a driver holds: it keeps a lock on each."""
    links = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(descriptor))
    shared = [Path(link) for link in links if link.startswith("/dev/shm/quiltwork-")]
    return [Path(*path.parts[:4]) for path in shared]


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only what it left to its parent."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(") ")[2][:1] != "Z"


def eventually(condition: Callable[[], bool]) -> None:
    """Waits for what must come to be."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)
