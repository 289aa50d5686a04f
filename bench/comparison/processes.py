"""What the system says about processes: which descend from which, and what memory they use. Only reads."""

from __future__ import annotations

from pathlib import Path


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found, open_ones = [], [pid]
    while open_ones:
        below = children.get(open_ones.pop(), [])
        found += below
        open_ones += below
    return found


def resident(pid: int) -> int:
    """The bytes of memory this process has, shared ones counted in full; none if it has ended."""
    return _kibibytes(pid, "status", "VmRSS:") * 1024


def proportional(pid: int) -> int:
    """The same with each shared page divided by those who share it."""
    return _kibibytes(pid, "smaps_rollup", "Pss:") * 1024


def _parent(entry: Path) -> int | None:
    try:
        after_the_name = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # A process that has ended and waits for its parent to notice uses nothing.
    return None if after_the_name[0] == "Z" else int(after_the_name[1])


def _kibibytes(pid: int, file: str, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)
