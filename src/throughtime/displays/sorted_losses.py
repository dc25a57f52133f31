"""The loss of every series, from the largest to the smallest: whether few are bad, or all."""

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from throughtime.displays.canvas import VALIDATION, axes_for, set_title
from throughtime.errors import ParameterError


class SortedLossesDisplay:
    """A line through the losses in their order, with a dot on each of the largest.

    Parameters
    ----------
    losses
        One per series.
    loss
        What the loss is called, with its unit.
    marked
        So many of the largest have a dot.
    guess
        The loss of a guess, a dotted line; none where ``None``.

    Attributes
    ----------
    ax_, figure_, line_, dots_
        What ``plot`` drew.

    Raises
    ------
    ParameterError
        For no losses.
    """

    figsize = 6.0, 3.0

    def __init__(self, losses: ndarray, loss: str = "loss", *, marked: int = 10, guess: float | None = None) -> None:
        if not len(losses):
            raise ParameterError("SortedLossesDisplay needs the loss of a series, got none")
        self.losses = np.sort(np.asarray(losses, float))[::-1]
        self.loss, self.marked, self.guess = loss, marked, guess

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        ranks = np.arange(1, len(self.losses) + 1)
        if self.guess is not None:
            self.ax_.axhline(self.guess, color="#777777", lw=1, ls=":", label="a guess")
        (self.line_,) = self.ax_.plot(ranks, self.losses, color=VALIDATION, lw=1.5)
        (self.dots_,) = self.ax_.plot(ranks[: self.marked], self.losses[: self.marked], "o", color=VALIDATION, ms=4)
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set(xlabel="series, the worst first", ylabel=self.loss, ylim=(0, 1.05 * self.losses[0] or 1))
        set_title(self.ax_, f"{len(self.losses)} series", legend=self.guess is not None)
        return self
