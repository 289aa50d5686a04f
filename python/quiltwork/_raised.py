"""Exceptions from what the engine says: how a failure becomes what a user of Python would expect to be raised."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import NamedTuple

from quiltwork import errors
from quiltwork._functions import short_name


class RemoteTraceback(Exception):
    """Stands as the cause of an exception that was raised in a worker, and shows where."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def from_engine(kind: str, text: str, hint: str | None, retryable: bool) -> errors.QuiltworkError:
    """The exception for an error that is not about a task."""
    error: errors.QuiltworkError = getattr(errors, kind)(text)
    error.hint, error.retryable = hint, retryable
    return error


def from_task(
    kind: str,
    text: str,
    task: str,
    task_id: str,
    origin: tuple[str, str] | None,
    hint: str | None,
    retryable: bool,
    original: bytes | None,
) -> BaseException:
    """The exception for a task that failed: the very one its function raised, if that could travel."""
    if original is None:
        error: Exception = from_engine(kind, text, hint, retryable)
    else:
        error = _original(original, retryable)
    if origin is not None:
        error.__dict__[_NEEDED] = Needed(task_id, short_name(task), *origin)
    return error


def _original(original: bytes, retryable: bool) -> Exception:
    pickled, type_name, message, trace = pickle.loads(original)
    error = _unpickled(pickled)
    if error is None:
        error = errors.RemoteError(f"{type_name}: {message}" if message else type_name)
        error.type_name, error.retryable = type_name, retryable
    error.__cause__ = RemoteTraceback(trace)
    return error


class Needed(NamedTuple):
    """A task that was not run, and the one it needed, which failed; by ids and names."""

    task_id: str
    task: str
    origin: str
    origin_id: str


# Where an exception keeps that, until somebody explains it who knows more.
_NEEDED = "_quiltwork_needed"


def explain(error: BaseException, parameter_of: Callable[[Needed], str | None]) -> None:
    """Adds a note to an exception of a task whose input failed; `parameter_of` says which argument that was."""
    needed: Needed | None = error.__dict__.pop(_NEEDED, None)
    if needed is None:
        return
    origin, parameter = short_name(needed.origin), parameter_of(needed)
    if parameter is None:
        error.add_note(f"`{needed.task}` was not run: it needs `{origin}`, which failed")
    else:
        error.add_note(f"`{needed.task}` was not run: its {parameter} came from `{origin}`, which failed")


def _unpickled(pickled: bytes | None) -> Exception | None:
    """The exception itself; none if this process cannot make it, for want of a module for example."""
    if pickled is None:
        return None
    try:
        error = pickle.loads(pickled)
    except Exception:
        return None
    return error if isinstance(error, Exception) else None
