"""What workers print and log, brought to the process that has started them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from quiltwork import _native

if TYPE_CHECKING:
    import logging

# Begins the line of a terminal anew.
CLEARED = "\r\x1b[K"

# Whether the line of the terminal shows how far tasks are.
is_line_begun = False

# What stands around and between the parts of a line that a worker has made: see `line_of`.
MARK, SEPARATOR, NEWLINE = "\x1e", "\x1f", "\x1d"


class Line(NamedTuple):
    """A line that a worker has printed, or a record that it has logged."""

    #: The process id of the worker.
    worker: int
    #: The task that printed it; none if that is not known, as of what another language prints.
    task: str | None
    #: The line, or the record's message, which may have several.
    text: str
    #: The level of a record.
    level: int | None = None
    #: The name of a record's logger.
    logger: str | None = None


def line_of(task: str, text: str, level: int | None = None, logger: str = "") -> str:
    """How a worker writes a line that says where it is from."""
    parts = ("" if level is None else str(level), logger, task, text.replace("\n", NEWLINE))
    return MARK + SEPARATOR.join(parts) + "\n"


def read(pid: int, raw: bytes) -> list[Line]:
    """What a line of a worker's output says. What was not ended before it stands before it."""
    before, mark, made = raw.decode(errors="replace").partition(MARK)
    lines = [Line(pid, None, before)] if before or not mark else []
    level, _, rest = made.partition(SEPARATOR)
    logger, _, rest = rest.partition(SEPARATOR)
    task, separator, text = rest.partition(SEPARATOR)
    if separator:
        text = text.replace(NEWLINE, "\n")
        lines.append(Line(pid, task or None, text, int(level) if level.isdecimal() else None, logger or None))
    return lines


class Output:
    """Takes the lines of a cluster's workers on a thread of its own, and has them shown."""

    def __init__(self, function: Callable[[Line], object] | None) -> None:
        self.lines = _native.Lines()
        self._show = show if function is None else function
        self._thread = threading.Thread(target=self._run, name="quiltwork-output", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread when all lines are shown."""
        self.lines.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while (lines := self.lines.next()) is not None:
            for pid, raw in lines:
                for line in read(pid, raw):
                    try:
                        self._show(line)
                    except Exception:
                        # A stream that is closed, say. Whoever has given a function is told, on the way that is left.
                        import logging

                        logging.getLogger("quiltwork").exception("a line of worker %s could not be shown", pid)


def show(line: Line) -> None:
    """Writes a line to where this process writes errors at the moment, and hands a record to its logger."""
    if line.level is not None and _is_logged(line, line.level):
        return
    task = "" if line.task is None else f", {line.task}"
    level = "" if line.level is None else f"{_level_name(line.level)} {line.logger}: "
    if sys.stderr is not None:
        # In one piece, so that what others write does not get between.
        cleared = CLEARED if is_line_begun else ""
        sys.stderr.write(f"{cleared}[worker {line.worker}{task}] {level}{line.text}\n")
        sys.stderr.flush()


def _is_logged(line: Line, level: int) -> bool:
    """Hands a record to the logger it is for; not if nobody has said where records go."""
    import logging

    logger = logging.getLogger(line.logger)
    if not logger.hasHandlers():
        return False
    if logger.isEnabledFor(level):
        logger.handle(_record(line, level))
    return True


def _record(line: Line, level: int) -> logging.LogRecord:
    import logging

    record = logging.LogRecord(line.logger or "root", level, "", 0, line.text, None, None)
    record.process, record.processName, record.threadName = line.worker, f"worker {line.worker}", line.task
    return record


def _level_name(level: int) -> str:
    import logging

    return logging.getLevelName(level)
