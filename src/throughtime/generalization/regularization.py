"""Strengths of a regularizer to search: none, and evenly on a logarithmic scale from hardly any to too much."""

from typing import Any

import numpy as np

from throughtime.errors import ParameterError

#: From hardly any to more than most series stand.
_SCALES = {
    "weight_decay": (0.1, 100.0),
    "dropout": (0.05, 0.8),
    "variational_dropout": (0.05, 0.8),
    "recurrent_dropout": (0.05, 0.8),
    "candidate_dropout": (0.05, 0.8),
    "zoneout": (0.05, 0.8),
    "cell_zoneout": (0.05, 0.8),
    "input_noise": (0.01, 3.0),
    "label_smoothing": (0.01, 0.5),
}
#: torch's decoupled decay is not divided by the training size, and a weight is gone at 1/lr.
_DECOUPLED = (1e-3, 3.0)
#: More strengths would be the same when they are rounded.
MOST_STRENGTHS = 100


def regularization_path(estimator: Any, parameter: str, n: int = 8) -> list[float]:
    """Strengths of one regularizer, the weakest first: 0, and ``n - 1`` evenly on a logarithmic scale.

    A search over them chooses with ``refit=one_standard_error`` the strongest whose score is within one standard error
    of the best, as glmnet does along the lasso's path (Friedman, Hastie & Tibshirani 2010,
    https://doi.org/10.18637/jss.v033.i01).

    Parameters
    ----------
    estimator
        A ``SequenceClassifier`` or ``SequenceRegressor``, whose optimizer says what a weight decay means: lambda of
        the objective, from 0.1 to 100, or adamw's, from 0.001 to 3.
    parameter
        ``weight_decay``; any dropout or zoneout (0.05 to 0.8); ``input_noise`` (0.01 to 3); ``label_smoothing`` (0.01
        to 0.5).
    n
        How many, 0 among them; from 3 to 100.

    Raises
    ------
    ParameterError
        For a parameter that is no regularizer, or not one of the estimator; for another ``n``.

    Examples
    --------
    >>> from throughtime import SequenceClassifier, regularization_path
    >>> regularization_path(SequenceClassifier(), "weight_decay", n=5)
    [0.0, 0.1, 1.0, 10.0, 100.0]
    """
    if parameter not in _SCALES or not hasattr(estimator, parameter):
        known = ", ".join(name for name in _SCALES if hasattr(estimator, name))
        raise ParameterError(
            f"regularization_path needs a regularizer of {type(estimator).__name__}, one of {known or 'none'}, got "
            f"{parameter!r}"
        )
    if isinstance(n, bool) or not isinstance(n, int) or not 3 <= n <= MOST_STRENGTHS:
        raise ParameterError(f"regularization_path needs n from 3 to {MOST_STRENGTHS} strengths, got {n!r}")
    decoupled = parameter == "weight_decay" and estimator.optimizer == "adamw"
    low, high = _DECOUPLED if decoupled else _SCALES[parameter]
    return [0.0, *(float(f"{strength:.3g}") for strength in np.geomspace(low, high, n - 1))]
