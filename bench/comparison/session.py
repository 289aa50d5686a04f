"""The process of a contender as seen from outside: asked, waited for with a limit, cleared away to the last child."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from comparison.contender import Contender
from comparison.processes import descendants

PR_SET_CHILD_SUBREAPER = 36
START_PATIENCE = 60.0
"""Seconds a contender has to start."""
END_PATIENCE = 20.0
"""Seconds a contender has to end by itself."""
CHILDREN_PATIENCE = 3.0
"""Seconds its processes have after it."""

Answer = Mapping[str, Any]


class Session:
    """One contender for a while. Use it in a `with` block, at whose end none of its processes is left."""

    def __init__(self, contender: type[Contender], environment: Mapping[str, str], log: IO[bytes]) -> None:
        # Processes that lose their parents become ours, so that they can be found.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._unread = b""
        self._process = subprocess.Popen(
            contender.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **contender.environment, **environment},
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.end()

    def ask(self, measurement: str, sizes: Mapping[str, Any], folder: Path, limit: float) -> Answer:
        """Lets it measure once. The session is over if there is no answer in time."""
        assert self._process.stdin is not None
        request = json.dumps({"measurement": measurement, "sizes": sizes, "folder": str(folder)})
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request.encode() + b"\n")
            self._process.stdin.flush()
        answer = self._hear(START_PATIENCE)
        if "ready" in answer:
            answer = self._hear(limit)
        if "silent" in answer or "ended" in answer:
            self.kill()
        return answer

    @property
    def is_over(self) -> bool:
        """Whether it can be asked no more."""
        return self._process.poll() is not None

    def end(self) -> None:
        """Lets it end by itself, and sees to it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_PATIENCE)
        self.kill()
        self._process.stdout.close()

    def kill(self) -> None:
        """Ends it and all processes it has started."""
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + CHILDREN_PATIENCE
        # All that descends from us now is of this session: there is one at a time.
        while left := descendants(os.getpid()):
            if time.monotonic() > deadline:
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            _reap()
            time.sleep(0.02)
        _reap()

    def _hear(self, limit: float) -> Answer:
        """What it says next: also that it says nothing any more, or not in time."""
        line = self._read_line(time.monotonic() + limit)
        if line is None:
            return {"silent": limit}
        answer: Answer = json.loads(line or '{"ended": true}')
        return answer

    def _read_line(self, deadline: float) -> bytes | None:
        """The next line, nothing at the end of it all, or `None` if it does not come in time."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            piece = os.read(descriptor, 1 << 16)
            if not piece:
                return b""
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
