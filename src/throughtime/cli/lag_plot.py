"""A lag curve in letters, for a terminal of any encoding."""

import math

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from throughtime.stability import FRACTION, LagCurve

#: One per layer and direction, in turn.
LETTERS = "ox+*#@%&"
#: Of the plot; and powers of ten that it spans at most.
ROWS, COLUMNS, DECADES = 14, 72, 14
#: What is left of the plot.
MARGIN = 8


def letters_of(curve: LagCurve) -> list[str]:
    """The letter of each layer and direction."""
    return [LETTERS[number % len(LETTERS)] for number in range(len(curve.layers))]


def plot_lines(curve: LagCurve, width: int = MARGIN + COLUMNS) -> list[str]:
    """The lag curve in letters, a layer each: powers of ten upwards, lags to the right, 1 % as a line.

    Lags at which no layer has anything left that the plot could show are left out where they are many.
    """
    means = [_logs(layer.mean) for layer in curve.layers]
    known = np.concatenate([logs[np.isfinite(logs)] for logs in means])
    top = math.ceil(max(float(known.max()), 0.0)) if len(known) else 0
    bottom = min(max(math.floor(float(known.min())), top - DECADES), -2) if len(known) else -2
    longest = shown = max(len(logs) for logs in means)
    most = max(min(COLUMNS, width - MARGIN), 2)
    if longest > most:  # what is below the plot would leave no room for what is in it
        visible = [np.flatnonzero(logs >= bottom) for logs in means]  # never of NaN
        shown = max(most, *(int(lags[-1]) + 1 for lags in visible if len(lags)), 0)
    columns = min(most, shown)
    grid = [[" "] * columns for _ in range(ROWS)]
    percent = _row(math.log10(FRACTION), bottom, top)
    grid[percent] = ["-"] * columns
    for letter, logs in list(zip(letters_of(curve), means, strict=True))[::-1]:  # the first layer on top
        for column in range(columns):
            lag = round(column * (shown - 1) / max(columns - 1, 1))
            if lag < len(logs) and logs[lag] >= bottom:  # never true of NaN
                grid[_row(min(float(logs[lag]), top), bottom, top)][column] = letter
    labels = {_row(float(power), bottom, top): f"1e{power}" for power in (top, bottom)} | {percent: "1 %"}
    lines = [f"{labels.get(number, ''):>6} |{''.join(row).rstrip()}" for number, row in enumerate(grid)]
    last = str(shown - 1)
    axis = f"{'':>6} +{'-' * columns}"
    rest = [f"{'':>8}below 1e{bottom} from there to lag {longest - 1}"] if shown < longest else []
    return [*lines, axis, f"{'lag':>6}  0{last:>{max(columns - 1, len(last) + 1)}}", *rest]


def _logs(means: Float64[ndarray, "lag"]) -> Float64[ndarray, "lag"]:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: ndarray = np.log10(means)
    return logs


def _row(power: float, bottom: int, top: int) -> int:
    return round((top - power) / (top - bottom) * (ROWS - 1))
