"""The thread that tells futures' callbacks; one for each client that needs it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quiltwork import _native

if TYPE_CHECKING:
    from quiltwork._future import Future

Callback = Callable[["Future[Any]"], object]


class Callbacks:
    """Calls what was asked for, each in turn, on a thread of its own."""

    def __init__(self) -> None:
        self._notices = _native.Notices()
        self._thread = threading.Thread(target=self._run, name="quiltwork-callbacks", daemon=True)
        self._thread.start()

    def add(self, future: Future[Any], callback: Callback) -> None:
        """Has `callback(future)` called when the future's value is here, or will never be."""
        self._notices.watch(future._handle, (future, callback))

    def close(self) -> None:
        """Ends the thread when everything that is known by now was told."""
        self._notices.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while (items := self._notices.next()) is not None:
            while items:
                # Not kept in a variable of the loop: that would keep the last future alive until the next one comes.
                self._call(*items.pop(0))

    @staticmethod
    def _call(future: Future[Any], callback: Callback) -> None:
        try:
            callback(future)
        except Exception:
            logging.getLogger("quiltwork").exception("a callback of %r raised", future)
