"""In a worker: actors with `async` methods, which live in an event loop on the actor's thread."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Coroutine, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from quiltwork._context import running
from quiltwork._instances import Instance
from quiltwork._printing import end_task
from quiltwork._run import described, made
from quiltwork._several import several

if TYPE_CHECKING:
    from quiltwork._native import Guard, Reply
    from quiltwork._pickled import Handed, Pickled
    from quiltwork._run import Raised


class Looped:
    """An actor some of whose methods are coroutines: these run beside each other, and its plain methods in between."""

    def __init__(self, make: Callable[[], Any], guard: Guard) -> None:
        self._runner = asyncio.Runner()
        self._running: set[asyncio.Task[None]] = set()
        try:
            self._instance = self._runner.run(self._constructed(make, guard))
        except BaseException:
            self._runner.close()
            raise

    async def _constructed(self, make: Callable[[], Any], guard: Guard) -> Instance:
        return Instance(guard.call(make))

    def watch(self, bell: int) -> None:
        """Says which file can be read when there are calls, or the actor shall end."""
        self._bell = bell
        loop = self._runner.get_loop()
        loop.add_reader(bell, loop.stop)

    def turn(self, calls: list[tuple[str, Sequence[Handed], Reply]]) -> None:
        """Begins these calls, and runs the loop until the bell rings."""
        loop = self._runner.get_loop()
        if calls:
            loop.call_soon(self._begin, calls)
        loop.run_forever()

    def finish(self) -> None:
        """Cancels what runs, closes generators that are left in the midst, and waits until all that has ended."""
        # Nothing stops the loop any more.
        self._runner.get_loop().remove_reader(self._bell)
        self._runner.run(self._finished())

    async def _finished(self) -> None:
        for call in self._running:
            _cancel_once(call)
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()

    def close(self) -> None:
        """Lets go of the actor, and ends the loop."""
        self._runner.run(self._let_go())
        self._runner.close()

    async def _let_go(self) -> None:
        self._instance.close()

    def _begin(self, calls: list[tuple[str, Sequence[Handed], Reply]]) -> None:
        for method, payloads, reply in calls:
            context = copy_context()
            context.run(running.set, reply.task)
            coroutine = context.run(self._enter, method, payloads, reply)
            if coroutine is None:
                continue
            call = asyncio.get_running_loop().create_task(coroutine, context=context)
            self._running.add(call)
            call.add_done_callback(self._running.discard)
            reply.on_cancel(functools.partial(self._cancel, call))

    def _enter(self, method: str, payloads: Sequence[Handed], reply: Reply) -> Coroutine[Any, Any, None] | None:
        """Calls a method; what is left of the call, if that is a coroutine."""
        name = self._instance.name_of(method)
        try:
            result, outputs = self._instance.enter(method, payloads)
        except BaseException as error:
            _answer(reply, described(error))
            return None
        if inspect.iscoroutine(result):
            return self._await(name, result, outputs, reply)
        _answer(reply, _made(name, result, outputs))
        return None

    async def _await(self, name: str, coroutine: Coroutine[Any, Any, Any], outputs: int | None, reply: Reply) -> None:
        try:
            result = await coroutine
        except BaseException as error:
            _answer(reply, described(error))
        else:
            _answer(reply, _made(name, result, outputs))

    def _cancel(self, call: asyncio.Task[None]) -> None:
        # If the loop has ended, so has the call.
        with contextlib.suppress(RuntimeError):
            self._runner.get_loop().call_soon_threadsafe(_cancel_once, call)


def _cancel_once(call: asyncio.Task[None]) -> None:
    """A second cancellation would strike what the call awaits to end in good order."""
    if not call.cancelling():
        call.cancel()


def _made(name: str, result: Any, outputs: int | None) -> Pickled | Raised:
    try:
        return made(name, result if outputs is None else several(result, outputs, name))
    except BaseException as error:
        return described(error)


def _answer(reply: Reply, returned: Pickled | Raised) -> None:
    # What the call has printed comes before what it has made.
    end_task()
    reply.send(returned)
