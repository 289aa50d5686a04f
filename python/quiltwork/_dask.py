"""Graphs of Dask's, run as tasks: one for each of their nodes, in the order that Dask finds best for memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quiltwork import _native
from quiltwork._calls import Function

if TYPE_CHECKING:
    from quiltwork._client import Client
    from quiltwork._future import Future


def run_node(node: Any, values: Mapping[Any, Any]) -> Any:
    """In a worker: makes what a node of a graph describes, of what its inputs have made."""
    return node(values)


def get(client: Client, graph: Any, keys: Any) -> Any:
    """The values of these keys of the graph; what nobody asks for is dropped as soon as it was used."""
    from dask._task_spec import convert_legacy_graph
    from dask.order import order

    # Collections that are optimized as expressions come as such.
    plain = graph if isinstance(graph, Mapping) else graph.__dask_graph__()
    nodes = convert_legacy_graph(dict(plain))
    ranks = order(nodes)
    function: Function[Any] = Function(client._shelf, run_node)
    futures: dict[Any, Future[Any]] = {}
    for key in sorted(nodes, key=ranks.__getitem__):
        node = nodes[key]
        inputs = {needed: futures[needed] for needed in node.dependencies}
        options = _native.Options(priority=-ranks[key])
        futures[key] = client._submit(function, (node, inputs), {}, options, None, False)
    wanted = _wanted(keys, futures)
    futures.clear()
    return client.gather(wanted)


def _wanted(keys: Any, futures: Mapping[Any, Future[Any]]) -> Any:
    """The futures in the places of their keys."""
    if isinstance(keys, list):
        return tuple(_wanted(key, futures) for key in keys)
    return futures[keys]
