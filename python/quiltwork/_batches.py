"""Batches of joblib's calls as they travel: large arrays once for all calls that use them, all else in the batch."""

from __future__ import annotations

import io
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cloudpickle

if TYPE_CHECKING:
    from quiltwork._client import Client
    from quiltwork._future import Future


class SharedArrays:
    """The large arrays that calls were given, each in the cluster as long as it lives here.

    An array is known by the memory it shows: what holds arrays makes new views of them whenever it is pickled. What is
    written to it between two calls need not be seen by the second, as with joblib's own memory maps.
    """

    def __init__(self, client: Client, least: float) -> None:
        self.least = least
        self._client = client
        self._owners: dict[int, weakref.ref[Any]] = {}
        self._futures: dict[int, dict[Any, Future[Any]]] = {}
        self._lock = threading.Lock()

    def future_of(self, array: Any) -> Future[Any]:
        """The array in the cluster."""
        owner = array
        while type(owner.base) is type(array):
            owner = owner.base
        view = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)
        with self._lock:
            futures = self._futures_of(owner)
            if view not in futures:
                futures[view] = self._client.put(array)
            return futures[view]

    def _futures_of(self, owner: Any) -> dict[Any, Future[Any]]:
        number = id(owner)
        known = self._owners.get(number)
        if known is None or known() is not owner:
            self._owners[number] = weakref.ref(owner, lambda gone: self._forget(number, gone))
            self._futures[number] = {}
        return self._futures[number]

    def _forget(self, number: int, gone: weakref.ref[Any]) -> None:
        # Not locked: it may be called while this thread holds the lock. Another array may have the number already.
        if self._owners.get(number) is gone:
            self._owners.pop(number, None)
            self._futures.pop(number, None)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Leaves out large arrays and lists them."""

    def __init__(self, file: io.BytesIO, shared: SharedArrays) -> None:
        super().__init__(file, protocol=5)
        self.arrays: list[Future[Any]] = []
        self._shared = shared
        self._kind: Any = getattr(sys.modules.get("numpy"), "ndarray", None)

    def reducer_override(self, thing: Any) -> Any:
        if type(thing) is self._kind and thing.nbytes >= self._shared.least and not thing.dtype.hasobject:
            self.arrays.append(self._shared.future_of(thing))
            return _array, (len(self.arrays) - 1,)
        return super().reducer_override(thing)


class _Given(threading.local):
    """The large arrays of the batch that this thread unpickles."""

    arrays: list[Any]


_given = _Given()


def _array(number: int) -> Any:
    return _given.arrays[number]


def dump(batch: Callable[[], Any], shared: SharedArrays) -> tuple[pickle.PickleBuffer, list[Future[Any]]]:
    """What `run` is called with."""
    file = io.BytesIO()
    pickler = _Pickler(file, shared)
    pickler.dump(batch)
    return pickle.PickleBuffer(file.getbuffer()), pickler.arrays


def run(pickled: Any, arrays: list[Any]) -> pickle.PickleBuffer:
    """In a worker: runs a batch. What it makes is pickled as a whole, so that its arrays can be written to."""
    _given.arrays = arrays
    try:
        batch = pickle.loads(pickled)
    finally:
        del _given.arrays
    return pickle.PickleBuffer(cloudpickle.dumps(batch(), protocol=5))
