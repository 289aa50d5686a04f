"""What a step knows beside its parameters and its partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from quiltwork.train._structure import Structure

P = TypeVar("P")

# By this name the strength of FedProx stands among the settings.
_PROXIMAL = "proximal"


class Context:
    """One round of one partition: its numbers, its randomness, and what the strategy wants of it."""

    def __init__(
        self,
        round: int,
        partition: int,
        seed: int,
        settings: Mapping[str, float],
        structure: Structure[Any],
        start: Sequence[Any],
        control: Sequence[Any],
    ) -> None:
        self.round = round
        """The round, from 1."""
        self.partition = partition
        """The partition, from 0."""
        self.seed = seed
        """A seed for every random choice: another in each round and partition, the same when an attempt is made
        again."""
        self.settings = settings
        """What the strategy tells every step."""
        self._structure = structure
        self._start = start
        self._control = control

    def rng(self) -> np.random.Generator:
        """A new generator from the seed."""
        return np.random.default_rng(self.seed)

    @cached_property
    def start(self) -> Any:
        """The parameters the round began with, to be read."""
        return self._structure.build(self._structure.views(self._start))

    @cached_property
    def control(self) -> Any:
        """What `Scaffold` has the step add to its gradients, in the form of the parameters; zeros under other
        strategies."""
        if self._control:
            return self._structure.build(self._structure.views(self._control))
        return self._structure.build([np.zeros(leaf.shape, leaf.dtype) for leaf in self._structure.leaves])


def proximal(params: P, ctx: Context) -> P:
    """The gradient of the proximal term, mu * (params - ctx.start), in the form of the parameters: what `FedProx` has
    the step add to its gradients. Zeros under other strategies."""
    structure: Structure[P] = ctx._structure
    mu = ctx.settings.get(_PROXIMAL, 0.0)
    starts = structure.views(ctx._start)
    return structure.build(
        [(mu * (now - start)).astype(now.dtype) for now, start in zip(structure.take(params), starts)]
    )
