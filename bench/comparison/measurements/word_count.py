"""How long it takes to count the words of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comparison import texts
from comparison.contender import Contender
from comparison.measurement import Figure, Figures, Measurement, Sizes, clock, expect
from comparison.work import words

AT_ONCE = 8


class WordCount(Measurement):
    """Each file is counted by a task; eight counts at a time are merged by another."""

    name = "word-count"
    group = "programs"
    rank = 0

    def sizes(self, quick: bool) -> Sizes:
        return {"bytes": 20_000_000 if quick else 200_000_000, "files": 16 if quick else 64}

    def figures(self, sizes: Sizes) -> Sequence[Figure]:
        return [Figure("time", f"words of {sizes['bytes'] // 1_000_000} MB in {sizes['files']} files", "s")]

    def prepare(self, folder: Path, sizes: Sizes) -> None:
        texts.write_text(self._texts(folder, sizes), sizes["files"], sizes["bytes"])

    def run(self, contender: Contender, folder: Path, sizes: Sizes) -> Figures:
        paths = [str(path) for path in sorted(self._texts(folder, sizes).glob("*.txt"))]
        read = sum(len(Path(path).read_bytes()) for path in paths)
        contender.result(contender.submit(words.merge))
        with clock() as watch:
            counts = [contender.submit(words.count, path) for path in paths]
            while len(counts) > 1:
                counts = [_merged(contender, counts[at : at + AT_ONCE]) for at in range(0, len(counts), AT_ONCE)]
            total = contender.result(counts[0])
        expect(sum((len(word) + 1) * count for word, count in total.items()) == read + len(paths), "words")
        return {"time": watch.seconds}

    def _texts(self, folder: Path, sizes: Sizes) -> Path:
        return folder / f"words-{sizes['bytes']}"


def _merged(contender: Contender, counts: Sequence[Any]) -> Any:
    inputs = counts if contender.links else contender.gather(counts)
    return contender.submit(words.merge, *inputs)


MEASUREMENTS = [WordCount()]
