"""How far truncated gradients are from the full one, over the steps that they reach back."""

from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes

from throughtime.displays.canvas import FURTHER, TRAINING, VALIDATION, axes_for, set_title
from throughtime.stability import TRUNCATION_CHECKS, TruncationBias


class TruncationBiasDisplay:
    """Cosine and norm of truncated gradients beside the full one, and what is cut off, by steps.

    Parameters
    ----------
    record
        What `throughtime.stability.truncation_bias` gives.

    Attributes
    ----------
    ax_, figure_
        What ``plot`` drew into.
    lines_
        What it drew, by ``"cosine"``, ``"norm_ratio"`` and ``"relative_bias"``.
    """

    figsize = 6.0, 3.6

    def __init__(self, record: TruncationBias) -> None:
        self.record = record

    def plot(self, ax: Axes | None = None, *, k2: int | None = None) -> Self:
        """Draw into ``ax``, or into a new figure; mark the ``k2`` of a training."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.lines_: dict[str, Any] = {}
        for name, label, color in (
            ("cosine", "cosine", TRAINING),
            ("norm_ratio", "norm / full norm", FURTHER[0]),
            ("relative_bias", "fraction cut off", VALIDATION),
        ):
            values = np.array(getattr(self.record, name))
            (self.lines_[name],) = self.ax_.plot(self.record.k, values, "o-", ms=3, lw=1.6, color=color, label=label)
        self.ax_.axhline(TRUNCATION_CHECKS[0].threshold, color=VALIDATION, lw=0.8, ls=":")
        if k2 is not None:
            self.ax_.axvline(k2, color="#333333", lw=0.8, ls="--")
            self.ax_.annotate(f"k2 = {k2}", (k2, 0.3), xycoords=("data", "axes fraction"), ha="right", va="center",
                              rotation=90, fontsize=8)  # fmt: skip
        self.ax_.set_xscale("log", base=2)
        self.ax_.set_xticks(self.record.k, [f"{k}" for k in self.record.k])
        self.ax_.minorticks_off()
        self.ax_.set(xlabel="steps that each loss reaches back (k)", ylabel="beside the full gradient")
        self.ax_.margins(x=0.02)
        set_title(self.ax_, f"Truncation, {self.record.steps} steps", legend=True)
        return self
