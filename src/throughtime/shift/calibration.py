"""Probabilities corrected by one temperature and a bias per class, fitted on series that the network did not see.

Reference: Alexandari, Kundaje & Shrikumar (2020), Maximum likelihood with bias-corrected calibration is hard-to-beat at
label shift adaptation, ICML, https://proceedings.mlr.press/v119/alexandari20a.html, section 4.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from throughtime.errors import DataError
from throughtime.estimators import checked_weights
from throughtime.records import Record
from throughtime.shift.arguments import class_numbers, logits_of_classes

#: Of the logarithm of the temperature: at its ends a network says nothing, or all of its series are certain.
_MOST_LOG_TEMPERATURE = float(np.log(100.0))


@dataclass(frozen=True, repr=False, eq=False)
class Calibration(Record):
    """Probabilities are ``softmax(logits / temperature + bias)``.

    Attributes
    ----------
    temperature
        Above 1 where the network was too confident.
    bias
        In nats, (k,), of mean 0.
    loss, loss_before
        Mean log loss in nats with the calibration, and without, on the series that it was fitted on.
    n_series
        How many those were.
    """

    temperature: float
    bias: ndarray
    loss: float
    loss_before: float
    n_series: int


def calibrate(
    logits: Float[ndarray, "series class"],
    codes: Int[ndarray, "series"],
    *,
    bias: bool = True,
    weights: Float[ndarray, "series"] | None = None,
    start: Calibration | None = None,
) -> Calibration:
    """Fit a temperature, and a bias per class, to logits of series that the network was not trained on.

    Minimizes the log loss with a standard normal prior on the logarithm of the temperature and on each bias: together
    as much as one series says, so that a class of few series, or classes that are told apart without error, leave
    them finite.

    Parameters
    ----------
    codes
        The class of each series, a column of ``logits``.
    bias
        Whether to fit one, or the temperature alone.
    weights
        How often each series counts, once by default.
    start
        Where to begin, such as the calibration of much the same series.

    Raises
    ------
    DataError
        For no series, fewer than two columns, values that are not finite, codes that are no columns, weights of sum 0,
        or a start of other classes.
    """
    logits = logits_of_classes(logits, "a calibration")
    n, k = logits.shape
    codes = class_numbers(codes, k, "a calibration", n)
    centered = logits - logits.mean(1, keepdims=True)
    counted = checked_weights(weights, n)
    if not counted.any():
        raise DataError("a calibration needs a weight above zero, got zero weights only")
    if start is not None and len(start.bias) != k:
        raise DataError(f"a calibration needs a start of its {k} classes, got one of {len(start.bias)}")
    is_class = codes[:, None] == np.arange(k)

    def objective(parameters: Float[ndarray, "parameter"]) -> tuple[float, Float[ndarray, "parameter"]]:
        scaled = centered * np.exp(-parameters[0])
        log_p = log_softmax(scaled + parameters[1:] if bias else scaled, axis=1)
        excess = (np.exp(log_p) - is_class) * counted[:, None]
        slope = [-(excess * scaled).sum(), *(excess.sum(0) if bias else ())]
        loss = -counted @ log_p[is_class] + parameters @ parameters / 2
        return float(loss) / n, (slope + parameters) / n

    first = np.zeros(1 + k * bias)
    if start is not None:
        first[0], first[1:] = np.log(start.temperature), start.bias[: k * bias]
    bounds = [(-_MOST_LOG_TEMPERATURE, _MOST_LOG_TEMPERATURE), *[(None, None)] * (k * bias)]
    found = minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds).x
    offset = found[1:] - found[1:].mean() if bias else np.zeros(k)
    temperature = float(np.exp(found[0]))
    loss_before, loss = (
        float(-counted @ log_softmax(given, axis=1)[is_class] / counted.sum())
        for given in (centered, centered / temperature + offset)
    )
    return Calibration(temperature, offset, loss, loss_before, n)


def calibrated(logits: Float[ndarray, "series class"], calibration: Calibration) -> Float[ndarray, "series class"]:
    """Probabilities of the classes under a calibration.

    Raises
    ------
    DataError
        For logits of other classes than the calibration's, or that are not finite.
    """
    logits = logits_of_classes(logits, "a calibration", len(calibration.bias))
    return np.asarray(softmax(logits / calibration.temperature + calibration.bias, axis=1))
