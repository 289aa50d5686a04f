"""Futures within lists, tuples, sets and dicts: found, and replaced by their results."""

from __future__ import annotations

from typing import Any

from quiltwork._future import Future


def futures_in(data: Any) -> list[Future[Any]]:
    if isinstance(data, Future):
        return [data]
    if isinstance(data, dict):
        data = data.values()
    elif not isinstance(data, (list, tuple, set, frozenset)):
        return []
    return [future for part in data for future in futures_in(part)]


_SKIPPED = object()


def replaced(data: Any, results: dict[Future[Any], Any]) -> Any:
    """The same with results for futures; those without one are left out."""
    if isinstance(data, Future):
        return results.get(data, _SKIPPED)
    if isinstance(data, dict):
        parts = {key: replaced(value, results) for key, value in data.items()}
        return {key: value for key, value in parts.items() if value is not _SKIPPED}
    if isinstance(data, (list, tuple, set, frozenset)):
        items = [item for item in (replaced(part, results) for part in data) if item is not _SKIPPED]
        return type(data)(items)
    return data
