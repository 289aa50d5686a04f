"""Trains a scikit-learn model on handwritten digits in partitions, by averaging its coefficients: the same model, bit
for bit, however many workers there are and whoever dies on the way.

Run it: `python examples/python/digits_sklearn.py` (it needs numpy and scikit-learn). Expected output, under a bar that
shows how it goes:

    trained 15 rounds on 8 partitions with 2 workers
    reads 95.8 % of the 450 held-out digits; trained in one place it reads 96.2 %
    parameters 8d879e4df73a61e1a76729b8c8955553acb4614bf131a940981ba3d8ca262e33

The last line is the SHA-256 of the coefficients. It is the same with `--workers 4`, with `--kill-at-round 3`, when a
worker is killed, and with `--serial`, without a cluster.
"""

import argparse
import threading
from pathlib import Path

import numpy as np
from sklearn.linear_model import SGDClassifier

import quiltwork as qw
from quiltwork import train
from quiltwork.train.sklearn import PartialFit

CSV = Path(__file__).resolve().parents[1] / "data" / "digits.csv"
PARTITIONS, ROUNDS, EPOCHS, HELD_OUT = 8, 15, 5, 450
CLASSIFIER = SGDClassifier(
    loss="log_loss",
    learning_rate="constant",
    eta0=0.2,
    max_iter=ROUNDS * EPOCHS,
    tol=None,
    random_state=0,
)


def digits() -> tuple[np.ndarray, np.ndarray]:
    rows = np.loadtxt(CSV, delimiter=",", skiprows=1)
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    return rows[:, :64] / 16, rows[:, 64].astype(int)  # ink from 0 to 1, and the digit it shows


def load(number: int) -> tuple[np.ndarray, np.ndarray]:
    ink, digit = digits()
    mine = slice(HELD_OUT + number, None, PARTITIONS)
    return ink[mine], digit[mine]


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains a scikit-learn model on handwritten digits in partitions.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--kill-at-round",
        type=int,
        metavar="ROUND",
        help="kill a worker (SIGKILL) while this round begins",
    )
    parser.add_argument(
        "--serial",
        action="store_true",
        help="compute the same in this process, without a cluster",
    )
    flags = parser.parse_args()

    ink, digit = digits()
    fit = PartialFit(CLASSIFIER, features=64, classes=range(10), epochs=EPOCHS)

    def accuracy(params: dict[str, np.ndarray]) -> dict[str, float]:
        return {"accuracy": fit.estimator(params).score(ink[:HELD_OUT], digit[:HELD_OUT])}

    if flags.serial:
        partitions = [load(number) for number in range(PARTITIONS)]
        outcome = train.serial(
            fit,
            params=fit.params,
            partitions=partitions,
            rounds=ROUNDS,
            evaluate=accuracy,
        )
        who = "this process"
    else:
        with qw.Client(n_workers=flags.workers) as client:

            def on_round(report: train.RoundReport) -> None:
                if flags.kill_at_round == report.round + 1:
                    threading.Thread(target=client.kill_worker, args=client.worker_pids()[:1]).start()
                    print(f"killed a worker of {flags.workers}")

            partitions = client.map(load, range(PARTITIONS))
            outcome = train.run(
                client,
                fit,
                params=fit.params,
                partitions=partitions,
                rounds=ROUNDS,
                evaluate=accuracy,
                on_round=on_round,
            )
        who = f"{flags.workers} workers"

    central = CLASSIFIER.fit(ink[HELD_OUT:], digit[HELD_OUT:]).score(ink[:HELD_OUT], digit[:HELD_OUT])
    found = outcome.history[-1].metrics["accuracy"]
    print(f"trained {len(outcome.history)} rounds on {PARTITIONS} partitions with {who}")
    print(
        f"reads {found:.1%} of the {HELD_OUT} held-out digits; trained in one place it reads {central:.1%}".replace(
            "%", " %"
        )
    )
    print(f"parameters {outcome.digest}")


if __name__ == "__main__":
    main()
