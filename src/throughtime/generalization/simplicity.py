"""The one-standard-error rule: the simplest setting that is not measurably worse than the best.

References: Breiman, Friedman, Olshen & Stone (1984), Classification and Regression Trees, section 3.4.3; the standard
error is that of Nadeau & Bengio (2003), https://doi.org/10.1023/A:1024068626366, for training sets that overlap.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.errors import ParameterError

#: What makes a setting simpler, in the order in which it decides: -1 when less of it does, 1 when more does.
_SIMPLER = {
    "num_layers": -1,
    "bidirectional": -1,
    "hidden_size": -1,
    "weight_decay": 1,
    "dropout": 1,
    "variational_dropout": 1,
    "recurrent_dropout": 1,
    "candidate_dropout": 1,
    "zoneout": 1,
    "cell_zoneout": 1,
    "input_noise": 1,
    "label_smoothing": 1,
    "max_epochs": -1,
    "lr": -1,
}


def one_standard_error(
    cv_results: Mapping[str, Any],
    *,
    metric: str = "score",
    test_to_train: float | None = None,
    complexity: Callable[[Mapping[str, Any]], Any] | None = None,
) -> int:
    """Choose the simplest setting whose mean score is within one corrected standard error of the best one's.

    Give it to a search as ``refit=one_standard_error``, or ``functools.partial`` of it.

    Parameters
    ----------
    cv_results
        A search's ``cv_results_``.
    metric
        Which, when there are several.
    test_to_train
        Series of test by series of training in a split; 1/(K-1), that of K folds, by default.
    complexity
        A number, or a tuple to compare, for a setting's parameters; the smallest is the simplest. By default fewer
        layers, then fewer units, more weight decay, more dropout of any kind, more zoneout, more noise on the
        inputs, smoother labels, fewer epochs, a smaller learning rate: what the search did not vary has no say.

    Returns
    -------
    Its index; of equally simple settings that with the better mean.

    Raises
    ------
    ParameterError
        If there are fewer than two splits, no setting has a score, or none of the parameters tells what is simple.
    """
    mean = np.asarray(cv_results[f"mean_test_{metric}"], dtype=float)
    errors = corrected_errors(cv_results, metric=metric, test_to_train=test_to_train)
    if not np.isfinite(mean).any():
        raise ParameterError("one_standard_error needs a setting with a finite mean score, got none")
    best = int(np.nanargmax(mean))
    error = float(errors[best])
    params = cv_results["params"]
    measure = _default_complexity(params) if complexity is None else complexity
    within = [index for index in range(len(mean)) if mean[index] >= mean[best] - error]  # never true of NaN
    return min(within, key=lambda index: (measure(params[index]), -mean[index], index))


def corrected_errors(
    cv_results: Mapping[str, Any], *, metric: str = "score", test_to_train: float | None = None
) -> Float[ndarray, "setting"]:
    """The standard error of each setting's mean score, as ``one_standard_error`` takes it."""
    splits = [key for key in cv_results if re.fullmatch(rf"split\d+_test_{re.escape(metric)}", key)]
    if len(splits) < 2:
        raise ParameterError(f"one_standard_error needs the scores of at least 2 splits, got {len(splits)}")
    scores = np.array([cv_results[key] for key in splits], dtype=float)
    ratio = 1 / (len(splits) - 1) if test_to_train is None else test_to_train
    errors: ndarray = np.sqrt(scores.var(0, ddof=1) * (1 / len(splits) + ratio))
    return errors


def _default_complexity(params: Any) -> Callable[[Mapping[str, Any]], tuple[float, ...]]:
    names = {name.rpartition("__")[2]: name for setting in params for name in setting}
    telling = [(names[name], sign) for name, sign in _SIMPLER.items() if name in names]
    if not telling:
        raise ParameterError(
            f"one_standard_error needs a parameter that tells what is simple, one of {', '.join(_SIMPLER)}, got "
            f"{', '.join(names) or 'none'}; give complexity"
        )
    return lambda setting: tuple(-sign * float(setting.get(name, 0.0)) for name, sign in telling)
