"""What a worker does for one task: from payloads to the function's result, or to a description of what it raised."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from quiltwork import _functions, _plain
from quiltwork._pickled import Pickled, dump, load, load_call
from quiltwork._printing import end_task
from quiltwork._several import several
from quiltwork.errors import CannotTravel

if TYPE_CHECKING:
    from quiltwork._instances import Instance
    from quiltwork._looped import Looped
    from quiltwork._native import Guard
    from quiltwork._pickled import Handed
    from quiltwork._plain import Written

# Function, arguments, and how many results it makes if it makes several.
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], int | None]

# Message, name of the type, place, and the whole of it pickled.
Raised = tuple[str, str, str | None, bytes]

# What the engine carries of an exception, in bytes; longer texts are cut, and larger exceptions travel as texts.
_ORIGINAL_LIMIT = 16 * 1024
_TRACE_LIMIT = 8 * 1024
_MESSAGE_LIMIT = 4 * 1024

# Modules that stand between the engine and a user's own function.
_OURS = {
    f"quiltwork.{module}"
    for module in ("_run", "_instances", "_looped", "_yielding", "_several", "train._rounds", "train._step")
}


def execute(name: str, payloads: Sequence[Handed | list[Handed]], plain: bool) -> Pickled | Written | Raised:
    """Runs one task; with `plain` its result is for every language. Never raises what the task raises."""
    try:
        function, args, kwargs, outputs = called(name, payloads)
        result = function(*args, **kwargs)
        if outputs is not None:
            result = several(result, outputs, name)
    except BaseException as error:
        return described(error)
    finally:
        end_task()
    return _made_plain(name, result) if plain else made(name, result)


def construct(
    name: str, payloads: Sequence[Handed | list[Handed]], guard: Guard
) -> tuple[Instance | Looped, bool] | Raised:
    """Makes an actor, and says whether it lives in an event loop. Never raises what its constructor raises. What is the
    user's is called by `guard`."""
    # Not every worker has actors.
    from quiltwork import _instances

    try:
        function, args, kwargs, _ = guard.call(lambda: called(name, payloads))
        return _instances.construct(function, args, kwargs, guard)
    except BaseException as error:
        return described(error)
    finally:
        end_task()


def made(name: str, result: object) -> Pickled | Raised:
    """The result of the function of that name, as it travels."""
    try:
        return dump(result)
    except Exception as error:
        return _refused(name, result, "cannot be pickled", error)


def _made_plain(name: str, result: object) -> Written | Raised:
    """The same, as every language reads it."""
    try:
        return _plain.write(result)
    except Exception as error:
        return _refused(name, result, "cannot travel to another language", error)


def _refused(name: str, result: object, problem: str, error: Exception) -> Raised:
    refusal = CannotTravel(f"the result of `{name}`, a `{type(result).__qualname__}`, {problem}: {error}")
    refusal.hint = "return plain data, and make what cannot travel where it is used"
    return described(refusal)


def called(name: str, payloads: Sequence[Handed | list[Handed]]) -> Call:
    """What is called, with its arguments."""
    first = payloads[0] if payloads else None
    if not isinstance(first, bytes) and (first is None or isinstance(first, list) or not first.pickled):
        # A call from another language.
        given = [list(map(load, part)) if isinstance(part, list) else load(part) for part in payloads]
        return _imported(name), tuple(given), {}, None
    inputs: Sequence[Any] = payloads[1:]
    function, args, kwargs, outputs = load_call(first, inputs)
    if function is None:
        function = _imported(name)
    elif isinstance(function, _functions.Reference):
        # By value, as the last of the inputs: the futures among the arguments have the first numbers.
        function = _functions.take(function, inputs[-1])
    return function, args, kwargs, outputs


def _imported(name: str) -> Callable[..., Any]:
    try:
        return _functions.find(name)
    except (ImportError, AttributeError) as error:
        error.add_note("hint: workers look for modules where the program looked when it started the cluster")
        raise


def described(error: BaseException) -> Raised:
    """An exception as it travels."""
    import traceback

    trace = _without_ours(error.__traceback__)
    error.__traceback__ = trace
    text = "".join(traceback.format_exception(error))
    if len(text) > _TRACE_LIMIT:
        text = f"… (cut)\n{text[-_TRACE_LIMIT:]}"
    kind = type(error)
    type_name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    message = _text_of(error)
    original = pickle.dumps((_pickled(error), type_name, message, text))
    if len(original) > _ORIGINAL_LIMIT:
        original = pickle.dumps((None, type_name, message, text[-_MESSAGE_LIMIT:]))
    return message, type_name, _place_of(trace), original


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the user's own function on."""
    while trace is not None and trace.tb_frame.f_globals.get("__name__") in _OURS:
        trace = trace.tb_next
    return trace


def _place_of(trace: TracebackType | None) -> str | None:
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{code.co_filename}:{trace.tb_lineno} in {code.co_qualname}"


def _text_of(error: BaseException) -> str:
    try:
        return str(error)[:_MESSAGE_LIMIT]
    except Exception:
        return "(its text cannot be shown)"


def _pickled(error: BaseException) -> bytes | None:
    """The exception by itself; none if it cannot be made again from its pickle."""
    # SystemExit and its like would end whoever asks for the result.
    if not isinstance(error, Exception):
        return None
    try:
        pickled, buffers = dump(error)
        if buffers or not isinstance(pickle.loads(pickled), type(error)):
            return None
        return pickled
    except Exception:
        return None
