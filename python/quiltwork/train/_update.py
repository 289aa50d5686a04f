"""What training on one partition gives back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass
class Update:
    """The parameters after training on a partition.

    `params` has the parts it was given with. `weight` is the number of samples trained on: how much this update counts
    in the average. `metrics` is what was measured meanwhile; the round's report has their means, weighted alike.
    `walked` is the sum of the learning rates of all local steps, which the strategy `Scaffold` needs.
    """

    params: Any
    weight: int = 1
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    walked: float | None = None
