from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

from quiltwork._cluster import WorkerRow
from quiltwork._instances import Instance
from quiltwork._looped import Looped
from quiltwork._pickled import Handed, Pickled
from quiltwork._plain import Written
from quiltwork._run import Raised
from quiltwork.train._settings import Training
from quiltwork.train._step import PackedUpdate

_T = TypeVar("_T")

__all__ = [
    "ActorOptions",
    "Completed",
    "Guard",
    "Handle",
    "Lent",
    "Lines",
    "Notices",
    "Options",
    "Payload",
    "Reply",
    "Session",
    "Strategy",
    "TaskContext",
    "__version__",
    "copied_bytes",
    "current_task",
    "keep_freed_memory",
    "lend",
    "pack",
    "serve",
    "train_by_tasks",
    "train_here",
]

__version__: str

@final
class Payload:
    def open(self) -> tuple[Payload, list[Payload]]: ...
    @property
    def pickled(self) -> bool: ...
    @property
    def form(self) -> str: ...
    def unpack(self) -> Any: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Handle:
    @property
    def id(self) -> str | None: ...
    def done(self) -> bool: ...
    def progress(self) -> tuple[int, int] | None: ...
    def wait(self, timeout: float | None) -> bool: ...
    def fetch(self, timeout: float | None) -> Handed | None: ...
    def here(self) -> Payload | None: ...
    def failure(self) -> BaseException | None: ...
    def replicate(self, copies: int) -> None: ...
    def cancel(self) -> None: ...

@final
class Completed:
    def __new__(cls, handles: Sequence[Handle]) -> Completed: ...
    def next(self, timeout: float | None) -> int | None: ...

@final
class Notices:
    def __new__(cls) -> Notices: ...
    def watch(self, handle: Handle, item: Any) -> None: ...
    def next(self) -> list[Any] | None: ...
    def close(self) -> None: ...

@final
class Lines:
    def __new__(cls) -> Lines: ...
    def next(self) -> list[tuple[int, bytes]] | None: ...
    def close(self) -> None: ...

@final
class Options:
    def __new__(
        cls,
        *,
        retries: int = 0,
        priority: int = 0,
        slots: int = 1,
        memory: int | str | None = None,
        resources: Sequence[tuple[str, int]] = ...,
        plain: bool = False,
        workers: Sequence[int] = ...,
        timeout: float | None = None,
    ) -> Options: ...

@final
class ActorOptions:
    def __new__(
        cls,
        *,
        name: str | None,
        get_if_exists: bool,
        max_restarts: int | None,
        max_pending: int | None,
        max_concurrency: int,
    ) -> ActorOptions: ...

@final
class Session:
    @staticmethod
    def start(
        command: Sequence[str],
        workers: int | None,
        slots: int,
        memory_limit: int | str | None,
        nodes: int,
        programs: Sequence[tuple[str, int]],
        lines: Lines,
    ) -> Session: ...
    @staticmethod
    def connect(ticket: str) -> Session: ...
    @staticmethod
    def current() -> Session: ...
    def submit(
        self,
        function: str,
        pickle: bytes,
        buffers: Sequence[memoryview],
        inputs: Sequence[Handle],
        options: Options | None,
        name: str | None,
    ) -> Handle: ...
    def submit_all(
        self,
        function: str,
        calls: Sequence[bytes | tuple[bytes, Sequence[memoryview], Sequence[Handle]]],
        shared: Sequence[Handle],
        options: Options | None,
    ) -> list[Handle]: ...
    def construct(
        self,
        function: str,
        pickle: bytes,
        buffers: Sequence[memoryview],
        inputs: Sequence[Handle],
        options: Options,
        actor: ActorOptions,
        name: str | None,
    ) -> Handle: ...
    def call(
        self,
        actor: Handle,
        method: str,
        pickle: bytes,
        buffers: Sequence[memoryview],
        inputs: Sequence[Handle],
        options: Options | None,
        task: TaskContext | None,
        name: str | None,
    ) -> Handle: ...
    def submit_plain(
        self,
        function: str,
        arguments: Sequence[Handle | Sequence[Handle] | Written],
        options: Options | None,
        name: str | None,
    ) -> Handle: ...
    def actor_named(self, name: str) -> Handle: ...
    def actor_of(self, given: Payload) -> Handle: ...
    def put(self, pickle: bytes, buffers: Sequence[memoryview]) -> Handle: ...
    def gather(self, handles: Sequence[Handle], timeout: float | None) -> list[Handed] | None: ...
    def story(self, handle: Handle) -> str: ...
    def workers(self) -> list[WorkerRow]: ...
    def who_has(self, handle: Handle) -> list[WorkerRow]: ...
    def kill_worker(self, pid: int) -> None: ...
    @property
    def ticket(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...

@final
class TaskContext:
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def cancelled(self) -> bool: ...
    def progress(self, done: int, total: int) -> None: ...

@final
class Lent:
    def __enter__(self) -> Lent: ...
    def __exit__(self, *_raised: object) -> None: ...

@final
class Reply:
    @property
    def task(self) -> TaskContext: ...
    def on_cancel(self, cancel: Callable[[], object]) -> None: ...
    def send(self, returned: Pickled | Raised) -> None: ...

@final
class Guard:
    def call(self, function: Callable[[], _T]) -> _T: ...

@final
class Strategy:
    @staticmethod
    def weighted_average() -> Strategy: ...
    @staticmethod
    def server_optimizer(rule: str, rate: float, momentum: float, decay: float, adaptivity: float) -> Strategy: ...
    @staticmethod
    def fed_prox(mu: float) -> Strategy: ...
    @staticmethod
    def scaffold(rate: float) -> Strategy: ...
    @staticmethod
    def coordinate_median() -> Strategy: ...
    @staticmethod
    def trimmed_mean(beta: float) -> Strategy: ...
    @staticmethod
    def krum(hostile: int, chosen: int) -> Strategy: ...

_Told = tuple[int, int, int, dict[str, float], list[Payload]]
_Report = tuple[int, dict[str, float], dict[str, float], int, int, dict[int, str], float]
_Ended = tuple[list[Payload], str, list[_Report], str, str | None, int | None]

def train_by_tasks(training: Training, start: Callable[[list[Payload], list[_Told]], list[Handle]]) -> _Ended: ...
def train_here(training: Training, step: Callable[[list[Payload], _Told], PackedUpdate]) -> _Ended: ...
def current_task() -> TaskContext | None: ...
def keep_freed_memory() -> None: ...
def lend() -> Lent: ...
def pack(thing: object) -> bytes: ...
def serve(
    execute: Callable[[str, Sequence[Handed | list[Handed]], bool], Pickled | Written | Raised],
    construct: Callable[[str, Sequence[Handed | list[Handed]], Guard], tuple[Instance | Looped, bool] | Raised],
) -> None: ...
def copied_bytes() -> int: ...
