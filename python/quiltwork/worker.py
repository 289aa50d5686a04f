"""What a worker process runs. Clusters start it; `python -m quiltwork.worker` by hand only says so."""

from __future__ import annotations

import faulthandler
import os
import sys
from typing import TextIO, cast

# Libraries that start threads of their own, one per processor each: workers would fight for the processors.
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


def main(slots: str = "1") -> None:
    """Runs tasks until the cluster ends, and then ends this process."""
    from quiltwork import _native, _printing, _run

    for variable in _THREADS:
        os.environ.setdefault(variable, slots)
    _native.keep_freed_memory()
    sys.argv = sys.argv[:1]
    # What a task prints should be seen when it prints it, and where it was when it crashed.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    faulthandler.enable()
    sys.stdout, sys.stderr = _printing.install(cast(TextIO, sys.stdout), cast(TextIO, sys.stderr))
    status = 0
    try:
        _native.serve(_run.execute, _run.construct)
    except Exception as error:
        print(f"quiltwork worker: {error}", file=sys.stderr)
        status = 1
    sys.stdout.flush()
    # Tasks that still run, on threads nobody can stop, end here.
    os._exit(status)


if __name__ == "__main__":
    main()
