"""Training against validation loss over the epochs, folds as a band."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator
from numpy import ndarray

from throughtime.records import EpochRecord

TRAINING, VALIDATION = "#1f6f8b", "#d1495b"


class TrainingCurvesDisplay:
    """Loss of many members by epoch: median, and the band from the lowest to the highest member.

    Parameters
    ----------
    histories
        One a member. The validation loss is that of the watched series, or else of the inner split.
    loss
        What the loss is called, with its unit.
    """

    def __init__(self, histories: Sequence[Sequence[EpochRecord]], loss: str = "loss") -> None:
        self.loss = loss
        self.train = _by_epoch([[record.train_loss for record in history] for history in histories])
        watched = [
            [r.watched_loss if r.watched_loss is not None else r.validation_loss for r in history]
            for history in histories
        ]
        self.validation = _by_epoch([[np.nan if loss is None else loss for loss in history] for history in watched])

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a figure of its own."""
        self.ax_ = Figure(figsize=(6, 3.6), layout="constrained").subplots() if ax is None else ax
        self.figure_: Any = self.ax_.figure
        epochs = np.arange(1, self.train.shape[1] + 1)
        dot = "o" if len(epochs) == 1 else ""
        for curves, color, name in (
            (self.train, TRAINING, "training"),
            (self.validation, VALIDATION, "validation"),
        ):
            seen = ~np.isnan(curves).all(0)
            if not seen.any():
                continue
            part = curves[:, seen]
            self.ax_.fill_between(epochs[seen], np.nanmin(part, 0), np.nanmax(part, 0), color=color, alpha=0.18, lw=0)
            self.ax_.plot(epochs[seen], np.nanmedian(part, 0), color=color, lw=1.8, label=name, marker=dot)
        if (self.train > 0).any() or (self.validation > 0).any():
            self.ax_.set_yscale("log")
            self.ax_.yaxis.set_major_formatter(_PlainLog())
            self.ax_.yaxis.set_minor_formatter(_PlainLog(minor_thresholds=(1.5, 0.5)))
        self.ax_.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        self.ax_.set(xlabel="epoch", ylabel=self.loss, xlim=(1, max(2, len(epochs))))
        members = len(self.train)
        title = f"median and range of {members} networks" if members > 1 else "one network"
        self.ax_.set_title(title, fontsize=10, loc="left")
        self.ax_.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
        self.ax_.spines[["top", "right"]].set_visible(False)
        return self


class _PlainLog(LogFormatter):
    """Labels where matplotlib puts them on a logarithmic axis, as 0.6 instead of 6 x 10^-1."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def _by_epoch(curves: Sequence[Sequence[float]]) -> ndarray:
    """A row a member; NaN after it stopped."""
    table = np.full((len(curves), max(len(curve) for curve in curves)), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    return table
