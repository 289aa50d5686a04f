"""What a training is told beside its model, its partitions and its strategy; and all of it as the engine takes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from quiltwork.train._strategies import FedAvg, Strategy
from quiltwork.train._structure import Structure, packed

if TYPE_CHECKING:
    from quiltwork import _native

Path = str | os.PathLike[str]


@dataclass(frozen=True)
class EarlyStop:
    """A reason to stop before the last round: `metric` is `target` or better, or has not got better for `patience`
    rounds."""

    metric: str
    better: Literal["higher", "lower"]
    target: float | None = None
    patience: int | None = None

    def _engine(self) -> tuple[str, bool, float | None, int | None]:
        if (self.target is None) == (self.patience is None):
            raise ValueError("an early stop has either a target or a patience")
        if self.better not in ("higher", "lower"):
            raise ValueError(f"a metric gets better by being higher or lower, not {self.better!r}")
        return self.metric, self.better == "higher", self.target, self.patience


@dataclass(frozen=True)
class Checkpoints:
    """Where checkpoints are kept, after how many rounds one is made, and how many of the newest stay. They are
    safetensors files: the parameters stand there as `model/<name>`."""

    directory: Path
    every: int = 1
    keep: int = 3


@dataclass(frozen=True)
class Training:
    """A training as the engine takes it."""

    model: list[tuple[str, str, tuple[int, ...], Any]]
    partitions: int
    rounds: int
    seed: int
    strategy: _native.Strategy
    quorum: int | None
    deadline: float | None
    stops: list[tuple[str, bool, float | None, int | None]]
    checkpoints: tuple[Path, int, int] | None
    resume: Path | None
    evaluate: Callable[[Sequence[_native.Payload]], dict[str, float]] | None
    on_round: Callable[[_native._Report], object] | None
    progress: bool

    @staticmethod
    def of(
        structure: Structure[Any],
        params: Any,
        partitions: int,
        *,
        rounds: int,
        strategy: Strategy | None,
        seed: int,
        evaluate: Callable[[Any], dict[str, float]] | None,
        quorum: int | None,
        deadline: float | timedelta | None,
        early_stop: EarlyStop | Iterable[EarlyStop],
        checkpoints: Checkpoints | Path | None,
        resume: bool | Path,
        on_round: Callable[[Any], object] | None,
        progress: bool,
    ) -> Training:
        """The settings of `run` and `serial`, in the engine's terms."""
        from quiltwork.train._outcome import RoundReport

        leaves = zip(structure.leaves, packed(structure.take(params)))
        kept = Checkpoints(checkpoints) if isinstance(checkpoints, (str, os.PathLike)) else checkpoints
        if resume is True and kept is None:
            raise ValueError("there is nothing to resume\n  hint: say by `checkpoints` where they are")
        stops = [early_stop] if isinstance(early_stop, EarlyStop) else early_stop
        resumed = (kept.directory if kept and resume else None) if isinstance(resume, bool) else resume
        return Training(
            model=[(leaf.name, leaf.dtype, leaf.shape, buffer) for leaf, buffer in leaves],
            partitions=partitions,
            rounds=rounds,
            seed=seed,
            strategy=(strategy or FedAvg())._engine(),
            quorum=quorum,
            deadline=deadline.total_seconds() if isinstance(deadline, timedelta) else deadline,
            stops=[stop._engine() for stop in stops],
            checkpoints=(kept.directory, kept.every, kept.keep) if kept else None,
            resume=resumed,
            evaluate=evaluate and (lambda model: _metrics(evaluate(structure.build(structure.views(model))))),
            on_round=on_round and (lambda report: on_round(RoundReport(*report))),
            progress=progress,
        )


def _metrics(found: Any) -> dict[str, float]:
    """What an evaluation has measured; `float` takes numbers of any kind."""
    return {str(name): float(value) for name, value in dict(found or {}).items()}
