"""scikit-learn's estimators in rounds: averaged coefficients are an estimator as good as one trained in one place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PATIENCE
from sklearn.linear_model import LinearRegression, Perceptron, SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor

import quiltwork as qw
from quiltwork import train
from quiltwork.train.sklearn import PartialFit

EXAMPLE = Path(__file__).parents[2] / "examples" / "python" / "digits_sklearn.py"


def run_example(*flags: str) -> list[str]:
    ran = subprocess.run([sys.executable, str(EXAMPLE), *flags], capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_the_digits_are_learned_to_the_same_model_however_it_goes() -> None:
    *_, accuracies, digest = run_example("--serial")
    assert digest.startswith("parameters ") and len(digest.split()[1]) == 64
    averaged, central = [float(word) for word in accuracies.split() if word.replace(".", "").isdigit() and "." in word]
    assert averaged >= 94.0 and abs(averaged - central) <= 1.0, accuracies
    for flags in (["--workers", "1"], ["--workers", "2"], ["--workers", "4"]):
        assert run_example(*flags)[-1] == digest, flags
    killed, *_, last = run_example("--kill-at-round", "3")
    assert killed == "killed a worker of 2" and last == digest


def labelled(number: int) -> tuple[Any, Any]:
    """Points in the plane of three kinds; the first partition lacks one of them."""
    rng = np.random.default_rng(number)
    kinds = rng.integers(0, 2 if number == 0 else 3, 200)
    centres = np.array([[0.0, 2.0], [2.0, 0.0], [-2.0, -2.0]])
    return centres[kinds] + 0.3 * rng.normal(size=(200, 2)), np.array(["a", "b", "c"])[kinds]


@pytest.mark.parametrize(
    "estimator",
    [
        SGDClassifier(random_state=0),
        SGDClassifier(loss="log_loss", learning_rate="invscaling", eta0=0.1),
        Perceptron(),
        MLPClassifier((8,), learning_rate_init=0.02, random_state=0),
    ],
    ids=lambda estimator: str(type(estimator).__name__),
)
def test_classifiers_are_averaged(client: qw.Client, estimator: Any) -> None:
    fit = PartialFit(estimator, features=2, classes=["a", "b", "c"], epochs=3)
    settings: dict[str, Any] = {"params": fit.params, "rounds": 12, "progress": False}
    clustered = train.run(client, fit, partitions=client.map(labelled, range(4)), **settings)
    assert clustered.digest == train.serial(fit, partitions=[labelled(n) for n in range(4)], **settings).digest
    model = fit.estimator(clustered.params)
    assert type(model) is type(estimator) and model.score(*labelled(9)) > 0.95
    model.partial_fit(*labelled(1))  # it can be trained further
    assert not hasattr(estimator, "classes_"), "the estimator that was given is left as it was"


@pytest.mark.parametrize(
    "estimator",
    [SGDRegressor(), MLPRegressor(hidden_layer_sizes=(16,), learning_rate_init=0.02, random_state=0)],
    ids=["SGD", "MLP"],
)
def test_regressors_are_averaged(estimator: Any) -> None:
    def partition(number: int) -> tuple[Any, Any]:
        x = np.random.default_rng(number).normal(size=(300, 3))
        return x, x @ [1.0, -2.0, 0.5] + 3.0

    fit = PartialFit(estimator, features=3, epochs=5)
    outcome = train.serial(
        fit, params=fit.params, partitions=[partition(n) for n in range(3)], rounds=20, progress=False
    )
    assert fit.estimator(outcome.params).score(*partition(7)) > 0.98


def test_samples_may_be_sparse_or_of_another_type() -> None:
    from scipy.sparse import csr_array

    fit = PartialFit(SGDClassifier(), features=2, classes=["a", "b", "c"])
    plain, kinds = labelled(1)
    settings: dict[str, Any] = {"params": fit.params, "progress": False}
    digests = {
        train.serial(fit, partitions=[(samples, kinds)], **settings).digest
        for samples in (plain.astype(np.float32).astype(np.float64), plain.astype(np.float32), plain.tolist())
    }
    assert len(digests) == 2, "only the numbers matter"
    sparse = train.serial(fit, partitions=[(csr_array(plain), kinds)], rounds=5, **settings)
    assert fit.estimator(sparse.params).score(*labelled(9)) > 0.9


def test_rates_that_shrink_go_on_from_round_to_round() -> None:
    fit = PartialFit(SGDClassifier(), features=2, classes=["a", "b", "c"])
    seen: list[float] = []

    def watched(params: Any, partition: Any, ctx: train.Context) -> train.Update:
        return fit(params, partition, ctx)

    partial_fit = SGDClassifier.partial_fit

    def noting(self: Any, *args: Any) -> Any:
        seen.append(self.t_)
        return partial_fit(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SGDClassifier, "partial_fit", noting)
        train.serial(watched, params=fit.params, partitions=[labelled(1)], rounds=3, progress=False)
    assert seen == [1.0, 201.0, 401.0]


def test_what_cannot_be_averaged_is_refused() -> None:
    with pytest.raises(TypeError, match="`LinearRegression` has no `partial_fit`"):
        PartialFit(LinearRegression(), features=2)
    with pytest.raises(ValueError, match="must be told all its `classes`"):
        PartialFit(SGDClassifier(), features=2)
    with pytest.raises(ValueError, match="set average=False"):
        PartialFit(SGDClassifier(average=True), features=2, classes=[0, 1])
    with pytest.raises(ValueError, match="0 epochs"):
        PartialFit(SGDRegressor(), features=2, epochs=0)
