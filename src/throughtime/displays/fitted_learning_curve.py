"""How much more data would help: the loss by the number of training series, its power law, and twice the data."""

import math
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from throughtime.displays.canvas import TRAINING, VALIDATION, axes_for, set_title
from throughtime.displays.effects import curve_loss
from throughtime.errors import ParameterError
from throughtime.generalization import Diagnosis, LearningCurve


class FittedLearningCurveDisplay:
    """Loss on series held out by the number of training series, all trained for as many steps, and what doubling gains.

    The line is the power law ``floor + scale * n ** -exponent``, where one was fitted, dotted beyond the data. The
    hollow dot is the loss with twice the data, an estimate, with the interval of its gain.

    Parameters
    ----------
    curve
        ``Diagnosis.learning_curve``.
    loss
        What the loss is called.
    units
        What is counted, series or groups.

    Attributes
    ----------
    ax_, figure_, points_, doubled_
        What ``plot`` drew.
    line_
        The power law over the sizes that were measured, where there is one.
    """

    #: Inches, of a new figure.
    figsize = 5.4, 3.4

    def __init__(self, curve: LearningCurve, loss: str = "loss", units: str = "series") -> None:
        self.curve, self.loss, self.units = curve, loss, units

    @classmethod
    def from_diagnosis(cls, diagnosis: Diagnosis, *, ax: Axes | None = None) -> Self:
        """Draw the learning curve of a diagnosis.

        Raises
        ------
        ParameterError
            When the diagnosis has none.
        """
        if diagnosis.learning_curve is None:
            raise ParameterError(f"{cls.__name__} needs a diagnosis that took less data, got one that did not")
        return cls(diagnosis.learning_curve, curve_loss(diagnosis, "data"), diagnosis.units).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        curve, self.line_ = self.curve, None
        largest = int(np.argmax(curve.sizes))
        n, now = curve.sizes[largest], curve.losses[largest]
        if math.isfinite(curve.exponent):
            (self.line_,) = self._draw_law(min(curve.sizes), n, "-", label="power law")
            self._draw_law(n, 2 * n, ":")
        self.points_ = self.ax_.errorbar(
            curve.sizes,
            curve.losses,
            _known(curve.errors),
            color=VALIDATION,
            fmt="o",
            ms=5,
            capsize=3,
            label="measured",
        )
        gain = curve.doubling
        error = _known([gain - curve.low, curve.high - gain])
        self.doubled_ = self.ax_.errorbar(
            [2 * n],
            [now - gain],
            [[error[1]], [error[0]]],  # a larger gain is a lower loss
            color=TRAINING,
            fmt="o",
            ms=6,
            mfc="white",
            capsize=3,
            label="estimate",
        )
        self.ax_.set_xscale("log", base=2)
        self.ax_.set_xticks([*curve.sizes, 2 * n], [f"{size:g}" for size in (*curve.sizes, 2 * n)])
        self.ax_.xaxis.set_minor_locator(NullLocator())
        self.ax_.set(xlabel=f"training {self.units}", ylabel=f"{self.loss} held out")
        set_title(self.ax_, doubling_in_words(curve), legend=False)
        self.ax_.legend(frameon=False, loc="lower left")
        return self

    def _draw_law(self, first: float, last: float, dashes: str, **style: Any) -> list[Any]:
        sizes = np.geomspace(first, last, 100)
        law = self.curve.floor + self.curve.scale * sizes**-self.curve.exponent
        return self.ax_.plot(sizes, law, dashes, color=TRAINING, lw=1.4, **style)


def doubling_in_words(curve: LearningCurve) -> str:
    """What twice the data would gain, as an estimate."""
    if math.isnan(curve.doubling):
        return "what twice the data would gain could not be estimated"
    gain, low, high = (f"{value:.2g}" for value in (curve.doubling, curve.low, curve.high))
    return f"twice the data would gain {gain} ({low} to {high}), an estimate"


def _known(errors: Any) -> list[float]:
    return [max(error, 0.0) if math.isfinite(error) else 0.0 for error in errors]
