"""Shows how far tasks are while they are waited for: as a line of a terminal, or in the cell of a notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TextIO

from quiltwork import _native, _output
from quiltwork._future import Future, interruptible
from quiltwork._nested import futures_in

# How often it is shown anew, in seconds, and how wide the bar is.
_PAUSE = 0.1
_WIDTH = 30


class Standing(NamedTuple):
    """How far many tasks are."""

    total: int
    finished: int
    failed: int
    running: int
    #: How much of all is done, with what running tasks say of themselves.
    fraction: float

    def __str__(self) -> str:
        parts = [f"{self.finished}/{self.total} done"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.running} running"] if self.running else []
        return ", ".join(parts)


def progress(*futures: Any) -> None:
    """Waits until tasks have ended, and shows meanwhile how many have, failed and run, and what they tell by
    `current_task().progress`. It raises nothing of what they raised.

    Futures are given as they are, or within lists, tuples, sets and dicts. A terminal gets a line on standard error, a
    notebook a bar in its cell, and what is neither a line at the end.
    """
    waited = list(dict.fromkeys(futures_in(futures)))
    show = _shown_in_notebook() or _shown_in_terminal(sys.stderr)
    completed = _native.Completed([future._handle for future in waited])
    begun, failed, ended = time.monotonic(), 0, 0
    due = begun
    pending = set(range(len(waited)))
    while pending:
        place = interruptible(waited, lambda: completed.next(_PAUSE))
        while place is not None:
            pending.discard(place)
            ended += 1
            failed += waited[place]._handle.failure() is not None
            place = completed.next(0.0) if pending else None
        if pending and (now := time.monotonic()) >= due:
            show(_standing(waited, pending, ended, failed), now - begun, False)
            due = now + _PAUSE
    show(Standing(len(waited), ended - failed, failed, 0, 1.0), time.monotonic() - begun, True)


def _standing(waited: list[Future[Any]], pending: set[int], ended: int, failed: int) -> Standing:
    told = [told for place in pending if (told := waited[place].progress()) is not None]
    parts = sum(min(done / total, 1.0) for done, total in told if total)
    # The workers may run tasks of others too, so there are no more of these than are left.
    running = sum(row[5] for row in waited[0]._client._session.workers())
    return Standing(len(waited), ended - failed, failed, min(running, len(pending)), (ended + parts) / len(waited))


Show = Callable[[Standing, float, bool], None]


def _shown_in_notebook() -> Show | None:
    from quiltwork._notebook import bar, display

    update = display()
    if update is None:
        return None
    return lambda standing, seconds, _: update(bar(standing.fraction, _words(standing, seconds)))


def _shown_in_terminal(stream: TextIO | None) -> Show:
    def show(standing: Standing, seconds: float, is_last: bool) -> None:
        if stream is None or not (is_last or stream.isatty()):
            return
        if not stream.isatty():
            stream.write(f"{_words(standing, seconds)}\n")
        else:
            full = round(standing.fraction * _WIDTH)
            line = f"[{'#' * full}{'-' * (_WIDTH - full)}] {_words(standing, seconds)}"
            stream.write(f"{_output.CLEARED}{line}" + ("\n" if is_last else ""))
            _output.is_line_begun = not is_last
        stream.flush()

    return show


def _words(standing: Standing, seconds: float) -> str:
    return f"{standing}, {seconds:.1f} s"
