"""Lets contenders measure in turns and collects what they say. How a figure comes about is none of its business."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from comparison.contender import Contender
from comparison.measurement import Measurement, Sizes
from comparison.options import Options
from comparison.results import Cell, Row
from comparison.session import Answer, Session

# One thread for whatever computes: the workers are what is in parallel.
ENVIRONMENT = dict.fromkeys(
    ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"], "1"
)


def measure(options: Options) -> tuple[list[Row], bool]:
    """All rounds of all measurements, or those until Ctrl-C: a row for each figure, and whether it was pressed."""
    folder = (options.out / "data").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with (options.out / "log.txt").open("wb") as log:
        for members in _courses(options):
            course = _Course(options, members, folder, log)
            try:
                course.run()
            except KeyboardInterrupt:
                print("interrupted; this is what was measured by then", file=sys.stderr)
                return rows + course.rows(), True
            rows += course.rows()
    return rows, False


def _courses(options: Options) -> list[list[Measurement]]:
    """What a process measures in a round: a group, or all of them if a quick run has no time to start it twice."""
    courses: dict[object, list[Measurement]] = {}
    for measurement in options.measurements:
        environment = tuple(measurement.environment.items())
        courses.setdefault(environment if options.quick else measurement.group, []).append(measurement)
    return list(courses.values())


class _Course:
    """Measurements that a contender makes in one go."""

    def __init__(self, options: Options, members: list[Measurement], folder: Path, log: IO[bytes]) -> None:
        self._options, self._folder, self._log = options, folder, log
        planned = ((member, member.sizes(options.quick)) for member in members)
        self._plan: list[tuple[Measurement, Sizes]] = [(m, sizes) for m, sizes in planned if sizes is not None]
        # First those that start everything themselves, last what nobody may survive.
        self._plan.sort(key=lambda planned: (planned[0].starts, planned[0].breaks))
        self._cells = {
            (measurement.name, contender.name): {figure.key: Cell() for figure in measurement.figures(sizes)}
            for measurement, sizes in self._plan
            for contender in options.contenders
        }
        self._seconds: dict[tuple[str, str], float] = {}
        """How long the last run of a measurement took."""
        self._over: set[tuple[str, str]] = set()
        """What is not tried again."""
        self._silent: set[tuple[str, str]] = set()
        """What was not done in time."""

    def run(self) -> None:
        for measurement, sizes in self._plan:
            measurement.prepare(self._folder, sizes)
        for contender in self._options.contenders:
            if (absence := contender.absence()) is not None:
                for measurement, _ in self._plan:
                    self._give_up(measurement, contender, absence)
        for number in range(self._options.rounds):
            for contender in _rotated(self._options.contenders, number):
                self._tell(number, contender)
                self._visit(contender)

    def rows(self) -> list[Row]:
        return [
            Row(measurement.group, measurement.name, figure, self._row(measurement, figure.key))
            for measurement, sizes in self._plan
            for figure in measurement.figures(sizes)
        ]

    def _row(self, measurement: Measurement, key: str) -> dict[str, Cell]:
        names = [contender.name for contender in self._options.contenders]
        return {name: self._cells[measurement.name, name][key] for name in names}

    def _visit(self, contender: type[Contender]) -> None:
        """One round of one contender, in a process of its own, or several if one gets stuck."""
        left = [(m, sizes) for m, sizes in self._plan if (m.name, contender.name) not in self._over]
        while left:
            with Session(contender, {**ENVIRONMENT, **left[0][0].environment}, self._log) as session:
                while left and not session.is_over:
                    measurement, sizes = left.pop(0)
                    if not self._is_hopeless(measurement, contender):
                        self._ask(session, measurement, sizes, contender)

    def _ask(self, session: Session, measurement: Measurement, sizes: Sizes, contender: type[Contender]) -> None:
        answer = session.ask(measurement.name, sizes, self._folder, self._options.limit(measurement))
        self._note(measurement, contender, answer)

    def _note(self, measurement: Measurement, contender: type[Contender], answer: Answer) -> None:
        cells = self._cells[measurement.name, contender.name]
        if "figures" in answer:
            for key, value in answer["figures"].items():
                cells[key].samples.append(value)
            self._seconds[measurement.name, contender.name] = answer["seconds"]
        elif "silent" in answer:
            self._silent.add((measurement.name, contender.name))
            self._give_up(measurement, contender, f"> {answer['silent']:g} s")
        elif "absent" in answer:
            self._give_up(measurement, contender, answer["absent"])
        else:
            # Once is bad luck, twice is how it is.
            failed_before = any(cell.note for cell in cells.values())
            for cell in cells.values():
                cell.note = answer.get("failed", "its process ended")
            if failed_before:
                self._over.add((measurement.name, contender.name))

    def _give_up(self, measurement: Measurement, contender: type[Contender], reason: str) -> None:
        self._over.add((measurement.name, contender.name))
        for cell in self._cells[measurement.name, contender.name].values():
            cell.note = reason

    def _is_hopeless(self, measurement: Measurement, contender: type[Contender]) -> bool:
        """Whether a smaller measurement of the kind has shown that this one takes too long."""
        if measurement.grows_from is None:
            return False
        smaller, times = measurement.grows_from
        limit = self._options.limit(measurement)
        # With some room: a larger one may be done in less than its share.
        took = self._seconds.get((smaller, contender.name), 0.0)
        is_hopeless = took * times > 2 * limit or (smaller, contender.name) in self._silent
        if is_hopeless:
            self._give_up(measurement, contender, f"> {limit:g} s")
        return is_hopeless

    def _tell(self, number: int, contender: type[Contender]) -> None:
        groups = ", ".join(dict.fromkeys(measurement.group for measurement, _ in self._plan))
        print(f"{groups}: round {number + 1} of {self._options.rounds}, {contender.title}", file=sys.stderr, flush=True)


def _rotated(contenders: Sequence[type[Contender]], by: int) -> list[type[Contender]]:
    """Every round begins with another one."""
    at = by % len(contenders)
    return [*contenders[at:], *contenders[:at]]
