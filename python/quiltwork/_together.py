"""The calls of `Client.map`, which travel several in one message."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from quiltwork._future import Future
from quiltwork._recipe import PlainCall, recipe_of

if TYPE_CHECKING:
    from quiltwork import _native
    from quiltwork._calls import Function
    from quiltwork._client import Client

T = TypeVar("T")

# How many calls travel in one message.
_TOGETHER = 64


def submit_all(
    client: Client,
    function: Function[T],
    iterables: tuple[Iterable[Any], ...],
    kwargs: dict[str, Any],
    options: _native.Options | None,
) -> list[Future[T]]:
    """Submits a call for each tuple of items, without keys or names."""
    # Of what has no length the next item may be long in coming, and those before it must not wait for it.
    together = _TOGETHER if all(isinstance(items, Sized) for items in iterables) else 1
    calls = zip(*iterables)
    futures: list[Future[T]] = []
    while batch := list(islice(calls, together)):
        if options is None and function.takes_plainly(chain(*batch), kwargs):
            # Nothing but their pickles has to be sent and remembered.
            pickles = [function.dump_plain_call(args) for args in batch]
            handles = client._session.submit_all(function.name, pickles, function.shelved, None)
            futures += [
                Future(client, handle, function.short_name, PlainCall(function, pickle))
                for handle, pickle in zip(handles, pickles)
            ]
            continue
        dumped = [function.dump_call(args, kwargs) for args in batch]
        sent = [(*pickled, [one._handle for one in given]) for pickled, given in dumped]
        handles = client._session.submit_all(function.name, sent, function.shelved, options)
        for args, (pickled, given), handle in zip(batch, dumped, handles):
            recipe = recipe_of(function, pickled, given, options, args, kwargs)
            futures.append(Future(client, handle, function.short_name, recipe))
    return futures
