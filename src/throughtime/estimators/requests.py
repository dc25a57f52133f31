"""What is asked of many networks at once: to be fitted, or for their outputs."""

from dataclasses import dataclass
from typing import Any

from throughtime.data import Sequences
from throughtime.estimators.callbacks import FitTask
from throughtime.estimators.interface import Estimator, FittedEstimator
from throughtime.estimators.problem import Indices, Problem
from throughtime.training import Perturbation


@dataclass(frozen=True, eq=False)
class Fit:
    """An unfitted estimator to be fitted on series of a problem.

    Parameters
    ----------
    estimator
        It keeps its own parameters and seed and is left as it is.
    problem
        The data, checked; requests may have one in common.
    train_indices
        The series to train on; all of them by default.
    eval_indices
        Series whose loss is noted each epoch and never used; none by default.
    perturbations
        What training is disturbed by.
    name
        What warnings call it; by default its place among the requests, from 1.
    task
        Who of scikit-learn's callbacks hears of its epochs.
    """

    estimator: Estimator
    problem: Problem
    train_indices: Any = None
    eval_indices: Any = None
    perturbations: tuple[Perturbation, ...] = ()
    name: str | None = None
    task: FitTask | None = None


@dataclass(frozen=True, eq=False)
class Outputs:
    """A fitted estimator to be run over series.

    Parameters
    ----------
    X
        Series whose names were compared with those in ``fit``.
    indices
        Which of them, in this order; all by default.
    """

    estimator: FittedEstimator
    X: Sequences
    indices: Indices | None = None


Request = Fit | Outputs
