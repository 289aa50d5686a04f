"""Shows one group of results as an SVG picture: a panel for each figure, in it a bar for each contender."""

from __future__ import annotations

import math
from html import escape

from comparison.results import Cell, Results, Row
from comparison.table import number

WIDTH, LABELS, VALUES = 860, 190, 110
BAR, HEAD, GAP = 20, 30, 14
COLOURS = ["#2f6f4f", "#4f9f74", "#c0504d", "#d98c3f", "#e0b04c", "#5b7fa6", "#86a3c3", "#8064a2"]
LIMIT_COLOUR = "#b5b5b5"
WIDE = 30.0
"""Medians further apart than this are shown on a logarithmic scale."""


def picture(results: Results, rows: list[Row]) -> str:
    """The picture as text. Bars are medians, lines go from minimum to maximum."""
    compared = [name for name in results.contenders if name not in results.limits]
    colours = dict.fromkeys(results.contenders, LIMIT_COLOUR)
    colours |= {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(compared)}
    shapes: list[str] = []
    top = GAP
    for row in rows:
        cells = {name: cell for name, cell in row.cells.items() if cell.samples}
        if cells:
            shapes += _panel(results, row, cells, colours, top)
            top += HEAD + BAR * len(cells) + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}" '
        'font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{top}" fill="white"/>', *shapes, "</svg>"]) + "\n"


def _panel(results: Results, row: Row, cells: dict[str, Cell], colours: dict[str, str], top: int) -> list[str]:
    scale = _Scale([sample for cell in cells.values() for sample in cell.samples], cells)
    direction = "more is better" if row.figure.more_is_better else "less is better"
    kind = ", logarithmic" if scale.is_logarithmic else ""
    title = f"{row.figure.title}: {row.figure.unit} ({direction}{kind})"
    shapes = [f'<text x="8" y="{top + 16}" font-weight="bold">{escape(title)}</text>']
    best = row.best(results.limits)
    for at, (name, cell) in enumerate(cells.items()):
        y = top + HEAD + BAR * at
        weight = ' font-weight="bold"' if name == best else ""
        end = LABELS + scale.place(cell.median)
        low, high = (LABELS + scale.place(edge(cell.samples)) for edge in (min, max))
        middle = y + BAR / 2 - 1
        shapes += [
            f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end"{weight}>{escape(results.contenders[name])}</text>',
            f'<rect x="{LABELS}" y="{y}" width="{end - LABELS:.1f}" height="{BAR - 4}" fill="{colours[name]}"/>',
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="black" stroke-width="1.5" opacity="0.6"/>',
            f'<text x="{max(end, high) + 6:.1f}" y="{y + 13}"{weight}>{number(cell.median)}</text>',
        ]
    return shapes


class _Scale:
    """Where a value is, in pixels from the beginning of the bars."""

    def __init__(self, samples: list[float], cells: dict[str, Cell]) -> None:
        self._least, self._most = min(samples), max(samples)
        medians = [cell.median for cell in cells.values()]
        self.is_logarithmic = self._least > 0 and max(medians) / min(medians) > WIDE

    def place(self, value: float) -> float:
        room = WIDTH - LABELS - VALUES
        if not self.is_logarithmic:
            return room * max(0.0, value) / self._most if self._most > 0 else 0.0
        # The least value still shows a bar.
        begin = math.log10(self._least) - 0.5
        return room * (math.log10(value) - begin) / (math.log10(self._most) - begin)
