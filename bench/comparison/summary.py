"""The short table of the front page: medians of the figures people ask for first, and who took them where and when."""

from __future__ import annotations

from comparison.results import DOCUMENT, Results, Row
from comparison.table import number

BEGIN, END = "<!-- figures: written by bench/run --publish -->", "<!-- end of figures -->"
SHOWN = ("quiltwork-rust", "quiltwork", "ray", "dask-tuned", "process-pool-executor", "multiprocessing-pool")
FIGURES = (
    ("no-ops-100000", "rate"),
    ("chunked-map", "rate"),
    ("round-trip", "p50"),
    ("round-trip", "p99"),
    ("chain", "hop"),
    ("tree", "time"),
    ("moves", "made_moved_summed"),
    ("client-moves", "put"),
    ("actor-calls", "one_by_one"),
    ("actor-calls", "pipelined"),
    ("start-up", "first_result"),
    ("memory", "idle"),
    ("memory", "held"),
    ("kill-recovery", "time"),
    ("averaging-digits", "round"),
    ("averaging-network", "round"),
    ("word-count", "time"),
    ("sort", "time"),
)


def summary(results: Results) -> str:
    """The table, with what it was taken by; the figures it lacks were not measured."""
    rows = {(row.measurement, row.figure.key): row for row in results.rows}
    found = [rows[figure] for figure in FIGURES if figure in rows]
    shown = [name for name in SHOWN if name in results.contenders]
    head = ["median", "unit", *(results.contenders[name] for name in shown)]
    lines = [head, ["---"] * len(head), *(_line(row, shown) for row in found)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    machine = ", ".join(value for name, value in results.machine.items() if name in ("processor", "memory"))
    return f"{results.date}, {machine}, `{results.command}`; all of it is in [{DOCUMENT}]({DOCUMENT}).\n\n{table}"


def insert(page: str, part: str) -> str:
    """The page with this between its marks; a page without them stays as it is."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{part}\n{end}{after}" if begin and end else page


def _line(row: Row, shown: list[str]) -> list[str]:
    medians = {name: row.cells[name].median for name in shown if row.cells[name].samples}
    best = (max if row.figure.more_is_better else min)(medians, key=medians.__getitem__, default=None)
    cells = [_cell(medians.get(name), name == best) for name in shown]
    return [row.figure.title, row.figure.unit, *cells]


def _cell(median: float | None, is_best: bool) -> str:
    if median is None:
        return "–"
    return f"**{number(median)}**" if is_best else number(median)
