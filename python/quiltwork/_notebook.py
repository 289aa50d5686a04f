"""What notebooks show of things."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quiltwork._cluster import Worker


def workers_table(title: str, workers: list[Worker]) -> str:
    """A cluster, or a link to one, with its workers."""
    head = f"<b>{escape(title.strip('<>'))}</b>"
    if not workers:
        return head
    cells = ((worker.id, worker.pid, worker.slots, f"{worker.memory_limit / 2**30:.1f} GiB") for worker in workers)
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells)
    names = "".join(f"<th>{name}</th>" for name in ("worker", "process", "slots", "memory"))
    return f"{head}<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>"


def bar(fraction: float, text: str) -> str:
    """A bar that is filled so far, with words behind it."""
    return f'<progress max="1" value="{fraction:.4f}" style="width: 24em"></progress> {escape(text)}'


def display() -> Callable[[str], None] | None:
    """What shows HTML in the cell that runs, and each time in the place of the last; none outside of notebooks."""
    import sys

    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import HTML, display

    if getattr(get_ipython(), "kernel", None) is None:
        return None
    shown = display(HTML(""), display_id=True)

    def show(html: str) -> None:
        shown.update(HTML(html))

    return show
