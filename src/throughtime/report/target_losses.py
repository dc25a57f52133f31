"""How far each prediction of a run is from the truth: what the worst series and the scores of groups are taken from."""

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from throughtime.records import Record
from throughtime.study import Run, Table

#: Of a probability below this the logarithm says no more.
LEAST = 1e-6


@dataclass(frozen=True, repr=False, eq=False)
class TargetLosses(Record):
    """The loss of every prediction in a table, in its order.

    Attributes
    ----------
    table
        Predictions beside the truth, as `Run.out_of_fold` has them.
    losses
        Of a classifier the log loss, in nats; of numbers the absolute error.
    truths
        Of a classifier the probability of the true class; else ``None``.
    name
        What the loss is called.
    guess
        Mean loss of a guess: the classes at their frequencies, or the mean of the numbers; ``None`` where all are
        alike.
    """

    table: Table
    losses: ndarray
    truths: ndarray | None
    name: str
    guess: float | None


def losses_of_targets(run: Run, table: Table) -> TargetLosses:
    """The loss of every prediction in one of a run's tables."""
    truth = table["truth"]
    if run.config["task"] == "classification":
        labels, codes = np.unique([str(label) for label in truth.tolist()], return_inverse=True)
        truths = np.zeros(len(truth))
        for code, label in enumerate(labels):
            own = codes == code
            truths[own] = np.nan_to_num(table.get(f"probability_{label}", np.zeros(len(truth)))[own])
        frequencies = np.bincount(codes) / len(codes)
        guess = float(-(frequencies * np.log(frequencies)).sum()) if len(labels) > 1 else None
        return TargetLosses(table, -np.log(np.maximum(truths, LEAST)), truths, "log loss (nats)", guess)
    truth = truth.astype(float)
    errors = np.abs(table["prediction"].astype(float) - truth)
    guess = float(np.abs(truth - truth.mean()).mean()) or None
    return TargetLosses(table, errors, None, f"absolute error{_unit(run)}", guess)


def _unit(run: Run) -> str:
    target = run.config["target"]
    return f" of {target}" if target else ""


def first_seed(table: Table) -> Table:
    """The predictions of the first seed that has some."""
    own = table["seed"] == table["seed"].min()
    return {name: column[own] for name, column in table.items()}
