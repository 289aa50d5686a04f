"""The command behind `bench/run`: measures what it is asked for, and writes and prints what it found."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime

from comparison.machine import machine, versions
from comparison.measuring import measure
from comparison.options import parse
from comparison.publishing import publish, write
from comparison.results import Results


def main() -> None:
    options = parse(sys.argv[1:])
    surroundings = machine()
    rows, interrupted = measure(options)
    results = Results(
        machine=surroundings,
        versions=versions(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        command=shlex.join(["bench/run", *sys.argv[1:]]),
        rounds=options.rounds,
        contenders={contender.name: contender.title for contender in options.contenders},
        limits={contender.name for contender in options.contenders if contender.is_limit},
        rows=rows,
        interrupted=interrupted,
    )
    page = write(results, options.out)
    print(page.read_text())
    print(f"written to {page.parent}/results.md, results.json and pictures", file=sys.stderr)
    if options.publish:
        print(f"published as {publish(results)}", file=sys.stderr)


if __name__ == "__main__":
    main()
