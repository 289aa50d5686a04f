"""What a figure depends on besides the code: the machine and the versions of everything."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

DISTRIBUTIONS = ["quiltwork", "ray", "dask", "distributed", "numpy", "cloudpickle"]


def machine() -> dict[str, str]:
    """The computer, and how busy it was before."""
    return {
        "processor": f"{os.cpu_count()} × {_field('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def versions() -> dict[str, str]:
    """The code that ran."""
    found = {"commit": _said("git", "describe", "--always", "--dirty"), "rust": _said("rustc", "--version")}
    found["python"] = platform.python_version()
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _field(path: str, name: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")


def _said(*command: str) -> str:
    try:
        said = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL, cwd=Path(__file__).parent)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.strip()
