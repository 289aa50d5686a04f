"""Dask's collections: their graphs run as tasks, one for each node, in the order that Dask finds best for memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quiltwork import _native
from quiltwork._calls import Function
from quiltwork._future import Future, interruptible
from quiltwork._pickled import load_to_write

if TYPE_CHECKING:
    from quiltwork._client import Client

# The releases of Dask that were tested. Others are not refused, unless they lack what is needed here.
TESTED = ("2025.7.0", "2026.8.0")

# What nodes can be annotated with, and what a computation as a whole takes; all of it options of `Client.submit`.
_OPTIONS = ("retries", "priority", "resources", "memory")

# The engine's priorities are numbers of 32 bits.
_HIGHEST = 2**31 - 1


def get(client: Client, graph: Any, keys: Any, given: Mapping[str, Any]) -> Any:
    """The values of these keys of the graph; what nobody asks for is dropped as soon as it was used."""
    futures = _submit(client, graph, set(_flat(keys)), given)
    ordered = list(dict.fromkeys(futures.values()))
    handles = [future._handle for future in ordered]
    payloads = interruptible(ordered, lambda: client._session.gather(handles, None)) or []
    # Whoever computes a collection may write to what it gets, as with Dask's other schedulers.
    values = dict(zip(ordered, map(load_to_write, payloads)))
    return _nested(keys, {key: values[future] for key, future in futures.items()})


def compute(client: Client, collections: Any, optimize_graph: bool, given: Mapping[str, Any]) -> Any:
    """A future of the whole of each collection; what is none stays as it is."""
    from dask.base import is_dask_collection

    asked, single = _listed(collections)
    places = [place for place, thing in enumerate(asked) if is_dask_collection(thing)]
    if places:
        dask = _expressions()
        parts = dask.collections_to_expr([asked[place] for place in places], optimize_graph)
        graph = dask.FinalizeCompute(parts).optimize()
        keys = _flat(graph.__dask_keys__())
        futures = _submit(client, graph, set(keys), given)
        for place, key in zip(places, keys, strict=True):
            asked[place] = futures[key]
    return asked[0] if single else asked


def persist(client: Client, collections: Any, optimize_graph: bool, given: Mapping[str, Any]) -> Any:
    """The same collections, made of futures: their parts are computed once, and stay in the cluster."""
    asked, single = _listed(collections)
    graph = _expressions().collections_to_expr(asked, optimize_graph).optimize()
    keys = graph.__dask_keys__()
    futures = _submit(client, graph, set(_flat(keys)), given)
    kept = []
    for collection, own in zip(asked, keys, strict=True):
        rebuild, state = collection.__dask_postpersist__()
        kept.append(rebuild({key: futures[key] for key in _flat(own)}, *state))
    return kept[0] if single else kept


def _listed(collections: Any) -> tuple[list[Any], bool]:
    """The collections as a list, and whether it was a single one."""
    single = not isinstance(collections, (list, tuple, set, frozenset))
    return [collections] if single else list(collections), single


def run_node(node: Any, values: Mapping[Any, Any]) -> Any:
    """In a worker: makes what a node of a graph describes, of what its inputs have made."""
    try:
        return node(values)
    except Exception as error:
        error.add_note(f"raised by the node {node.key!r} of a graph of Dask's")
        raise


def begin_default(client: Client) -> Any:
    """Has Dask compute by this client; what is returned ends that."""
    import dask.config

    settings: dict[str, Any] = {"scheduler": client.get}
    # Dask's own choice would be files, which are lost to a task that runs again elsewhere.
    if dask.config.get("dataframe.shuffle.method", None) is None:
        settings["dataframe.shuffle.method"] = "tasks"
    return dask.config.set(settings)


def end_default(client: Client, setting: Any) -> None:
    """Has Dask compute as before, unless somebody has chosen otherwise meanwhile."""
    import dask.config

    if getattr(dask.config.get("scheduler", None), "__self__", None) is client:
        setting.__exit__(None, None, None)


def _submit(client: Client, graph: Any, wanted: set[Any], given: Mapping[str, Any]) -> dict[Any, Future[Any]]:
    """A future for each wanted key. What stands between them lives as long as something needs it."""
    specification, ordering = _specification()
    # Collections that are optimized as expressions come as such.
    plain = graph if isinstance(graph, Mapping) else graph.__dask_graph__()
    nodes = specification.convert_legacy_graph(dict(plain))
    annotations = graph.__dask_annotations__() if hasattr(graph, "__dask_annotations__") else {}
    ranks = ordering.order(nodes)
    function: Function[Any] = client._functions.of(run_node)
    futures: dict[Any, Future[Any]] = {}
    for key in sorted(nodes, key=ranks.__getitem__):
        node = nodes[key]
        known = _known(client, node, specification, futures)
        if known is None:
            inputs = {needed: futures[needed] for needed in node.dependencies}
            options = _options(key, ranks[key], len(nodes), given, annotations)
            known = client._submit(function, (node, inputs), {}, options, None, False)
            known.name = str(key)
        futures[key] = known
    return {key: futures[key] for key in wanted}


def _known(client: Client, node: Any, specification: Any, futures: Mapping[Any, Future[Any]]) -> Future[Any] | None:
    """What a node is that needs no task: another node, or a value."""
    if isinstance(node, specification.Alias):
        return futures[node.target]
    if not isinstance(node, specification.DataNode):
        return None
    if isinstance(node.value, Future):
        return node.value
    try:
        return client.put(node.value)
    except Exception:
        # Futures within a value only travel as arguments of a task; and of what cannot travel, that can tell.
        return None


def _options(
    key: Any, rank: int, nodes: int, given: Mapping[str, Any], annotations: Mapping[str, Mapping[Any, Any]]
) -> _native.Options:
    """What was asked for this node, or else for all; among equals Dask's order decides."""
    chosen = {name: annotations.get(name, {}).get(key, given.get(name)) for name in _OPTIONS}
    priority = (chosen["priority"] or 0) * nodes - rank
    return _native.Options(
        retries=chosen["retries"] or 0,
        priority=max(-_HIGHEST, min(_HIGHEST, int(priority))),
        resources=list((chosen["resources"] or {}).items()),
        memory=chosen["memory"],
    )


def _flat(keys: Any) -> list[Any]:
    """Dask nests keys in lists; a tuple is a key."""
    return [key for part in keys for key in _flat(part)] if isinstance(keys, list) else [keys]


def _nested(keys: Any, values: Mapping[Any, Any]) -> Any:
    """The values in the places of their keys."""
    return tuple(_nested(key, values) for key in keys) if isinstance(keys, list) else values[keys]


def _specification() -> tuple[Any, Any]:
    try:
        from dask import _task_spec, order

        for needed in ("convert_legacy_graph", "Alias", "DataNode"):
            getattr(_task_spec, needed)
    except (ImportError, AttributeError) as error:
        raise _unknown_release() from error
    return _task_spec, order


class _Expressions:
    """What of Dask's turns collections into graphs."""

    def __init__(self) -> None:
        from dask._expr import FinalizeCompute
        from dask.base import collections_to_expr

        self.FinalizeCompute: Any = FinalizeCompute
        self.collections_to_expr: Any = collections_to_expr


def _expressions() -> _Expressions:
    try:
        return _Expressions()
    except ImportError as error:
        raise _unknown_release() from error


def _unknown_release() -> ImportError:
    from importlib.metadata import version

    first, last = TESTED
    return ImportError(
        f"dask {version('dask')} keeps its graphs in another way than quiltwork knows\n"
        f"  hint: install one from {first} to {last}, which were tested: pip install 'dask>={first},<={last}'"
    )
