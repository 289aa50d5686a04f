"""Shows results as Markdown: one table for each group, the best of each row in bold, and why cells are empty."""

from __future__ import annotations

from comparison.measurement import GROUPS
from comparison.results import Results, Row

SHORT = 12
"""The longest note that stands in a cell itself."""


def document(results: Results, pictures: dict[str, str]) -> str:
    """The whole page; `pictures` has the path of a picture for each group."""
    parts = ["# Quiltwork beside its peers", _head(results)]
    for group, rows in results.groups().items():
        parts += [f"## {GROUPS[group]}", _table(results, rows)]
        if group in pictures:
            parts.append(f"![{GROUPS[group]}]({pictures[group]})")
    return "\n\n".join(parts) + "\n"


def _head(results: Results) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    machine = ", ".join(f"{name}: {value}" for name, value in results.machine.items())
    cut = " It was interrupted: the last rows have fewer rounds." if results.interrupted else ""
    return (
        f"Written by `{results.command}` on {results.date}.\n\n"
        "Two worker processes of one thread each for everybody, BLAS on one thread, all on one machine. Cells are\n"
        f"`minimum / median / maximum` of {results.rounds} rounds in which the contenders take turns. The best median\n"
        f"of each row is bold. What the machine can do at best stands in *italics* and is not compared.{cut}\n\n"
        f"- {machine}\n- {versions}"
    )


def _table(results: Results, rows: list[Row]) -> str:
    shown = [name for name in results.contenders if any(row.cells[name].samples for row in rows)]
    titles = [_italic(results.contenders[name], name in results.limits) for name in shown]
    lines = [["", "unit", *titles], ["---"] * (len(shown) + 2)]
    reasons: dict[str, int] = {}
    for row in rows:
        best = row.best(results.limits)
        cells = [_cell(results, row, name, best, reasons) for name in shown]
        lines.append([row.figure.title, row.figure.unit, *cells])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = [f"{number}. {reason}" for reason, number in reasons.items()]
    absent = _absent(results, rows, shown)
    return "\n\n".join(part for part in (table, "\n".join(notes), absent) if part)


def _cell(results: Results, row: Row, name: str, best: str | None, reasons: dict[str, int]) -> str:
    cell = row.cells[name]
    if cell.samples:
        middle = f"**{number(cell.median)}**" if name == best else number(cell.median)
        text = f"{number(min(cell.samples))} / {middle} / {number(max(cell.samples))}"
        return text if cell.note is None else f"{text} ({_note(cell.note, reasons)})"
    # What is a limit for one thing is none for most.
    return _note(cell.note, reasons) if cell.note and name not in results.limits else "–"


def _note(note: str, reasons: dict[str, int]) -> str:
    return note if len(note) <= SHORT else f"– [{reasons.setdefault(note, len(reasons) + 1)}]"


def _absent(results: Results, rows: list[Row], shown: list[str]) -> str:
    """Who has no column, if something should have been there."""
    lines = []
    for name, title in results.contenders.items():
        notes = {row.cells[name].note for row in rows} - {None}
        if name not in shown and any(str(note).startswith(("not ", "> ")) or "Error" in str(note) for note in notes):
            lines.append(f"{title}: {'; '.join(sorted(map(str, notes)))}.")
    return "\n".join(lines)


def _italic(title: str, is_limit: bool) -> str:
    return f"*{title}*" if is_limit else title


def number(value: float) -> str:
    """Three digits that count, and all before the point."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
