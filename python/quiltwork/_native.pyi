from collections.abc import Callable, Sequence
from typing import Any, TypeVar, final

from quiltwork._instances import Instance
from quiltwork._looped import Looped
from quiltwork._pickled import Pickled
from quiltwork._run import Raised

_T = TypeVar("_T")

__all__ = [
    "ActorOptions",
    "Completed",
    "Guard",
    "Handle",
    "Notices",
    "Options",
    "Payload",
    "Reply",
    "Session",
    "TaskContext",
    "__version__",
    "copied_bytes",
    "current_task",
    "serve",
]

__version__: str

@final
class Payload:
    def open(self) -> tuple[Payload, list[Payload]]: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Handle:
    @property
    def id(self) -> str | None: ...
    def done(self) -> bool: ...
    def progress(self) -> tuple[int, int] | None: ...
    def wait(self, timeout: float | None) -> bool: ...
    def fetch(self, timeout: float | None) -> Payload | None: ...
    def here(self) -> Payload | None: ...
    def failure(self) -> BaseException | None: ...
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
class Options:
    def __new__(
        cls,
        *,
        retries: int = 0,
        priority: int = 0,
        slots: int = 1,
        memory: int | str | None = None,
        resources: Sequence[tuple[str, int]] = ...,
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
    def start(command: Sequence[str], workers: int | None, slots: int, memory_limit: int | str | None) -> Session: ...
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
    ) -> Handle: ...
    def construct(
        self,
        function: str,
        pickle: bytes,
        buffers: Sequence[memoryview],
        inputs: Sequence[Handle],
        options: Options,
        actor: ActorOptions,
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
    ) -> Handle: ...
    def actor_named(self, name: str) -> Handle: ...
    def actor_of(self, given: Payload) -> Handle: ...
    def put(self, pickle: bytes, buffers: Sequence[memoryview]) -> Handle: ...
    def gather(self, handles: Sequence[Handle], timeout: float | None) -> list[Payload] | None: ...
    def story(self, handle: Handle) -> str: ...
    def workers(self) -> list[tuple[int, int]]: ...
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
    def attempt(self) -> int: ...
    @property
    def cancelled(self) -> bool: ...
    def progress(self, done: int, total: int) -> None: ...

@final
class Reply:
    @property
    def task(self) -> TaskContext: ...
    def on_cancel(self, cancel: Callable[[], object]) -> None: ...
    def send(self, returned: Pickled | Raised) -> None: ...

@final
class Guard:
    def call(self, function: Callable[[], _T]) -> _T: ...

def current_task() -> TaskContext | None: ...
def serve(
    execute: Callable[[str, Sequence[Payload]], Pickled | Raised],
    construct: Callable[[str, Sequence[Payload], Guard], tuple[Instance | Looped, bool] | Raised],
) -> None: ...
def copied_bytes() -> int: ...
