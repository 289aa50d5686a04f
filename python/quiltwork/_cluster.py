"""Clusters on this machine: their processes, and who is among them. What is run on them is the clients' business."""

from __future__ import annotations

import atexit
import contextlib
import weakref
from collections.abc import Callable, Iterable
from typing import NamedTuple

from quiltwork import _native
from quiltwork._output import Line, Output
from quiltwork._workers import Programs, program_workers, worker_command

_open: weakref.WeakSet[LocalCluster] = weakref.WeakSet()


# What the engine tells of a worker: number, process id, node, slots, memory, attempts that run, bytes it holds, whether
# it runs functions in Python.
WorkerRow = tuple[int, int, int | None, int, int, int, int, bool]


class Worker(NamedTuple):
    """A worker process of a cluster."""

    #: Its name in stories and messages; never used again.
    id: str
    #: Its process id.
    pid: int
    #: The machine it is on: workers of one share memory for values.
    node: str | None
    #: How many tasks it runs at a time.
    slots: int
    #: Bytes of memory it may use.
    memory_limit: int
    #: Whether it runs functions in Python; others are those of `programs`.
    python: bool = True

    @classmethod
    def of(cls, row: WorkerRow) -> Worker:
        """From what the engine says."""
        number, pid, node, slots, memory, _, _, python = row
        return cls(f"w{number}", pid, None if node is None else f"{node:016x}", slots, memory, python)

    @property
    def number(self) -> int:
        """Its number in the engine."""
        return int(self.id[1:])


class LocalCluster:
    """A cluster of processes on this machine, for clients of this process and, by its `ticket`, of others.

        with qw.LocalCluster(n_workers=2) as cluster, qw.Client(cluster) as client:
            ...

    `qw.Client()` makes one for itself. It ends with the `with` block, by `close()`, or with this process, however that
    ends. Without `n_workers` it has a worker for each processor. `slots` is how many tasks each worker runs at a time,
    on threads. `memory_limit` is what each worker may use: bytes, or text such as `"2GiB"`. With several `nodes` the
    workers act as if they were on so many machines, for tests.

    `programs` are programs in Rust whose tasks `quiltwork.rust` names; they call `quiltwork::init()` first in `main`. A
    dict says how many workers run each, a list gives each as many as `n_workers`, which may be 0 then.

    What tasks print goes to `sys.stderr` as it is then, after the number of the process and the name of the task, and
    their log records from WARNING on to the logger of the same name here; or all of it to `output`, a function that is
    given a `Line` at a time.
    """

    def __init__(
        self,
        n_workers: int | None = None,
        *,
        slots: int = 1,
        memory_limit: int | str | None = None,
        nodes: int = 1,
        programs: Programs = (),
        output: Callable[[Line], object] | None = None,
    ) -> None:
        others = program_workers(programs, n_workers)
        self._output = Output(output)
        try:
            self._session = _native.Session.start(
                worker_command(slots), n_workers, slots, memory_limit, nodes, others, self._output.lines
            )
        except BaseException:
            self._output.close()
            raise
        _open.add(self)

    @property
    def ticket(self) -> str:
        """What lets other processes of this machine in, as `Client(ticket)`. It holds a private key: keep it secret."""
        return self._session.ticket

    def workers(self) -> list[Worker]:
        """The workers there are."""
        return [Worker.of(row) for row in self._session.workers()]

    def kill_worker(self, pid: int) -> None:
        """Kills a worker at once, as bad luck would. What it was doing is done again by another."""
        self._session.kill_worker(pid)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._session.closed

    def close(self) -> None:
        """Ends the cluster and everything that runs in it. What clients wait for fails."""
        self._session.close()
        self._output.close()

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # There is no session if none could be started, and a forked process has only the picture of one. Kept here, because
    # the last clusters go when modules have lost their names already.
    _without_session = contextlib.suppress(AttributeError, RuntimeError)

    def __del__(self) -> None:
        with self._without_session:
            self.close()

    def __repr__(self) -> str:
        return "<LocalCluster: closed>" if self.closed else f"<LocalCluster: {counted(len(self.workers()), 'worker')}>"

    def _repr_html_(self) -> str:
        from quiltwork._notebook import workers_table

        return workers_table(repr(self), [] if self.closed else self.workers())


@atexit.register
def _close_all() -> None:
    for cluster in list(_open):
        with contextlib.suppress(RuntimeError):
            cluster.close()


def counted(count: int, what: str) -> str:
    """A number of things."""
    return f"{count} {what}{'' if count == 1 else 's'}"


#: One worker, as `Client.workers()` lists it, or by its id or process id.
WorkerName = Worker | str | int


def numbers_of(names: WorkerName | Iterable[WorkerName], workers: Callable[[], list[Worker]]) -> list[int]:
    """The engine's numbers of workers; who is there is asked only if need be."""
    from quiltwork.errors import UsageError

    listed = [names] if isinstance(names, (Worker, str, int)) else list(names)
    pids = {worker.pid: worker.number for worker in workers()} if any(isinstance(n, int) for n in listed) else {}
    numbers = []
    for name in listed:
        if isinstance(name, Worker):
            numbers.append(name.number)
        elif isinstance(name, int) and name in pids:
            numbers.append(pids[name])
        elif isinstance(name, str) and name[:1] == "w" and name[1:].isdecimal():
            numbers.append(int(name[1:]))
        else:
            error = UsageError(f"{name!r} is no worker of this cluster")
            error.hint = "give some of `client.workers()`, or their ids or process ids"
            raise error
    if not numbers:
        raise UsageError("a task cannot be bound to no worker at all")
    return numbers
