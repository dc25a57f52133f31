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


def letters_of(curve: LagCurve) -> list[str]:
    """The letter of each layer and direction."""
    return [LETTERS[number % len(LETTERS)] for number in range(len(curve.layers))]


def plot_lines(curve: LagCurve) -> list[str]:
    """The lag curve in letters, a layer each: powers of ten upwards, lags to the right, 1 % as a line."""
    means = [_logs(layer.mean) for layer in curve.layers]
    known = np.concatenate([logs[np.isfinite(logs)] for logs in means])
    top = math.ceil(max(float(known.max()), 0.0)) if len(known) else 0
    bottom = min(max(math.floor(float(known.min())), top - DECADES), -2) if len(known) else -2
    longest = max(len(logs) for logs in means)
    columns = min(COLUMNS, longest)
    grid = [[" "] * columns for _ in range(ROWS)]
    percent = _row(math.log10(FRACTION), bottom, top)
    grid[percent] = ["-"] * columns
    for letter, logs in list(zip(letters_of(curve), means, strict=True))[::-1]:  # the first layer on top
        for column in range(columns):
            lag = round(column * (longest - 1) / max(columns - 1, 1))
            if lag < len(logs) and logs[lag] >= bottom:  # never true of NaN
                grid[_row(min(float(logs[lag]), top), bottom, top)][column] = letter
    labels = {_row(float(power), bottom, top): f"1e{power}" for power in (top, bottom)} | {percent: "1 %"}
    lines = [f"{labels.get(number, ''):>6} |{''.join(row).rstrip()}" for number, row in enumerate(grid)]
    last = str(longest - 1)
    axis = f"{'':>6} +{'-' * columns}"
    return [*lines, axis, f"{'lag':>6}  0{last:>{max(columns - 1, len(last) + 1)}}"]


def _logs(means: Float64[ndarray, "lag"]) -> Float64[ndarray, "lag"]:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: ndarray = np.log10(means)
    return logs


def _row(power: float, bottom: int, top: int) -> int:
    return round((top - power) / (top - bottom) * (ROWS - 1))
