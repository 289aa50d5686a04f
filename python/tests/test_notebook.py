"""The notebook of the examples, executed as a whole, and judged by the outputs that are kept in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from conftest import PATIENCE
from nbclient import NotebookClient

TOUR = Path(__file__).parents[2] / "examples" / "python" / "tour.ipynb"


def test_the_tour_gives_the_outputs_that_are_kept_in_it(tmp_path: Path) -> None:
    notebook: Any = nbformat.read(TOUR, as_version=4)
    kept = [said(cell) for cell in notebook.cells]
    assert any(kept)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=place).execute()
    assert [said(cell) for cell in notebook.cells] == kept


def said(cell: Any) -> str:
    """What a cell prints and returns, as text."""
    texts = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stdout":
            texts.append(output.text)
        elif output.output_type == "execute_result":
            texts.append(output.data["text/plain"])
    return "\n".join(texts)
