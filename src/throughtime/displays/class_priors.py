"""How frequent each class is: in the reference, and among deployed series with an interval."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from throughtime.displays.canvas import TRAINING, VALIDATION, axes_for, set_title, show_literally
from throughtime.errors import ParameterError
from throughtime.shift import ClassShift, NamedShift

#: Inches of a row, and of what is above and below them all.
ROW, REST = 0.3, 1.15
#: Inches of a figure whose labels have at most so many letters, and of each further one.
WIDTH, SHORT, LETTER = 6.0, 20, 0.08
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
        longest = max(len(str(one.label)) for one in self.classes)
        #: Inches, of a new figure: wider for long labels, beside which title and legend would meet.
        self.figsize = WIDTH + LETTER * max(0, longest - SHORT), REST + ROW * len(self.classes)

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
        fill = to_rgba(TRAINING, 0.35)  # dim on a dark ground, where the edge is what is seen
        self.bars_ = self.ax_.barh(rows, reference, 0.62, fc=fill, ec=TRAINING, lw=1.2, label="reference")
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
        show_literally(self.ax_.get_yticklabels())
        self.ax_.tick_params(axis="y", length=0)
        more = f" ({self.left_out} more moved less)" if self.left_out else ""
        set_title(self.ax_, f"class priors{more}", legend=True)
        return self
