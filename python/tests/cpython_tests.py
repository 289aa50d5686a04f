"""CPython's own tests of executors, found where this machine has them; nothing of them is kept in here."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "test.test_concurrent_futures"
# They were one module, and are a package since some 3.11.
PARTS = ("", ".util", ".executor", ".test_wait", ".test_as_completed", ".test_shutdown", ".test_init")
# The release whose tests were gone through; others test what their own executors can do.
VERSION = (3, 11)


class NotHere(Exception):
    """They cannot be had, and why."""


def find() -> list[ModuleType]:
    """The modules of the tests: those that came with this interpreter, or Debian's, which are brought into `target`.

    From then on they are on the way to modules, also for workers that are started afterwards.
    """
    if sys.version_info[:2] != VERSION:
        raise NotHere(f"the tests of Python {VERSION[0]}.{VERSION[1]} are meant, and this is another")
    if not _is_here("test.support"):
        raise NotHere("this Python has no package `test.support`")
    if not _is_here(PACKAGE):
        _take_debians()
    return [importlib.import_module(PACKAGE + part) for part in PARTS if _is_here(PACKAGE + part)]


def named(modules: list[ModuleType], name: str) -> Any:
    return next(vars(module)[name] for module in modules if name in vars(module))


def _is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _take_debians() -> None:
    """A package `test` of the interpreter's own modules and, before them, of Debian's."""
    folder = _target() / "cpython-tests"
    package = folder / "test"
    if not any(package.glob("test_concurrent_futures*")):
        unpacked = _unpack_debians(folder)
        package.mkdir(exist_ok=True)
        for tests in unpacked.glob("usr/lib/python3*/test/test_concurrent_futures*"):
            tests.rename(package / tests.name)
        (package / "__init__.py").write_text("__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n")
    sys.path.insert(0, str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "test"]:
        del sys.modules[name]
    importlib.invalidate_caches()


def _unpack_debians(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    unpacked = folder / "debian"
    name = f"libpython{VERSION[0]}.{VERSION[1]}-testsuite"
    try:
        _run("apt-get", "download", "--quiet", name, within=folder)
        (archive,) = folder.glob(f"{name}_*.deb")
        _run("dpkg", "-x", str(archive), str(unpacked), within=folder)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise NotHere(
            f"this Python was installed without them, and Debian's `{name}` cannot be had: {error}"
        ) from error
    return unpacked


def _run(*command: str, within: Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=within)


def _target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR") or Path(__file__).parents[2] / "target").resolve()
