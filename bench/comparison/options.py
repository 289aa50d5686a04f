"""The command line, and what it asks for."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from comparison.contender import Contender
from comparison.measurement import GROUPS, Measurement
from comparison.registry import all_contenders, all_measurements
from comparison.results import DOCUMENT

FULL_ROUNDS = 5
QUICK_ROUNDS = 2
QUICK_LIMIT = 10.0
"""Seconds a measurement of a quick run has at most."""


@dataclass(frozen=True)
class Options:
    """What shall be measured, how often, and where the results go."""

    measurements: list[Measurement]
    contenders: list[type[Contender]]
    rounds: int
    quick: bool
    publish: bool
    out: Path

    def limit(self, measurement: Measurement) -> float:
        """Seconds after which a measurement is given up."""
        return min(measurement.limit, QUICK_LIMIT) if self.quick else measurement.limit


def parse(arguments: list[str]) -> Options:
    """The options, or the end of the program with what is wrong with them."""
    contenders, measurements = all_contenders(), all_measurements()
    names = [measurement.name for measurement in measurements]
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description="Measures Quiltwork beside its peers: two worker processes of one thread each, in turns.",
        epilog=f"measurements: {', '.join(names)}; groups of them: {', '.join(GROUPS)}",
    )
    parser.add_argument("--quick", action="store_true", help="little work and two rounds: done in about 3 minutes")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        choices=[*names, *GROUPS],
        help="this measurement or group; repeatable",
    )
    parser.add_argument("--rounds", type=_positive, metavar="N", help="how often each is measured (default 5)")
    parser.add_argument(
        "--contender",
        action="append",
        metavar="NAME",
        choices=[contender.name for contender in contenders],
        help=f"only this one; repeatable: {', '.join(contender.name for contender in contenders)}",
    )
    parser.add_argument("--publish", action="store_true", help=f"write {DOCUMENT} and the table in README.md as well")
    parser.add_argument("--out", type=Path, default=Path("target/bench"), metavar="FOLDER", help="where the results go")
    found = parser.parse_args(arguments)
    wanted = found.only or list(GROUPS)
    return Options(
        measurements=[each for each in measurements if each.name in wanted or each.group in wanted],
        contenders=[each for each in contenders if not found.contender or each.name in found.contender],
        rounds=found.rounds or (QUICK_ROUNDS if found.quick else FULL_ROUNDS),
        quick=found.quick,
        publish=found.publish,
        out=found.out,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one round is needed")
    return number


if __name__ == "__main__":
    parse(sys.argv[1:])
