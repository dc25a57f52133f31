"""How far back a task looks: the loss by how many of each series' last steps a network may read."""

import math
from typing import Any, Self

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from throughtime.displays.canvas import VALIDATION, axes_for, set_title
from throughtime.displays.effects import curve_loss
from throughtime.errors import ParameterError
from throughtime.generalization import Diagnosis, HistoryCurve


class HistoryCurveDisplay:
    """Loss on series held out by the steps of history that were left, with standard errors.

    Parameters
    ----------
    curve
        ``Diagnosis.history``.
    loss
        What the loss is called.

    Attributes
    ----------
    ax_, figure_, curve_
        What ``plot`` drew.
    needed_
        The line at the fewest steps that are as good as all, where there is one.
    """

    #: Inches, of a new figure.
    figsize = 5.4, 3.4

    def __init__(self, curve: HistoryCurve, loss: str = "loss") -> None:
        self.curve, self.loss = curve, loss

    @classmethod
    def from_diagnosis(cls, diagnosis: Diagnosis, *, ax: Axes | None = None) -> Self:
        """Draw the history curve of a diagnosis.

        Raises
        ------
        ParameterError
            When the diagnosis has none.
        """
        if diagnosis.history is None:
            raise ParameterError(f"{cls.__name__} needs a diagnosis that probed the history, got one that did not")
        return cls(diagnosis.history, curve_loss(diagnosis, "history")).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        curve, self.needed_ = self.curve, None
        errors = [0.0 if math.isnan(error) else error for error in curve.errors]
        self.curve_ = self.ax_.errorbar(
            curve.steps, curve.losses, errors, color=VALIDATION, marker="o", ms=5, lw=1.5, capsize=3
        )
        if curve.needed is not None:
            self.needed_ = self.ax_.axvline(curve.needed, color="#777777", lw=0.8, ls="--")
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set(xlabel="last steps that are read", ylabel=f"{self.loss} held out")
        self.ax_.set_xlim(left=0)
        set_title(self.ax_, history_in_words(curve), legend=False)
        return self


def history_in_words(curve: HistoryCurve) -> str:
    """How many steps of history are enough, of those that were tried."""
    whole, fewest = max(curve.steps), min(curve.steps)
    if curve.needed is None:
        return f"of all {whole} steps the network knows too little yet to miss any"
    if curve.needed == whole:
        return f"fewer than all {whole} steps were not shown to be enough"
    enough = f"the last {curve.needed} of {whole} steps are enough"
    return f"{enough}; fewer were not tried" if curve.needed == fewest else enough
