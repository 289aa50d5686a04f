"""What is known after a round, and at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P")


@dataclass(frozen=True)
class RoundReport:
    """What is remembered of a round."""

    round: int
    """The round, from 1."""
    training: dict[str, float]
    """What the steps measured: means weighted by samples."""
    evaluation: dict[str, float]
    """What the evaluation of the new parameters measured."""
    samples: int
    """Samples trained on."""
    trained: int
    """How many partitions are in the new parameters."""
    absences: dict[int, str]
    """The partitions that are not, and why."""
    seconds: float
    """How long the round took: training, merging and evaluation."""

    @property
    def metrics(self) -> dict[str, float]:
        """All that was measured; what the evaluation says hides what the steps say."""
        return {**self.training, **self.evaluation}


@dataclass(frozen=True)
class Outcome(Generic[P]):
    """What a training ended with."""

    params: P
    """The parameters after the last round, in the form in which they were given."""
    digest: str
    """The SHA-256 of the parameters: the same for the same model, bit for bit."""
    history: list[RoundReport]
    """One report per round, also of the rounds before a resume."""
    ending: str
    """Why it ended: after `all rounds`, or since a metric `reached` its target or `stalled`."""
    metric: str | None
    """The metric that ended it."""
    resumed_from: int | None
    """The round whose checkpoint it went on from."""
