"""In a worker: what tasks print and log, line by line with the name of the task, on its way to the client."""

from __future__ import annotations

import io
import logging
import threading
from typing import Any, TextIO

from quiltwork._context import current_task, running
from quiltwork._functions import short_name
from quiltwork._output import line_of

# Bytes after which lines and log records are cut: the client takes no more than 8 KiB with what stands before them.
_LIMIT = 7000


class TaskStream(io.TextIOBase):
    """Stands for standard output or error: keeps what each thread, or call in a loop, writes until its line ends, and
    writes it as one."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        # What each has begun.
        self.begun: dict[object, str] = {}

    def write(self, text: str) -> int:
        """Writes text; a line is passed on when it ends."""
        *lines, begun = text.split("\n")
        if lines:
            lines[0] = self._take() + lines[0]
            task = current_task_name()
            self.stream.write("".join(line_of(task, _seen(line)) for line in lines))
        if begun:
            self.begun[_writer()] = _seen(self._take() + begun)
        return len(text)

    def end_line(self) -> None:
        """Passes on what has been begun here."""
        if begun := self._take():
            self.stream.write(line_of(current_task_name(), begun))

    def flush(self) -> None:
        """Passes on what is whole."""
        self.stream.flush()

    def _take(self) -> str:
        return self.begun.pop(_writer(), "")

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.stream.errors

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.stream.fileno()

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _writer() -> object:
    """Who writes: a thread, or on it a call that shares it with others."""
    call = running.get()
    return threading.get_ident() if call is None else (threading.get_ident(), call)


def _seen(line: str) -> str:
    """What a terminal would show of a line in the end, as far as it is not too long."""
    if "\r" in line:
        line = line.rstrip("\r").rpartition("\r")[2]
    return _cut(line)


def _cut(text: str) -> str:
    # No character takes more than four bytes.
    if 4 * len(text) <= _LIMIT or len(raw := text.encode(errors="replace")) <= _LIMIT:
        return text
    return raw[:_LIMIT].decode(errors="ignore") + "…"


class RecordHandler(logging.Handler):
    """Sends log records to the client, each once."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = _cut(self.format(record))
            self._stream.write(line_of(current_task_name(), text, record.levelno, record.name))
        except Exception:
            self.handleError(record)


def current_task_name() -> str:
    """What people call the task that runs here, without its module; nothing elsewhere."""
    task = current_task()
    return "" if task is None else short_name(task.name)


_streams: list[TaskStream] = []


def install(stdout: TextIO, stderr: TextIO) -> tuple[TaskStream, TaskStream]:
    """Has log records sent; what stands for the two streams from now on."""
    logging.getLogger().addHandler(RecordHandler(stderr))
    _streams[:] = [TaskStream(stdout), TaskStream(stderr)]
    return _streams[0], _streams[1]


def end_task() -> None:
    """A task that ran here is over: nothing of what it has begun to write stays for the next one."""
    for stream in _streams:
        if stream.begun:
            stream.end_line()
