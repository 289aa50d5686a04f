"""scikit-learn's estimators with `partial_fit`, trained in partitions by averaging their coefficients.

from quiltwork.train.sklearn import PartialFit

fit = PartialFit(SGDClassifier(), features=64, classes=range(10))
outcome = train.run(client, fit, params=fit.params, partitions=partitions, rounds=10)  # partitions of pairs (X, y)
model = fit.estimator(outcome.params)  # a fitted SGDClassifier
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from quiltwork.train._context import Context
from quiltwork.train._update import Update

# What fitted estimators call their coefficients.
_COEFFICIENTS = ("coef_", "intercept_", "coefs_", "intercepts_")

Params = dict[str, Any]


class PartialFit:
    """A step of training: `epochs` calls of `partial_fit` over a partition, a pair of samples and targets.

    It is made for estimators whose coefficients are arrays of floats: SGDClassifier, SGDRegressor, Perceptron,
    MLPClassifier, MLPRegressor and the like. `features` is the number of columns, `classes` all labels there are (for
    classifiers). Each round begins with the averaged coefficients; rates that shrink with the number of samples seen go
    on from round to round, the moments of optimizers begin anew.
    """

    def __init__(
        self, estimator: Any, *, features: int, classes: Sequence[Any] | np.ndarray | None = None, epochs: int = 1
    ) -> None:
        if not hasattr(estimator, "partial_fit"):
            raise TypeError(
                f"a `{type(estimator).__qualname__}` has no `partial_fit`, by which it could be trained in rounds"
            )
        if getattr(estimator, "average", False):
            raise ValueError(
                "`average` of the estimator keeps a second set of coefficients, which partitions cannot share\n"
                "  hint: set average=False; the average over the partitions takes its place"
            )
        if epochs < 1:
            raise ValueError(f"a step of {epochs} epochs trains nothing")
        self._epochs = epochs
        self._template = _fitted(estimator, features, None if classes is None else np.unique(classes))
        self.params: Params = _coefficients(self._template)
        """The coefficients training begins with: zeros, or the estimator's own random numbers if it has layers."""

    def __call__(self, params: Params, partition: tuple[Any, Any], ctx: Context) -> Update:
        """Trains on one partition for one round."""
        samples, targets = partition
        estimator = self.estimator(params)
        if "random_state" in estimator.get_params():
            estimator.set_params(random_state=ctx.seed % 2**32)
        if isinstance(seen := getattr(estimator, "t_", None), float):
            estimator.t_ = seen + (ctx.round - 1) * self._epochs * len(targets)
        samples = _as_type_of(params, samples)
        for _ in range(self._epochs):
            estimator.partial_fit(samples, targets)
        return Update(_coefficients(estimator), weight=len(targets), metrics=_loss(estimator))

    def estimator(self, params: Params) -> Any:
        """A fitted estimator with these coefficients."""
        estimator = copy.deepcopy(self._template)
        for name, values in params.items():
            places = getattr(estimator, name)
            for place, value in zip(places, values) if isinstance(places, list) else [(places, values)]:
                # Optimizers know the very arrays.
                place[...] = value
        return estimator


def _fitted(estimator: Any, features: int, classes: np.ndarray | None) -> Any:
    """The estimator as it is before it has learned anything, with coefficients of the right shapes."""
    from sklearn.base import clone, is_classifier

    template = clone(estimator)
    if is_classifier(template):
        if classes is None:
            raise ValueError("a classifier must be told all its `classes`: a partition may lack some of them")
        template.partial_fit(np.zeros((len(classes), features)), classes, classes=classes)
    else:
        template.partial_fit(np.zeros((1, features)), np.zeros(1))
    for name in ("coef_", "intercept_"):
        if hasattr(template, name):
            getattr(template, name)[...] = 0.0
    if isinstance(getattr(template, "t_", None), float):
        template.t_ = 1.0
    return template


def _coefficients(estimator: Any) -> Params:
    found = {name: getattr(estimator, name) for name in _COEFFICIENTS if hasattr(estimator, name)}
    if not found:
        raise TypeError(f"a `{type(estimator).__qualname__}` has no coefficients that could be averaged")
    return found


def _as_type_of(params: Params, samples: Any) -> Any:
    """Samples in the type of the coefficients, which are all of one: estimators compute in that of their samples."""
    values = next(iter(params.values()))
    dtype = (values[0] if isinstance(values, list) else values).dtype
    return samples.astype(dtype) if hasattr(samples, "tocsr") else np.asarray(samples, dtype=dtype)


def _loss(estimator: Any) -> dict[str, float]:
    """The loss of the last epoch, where an estimator tells it."""
    return {"loss": float(estimator.loss_)} if isinstance(getattr(estimator, "loss_", None), float) else {}
