"""How frequent each class is: in the reference, and among deployed series with an interval."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes

from throughtime.displays.canvas import TRAINING, VALIDATION, axes_for, set_title
from throughtime.errors import ParameterError
from throughtime.shift import ClassShift, NamedShift

#: Inches of a row, and of what is above and below them all.
ROW, REST = 0.3, 1.15
#: Of more classes the first, which moved most, are drawn.
MOST_ROWS = 24


class ClassPriorsDisplay:
    """A row per class: its fraction of the reference, a bar, and of the deployed series, a dot with an interval.

    Parameters
    ----------
    classes
        Those of a ``ShiftDiagnosis``, in the order of the rows: known from labels, or estimated without (BBSE, EM).

    Attributes
    ----------
    ax_, figure_
        What ``plot`` drew into.
    bars_, dots_
        Reference and deployed.
    """

    def __init__(self, classes: Sequence[ClassShift]) -> None:
        if not classes:
            raise ParameterError(f"{type(self).__name__} needs the fraction of a class, got none")
        self.classes = classes[:MOST_ROWS]
        self.left_out = len(classes) - len(self.classes)
        #: Inches, of a new figure.
        self.figsize = 6.0, REST + ROW * len(self.classes)

    @classmethod
    def from_diagnosis(cls, diagnosis: NamedShift, *, ax: Axes | None = None) -> Self:
        """Draw the classes of a diagnosis.

        Raises
        ------
        ParameterError
            When it has none, as of a regression.
        """
        return cls(diagnosis.classes).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        rows = np.arange(len(self.classes))
        reference, deployed, low, high = (
            np.array([getattr(one, name) for one in self.classes], float)
            for name in ("reference", "deployed", "low", "high")
        )
        self.bars_ = self.ax_.barh(rows, reference, 0.62, color=TRAINING, alpha=0.35, label="reference")
        # an interval need not hold its estimate: one may be bootstrapped, the other not
        reach = np.nan_to_num(np.clip([deployed - low, high - deployed], 0, None))
        source = ", ".join(dict.fromkeys(one.source for one in self.classes))
        self.dots_ = self.ax_.errorbar(
            deployed, rows, xerr=reach, fmt="o", color=VALIDATION, ms=5, capsize=3, lw=1.4, label=f"deployed, {source}"
        )
        self.ax_.set(
            xlim=(0, None),
            ylim=(len(rows) - 0.5, -0.5),
            yticks=rows,
            yticklabels=[str(one.label) for one in self.classes],
            xlabel="fraction of the series, with 95 % intervals",
        )
        self.ax_.tick_params(axis="y", length=0)
        more = f" ({self.left_out} more moved less)" if self.left_out else ""
        set_title(self.ax_, f"class priors{more}", legend=True)
        return self
