"""Mean field of a wide Elman network: how large its states become, and whether its gradients grow or decay.

Weights N(0, s_w^2/units) and inputs that add a variance s_b^2 to each unit make what the units are given Gaussian, of a
variance q that maps onto itself; chi is the factor by which the square of a gradient changes per step (or layer).

References: Poole et al. (2016), https://arxiv.org/abs/1606.05340, equations 3 and 4; Schoenholz et al. (2017),
https://arxiv.org/abs/1611.01232, equations 5 and 7; of recurrent networks Chen, Pennington & Schoenholz (2018),
https://arxiv.org/abs/1806.05394.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from throughtime.nn.arguments import is_number

Activation = Literal["tanh", "relu", "linear"]

#: A standard normal variable and its weights. A trapezoid of so many points is converged to 1e-6 for s_w up to 3;
#: Gauss-Hermite of 101 nodes is not, as tanh of a wide Gaussian is nearly a step.
_Z = np.linspace(-12, 12, 2001)
_WEIGHTS = np.exp(-(_Z**2) / 2) * (_Z[1] - _Z[0]) / math.sqrt(2 * math.pi)

#: Halvings of an interval, after which float64 has no number between its ends.
_HALVINGS = 100


@dataclass(frozen=True)
class MeanField:
    """Where a wide network settles.

    Attributes
    ----------
    q
        Variance of what a unit's activation is given; ``inf`` where it grows without end.
    chi
        Factor per step of a gradient's mean square: below 1 it vanishes, above 1 it explodes. A gradient's norm has
        fallen by e after ``-2/ln chi`` steps, its square after ``-1/ln chi``.
    """

    q: float
    chi: float


def solve_mean_field(weight_scale: float, bias_variance: float, activation: Activation = "tanh") -> MeanField:
    """Solve ``q = s_w^2 E phi(sqrt(q) z)^2 + s_b^2`` and take ``chi = s_w^2 E phi'(sqrt(q) z)^2``, z standard normal.

    Parameters
    ----------
    weight_scale
        s_w: the recurrent weights' standard deviation times the root of the number of units.
    bias_variance
        s_b^2: the variance that inputs and biases add to what each unit is given.
    activation
        phi.

    Raises
    ------
    ValueError
        For a scale or variance that is negative or not finite.

    Examples
    --------
    >>> found = solve_mean_field(2, 0)
    >>> round(found.q, 4), round(found.chi, 4)
    (2.1215, 1.3627)
    """
    _check(weight_scale=weight_scale, bias_variance=bias_variance)
    square = weight_scale**2
    if activation != "tanh":  # E phi^2 is q, and half of it with relu
        chi = square * _slope(activation)
        return MeanField(bias_variance / (1 - chi) if chi < 1 else math.inf if bias_variance or chi > 1 else 0.0, chi)
    q = _variance(square, bias_variance)
    return MeanField(q, square * _moments(q)[1])


def critical_weight_scale(bias_variance: float, activation: Activation = "tanh") -> float:
    """Find the s_w at which chi is 1: gradients neither vanish nor explode, on average over wide networks.

    Parameters
    ----------
    bias_variance
        s_b^2, as of `solve_mean_field`; of tanh alone the answer depends on it: 1 at zero, and above.
    activation
        ``relu``: sqrt(2), which is He's. ``linear``: 1.
    """
    _check(bias_variance=bias_variance)
    if activation != "tanh":
        return 1 / math.sqrt(_slope(activation))
    # at chi = 1, s_w^2 is 1/E phi'^2, and so s_b^2 a function of q alone, which rises
    low, high = 0.0, 1.0
    while _critical_bias_variance(high) < bias_variance:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _critical_bias_variance(middle) < bias_variance else (low, middle)
    return 1 / math.sqrt(_moments(high)[1])


def _check(**values: float) -> None:
    for name, value in values.items():
        if not (is_number(value) and value >= 0):
            raise ValueError(f"{name} needs a finite number of at least 0, got {value!r}")


def _variance(square: float, bias_variance: float) -> float:
    """The fixed point of q that the network is drawn to; of tanh the only one above zero, if there is one."""
    if bias_variance == 0 and square <= 1:
        return 0.0
    low, high = 0.0, square + bias_variance  # the map is concave and bounded: above it right of zero, below it here
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = square * _moments(middle)[0] + bias_variance > middle
        low, high = (middle, high) if above else (low, middle)
    return high


def _slope(activation: Activation) -> float:
    """E phi'^2 of an activation of which it does not depend on q."""
    slopes: dict[str, float] = {"relu": 0.5, "linear": 1.0}
    if activation not in slopes:
        raise ValueError(f"activation needs one of tanh, relu, linear, got {activation!r}")
    return slopes[activation]


def _moments(q: float) -> tuple[float, float]:
    """E tanh^2 and E sech^4 of what a unit is given."""
    squares = np.tanh(math.sqrt(q) * _Z) ** 2
    return float(squares @ _WEIGHTS), float((1 - squares) ** 2 @ _WEIGHTS)


def _critical_bias_variance(q: float) -> float:
    power, slope = _moments(q)
    return q - power / slope
