"""What was measured: samples, or why there are none, and on which machine. Knows no form of showing it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from comparison.measurement import GROUPS, Figure

DOCUMENT = "docs/benchmarks.md"


@dataclass
class Cell:
    """All that is known of one figure of one contender."""

    samples: list[float] = field(default_factory=list)
    note: str | None = None
    """Why there are no samples, or not as many as rounds."""

    @property
    def median(self) -> float:
        return median(self.samples)


@dataclass
class Row:
    """One figure of all contenders, by their names."""

    group: str
    measurement: str
    figure: Figure
    cells: dict[str, Cell]

    def best(self, limits: set[str]) -> str | None:
        """Who is the best of those that are no limits of the machine."""
        medians = {name: cell.median for name, cell in self.cells.items() if cell.samples and name not in limits}
        if not medians:
            return None
        return (max if self.figure.more_is_better else min)(medians, key=medians.__getitem__)


@dataclass
class Results:
    """One run of the benchmark."""

    machine: dict[str, str]
    versions: dict[str, str]
    date: str
    command: str
    rounds: int
    contenders: dict[str, str]
    """Titles by names, in the order of tables."""
    limits: set[str]
    rows: list[Row]
    interrupted: bool = False
    """Whether somebody pressed Ctrl-C before all was measured."""

    def groups(self) -> dict[str, list[Row]]:
        """The rows that somebody has figures for, by group."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            if any(cell.samples for cell in row.cells.values()):
                found.setdefault(row.group, []).append(row)
        return {group: found[group] for group in GROUPS if group in found}

    def save(self, path: Path) -> None:
        """Writes everything as JSON."""
        path.write_text(json.dumps(self._plain(), indent=1, ensure_ascii=False) + "\n")

    def _plain(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name != "rows"}
        plain["limits"] = sorted(self.limits)
        plain["rows"] = [
            {
                "group": row.group,
                "measurement": row.measurement,
                **asdict(row.figure),
                "contenders": {name: _summary(cell) for name, cell in row.cells.items()},
            }
            for row in self.rows
        ]
        return plain


def _summary(cell: Cell) -> dict[str, Any]:
    if not cell.samples:
        return {"note": cell.note}
    found = {"min": min(cell.samples), "median": cell.median, "max": max(cell.samples), "samples": cell.samples}
    return found if cell.note is None else {**found, "note": cell.note}
