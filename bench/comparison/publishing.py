"""Writes results where they are read: JSON, a page with pictures, and if asked the page of the documentation."""

from __future__ import annotations

from pathlib import Path

from comparison.picture import picture
from comparison.results import DOCUMENT, Results
from comparison.summary import insert, summary
from comparison.table import document

ROOT = Path(__file__).parents[2]
FRONT_PAGE = "README.md"


def write(results: Results, folder: Path) -> Path:
    """All forms of the results, into one folder; returns the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    results.save(folder / "results.json")
    return _write_page(results, folder / "results.md", folder, "")


def publish(results: Results) -> Path:
    """The page of the documentation with its pictures, and the short table of the front page."""
    front = ROOT / FRONT_PAGE
    front.write_text(insert(front.read_text(), summary(results)))
    page = ROOT / DOCUMENT
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    return _write_page(results, page, folder, f"{folder.name}/")


def _write_page(results: Results, page: Path, folder: Path, prefix: str) -> Path:
    pictures = {}
    for group, rows in results.groups().items():
        (folder / f"{group}.svg").write_text(picture(results, rows))
        pictures[group] = f"{prefix}{group}.svg"
    page.write_text(document(results, pictures))
    return page
