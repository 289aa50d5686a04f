"""How the updates of a round become new parameters. All of it is done by the engine; here are its settings."""

from __future__ import annotations

from dataclasses import dataclass

from quiltwork import _native


@dataclass(frozen=True)
class Strategy:
    """A way to merge the updates of a round."""

    def _engine(self) -> _native.Strategy:
        raise NotImplementedError("use one of the strategies of `quiltwork.train`")


@dataclass(frozen=True)
class FedAvg(Strategy):
    """The average weighted by samples (McMahan et al., 2017). The default."""

    def _engine(self) -> _native.Strategy:
        return _native.Strategy.weighted_average()


@dataclass(frozen=True)
class FedAvgM(Strategy):
    """The average followed with momentum (Hsu et al., 2019). Rate 1 and momentum 0 is `FedAvg`."""

    rate: float = 1.0
    momentum: float = 0.9

    def _engine(self) -> _native.Strategy:
        return _native.Strategy.server_optimizer("avg_m", self.rate, self.momentum, 0.0, 1.0)


@dataclass(frozen=True)
class FedAdam(Strategy):
    """The average followed by Adam (Reddi et al., *Adaptive Federated Optimization*, 2021)."""

    rate: float = 0.1
    momentum: float = 0.9
    decay: float = 0.99
    adaptivity: float = 1e-3

    def _engine(self) -> _native.Strategy:
        return _native.Strategy.server_optimizer("adam", self.rate, self.momentum, self.decay, self.adaptivity)


@dataclass(frozen=True)
class FedYogi(Strategy):
    """The average followed by Yogi (Reddi et al., 2021)."""

    rate: float = 0.1
    momentum: float = 0.9
    decay: float = 0.99
    adaptivity: float = 1e-3

    def _engine(self) -> _native.Strategy:
        return _native.Strategy.server_optimizer("yogi", self.rate, self.momentum, self.decay, self.adaptivity)


@dataclass(frozen=True)
class FedAdagrad(Strategy):
    """The average followed by Adagrad (Reddi et al., 2021)."""

    rate: float = 0.1
    momentum: float = 0.0
    adaptivity: float = 1e-3

    def _engine(self) -> _native.Strategy:
        return _native.Strategy.server_optimizer("adagrad", self.rate, self.momentum, 0.0, self.adaptivity)


@dataclass(frozen=True)
class FedProx(Strategy):
    """The average of models that are pulled back to where the round began (Li et al., 2020). The step adds
    `proximal(params, ctx)` to its gradients."""

    mu: float = 0.01

    def _engine(self) -> _native.Strategy:
        return _native.Strategy.fed_prox(self.mu)


@dataclass(frozen=True)
class Scaffold(Strategy):
    """The average with control variates against the drift of unlike partitions (Karimireddy et al., 2020, option II).
    The step adds `ctx.control` to its gradients, and gives the sum of its learning rates as the update's `walked`."""

    rate: float = 1.0

    def _engine(self) -> _native.Strategy:
        return _native.Strategy.scaffold(self.rate)


@dataclass(frozen=True)
class CoordinateMedian(Strategy):
    """The median of each number (Yin et al., 2018): bears nonsense from fewer than half of the partitions."""

    def _engine(self) -> _native.Strategy:
        return _native.Strategy.coordinate_median()


@dataclass(frozen=True)
class TrimmedMean(Strategy):
    """The mean of each number without this share of the largest and of the smallest values (Yin et al., 2018)."""

    beta: float = 0.1

    def _engine(self) -> _native.Strategy:
        return _native.Strategy.trimmed_mean(self.beta)


@dataclass(frozen=True)
class Krum(Strategy):
    """The mean of the `chosen` updates that have the most like them, although so many are `hostile` (Blanchard et al.,
    2017)."""

    hostile: int
    chosen: int = 1

    def _engine(self) -> _native.Strategy:
        return _native.Strategy.krum(self.hostile, self.chosen)
