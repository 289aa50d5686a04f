"""In a worker, or in the process that trains serially: one partition trained for one round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Any

from quiltwork.train._context import Context
from quiltwork.train._structure import Structure, packed
from quiltwork.train._update import Update

# Round, partition, seed, settings, and what the strategy gives beside the parameters.
Assignment = tuple[int, int, int, dict[str, float], Sequence[Any]]

# Leaves, samples, metrics, and how far it walked.
PackedUpdate = tuple[list[Any], int, dict[str, float], float | None]

Fit = Callable[[Any, Any, Context], Update]


def train_partition(
    fit: Fit, structure: Structure[Any], model: Sequence[Any], partition: Any, assignment: Assignment
) -> PackedUpdate:
    """Calls the user's step with parameters of its own, and packs what it gives back."""
    round, number, seed, settings, control = assignment
    ctx = Context(round, number, seed, settings, structure, model, control)
    update = fit(structure.build(structure.copies(model)), partition, ctx)
    if not isinstance(update, Update):
        raise TypeError(
            f"the step returned a `{type(update).__qualname__}`, but should return a `quiltwork.train.Update`\n"
            "  hint: return Update(params, weight=number_of_samples)"
        )
    metrics = {str(name): float(value) for name, value in update.metrics.items()}
    walked = None if update.walked is None else float(update.walked)
    return packed(structure.take(update.params)), index(update.weight), metrics, walked
