"""Models trained in partitions by averaging their parameters: the same bit for bit, however many workers there are.

    from quiltwork import train

    def fit(params, partition, ctx):  # trains on one partition for a while; runs where the partition is
        w = params["w"]
        for x, y in partition:
            w -= 0.1 * (w @ x - y) * x
        return train.Update(params, weight=len(partition))

    with qw.Client() as client:
        partitions = client.map(load, range(8))  # stay with the workers that made them
        outcome = train.run(client, fit, params={"w": np.zeros(10)}, partitions=partitions, rounds=20)

Each round sends the parameters to every partition, trains there, and merges what comes back by a strategy: `FedAvg`
unless told otherwise. `serial` runs the same rounds in this process. The rounds, the strategies and the checkpoints are
the engine's; only `fit` and what you evaluate by is Python. It needs numpy.
"""

from __future__ import annotations

from quiltwork.train._context import Context, proximal
from quiltwork.train._outcome import Outcome, RoundReport
from quiltwork.train._rounds import run, serial
from quiltwork.train._settings import Checkpoints, EarlyStop
from quiltwork.train._strategies import (
    CoordinateMedian,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedProx,
    FedYogi,
    Krum,
    Scaffold,
    Strategy,
    TrimmedMean,
)
from quiltwork.train._update import Update

__all__ = [
    "Checkpoints",
    "Context",
    "CoordinateMedian",
    "EarlyStop",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedProx",
    "FedYogi",
    "Krum",
    "Outcome",
    "RoundReport",
    "Scaffold",
    "Strategy",
    "TrimmedMean",
    "Update",
    "proximal",
    "run",
    "serial",
]
