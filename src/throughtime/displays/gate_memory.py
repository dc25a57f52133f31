"""For how many steps the gates of each layer keep a state, unit by unit, beside the lag that a task needs."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes

from throughtime.displays.canvas import LAYER_COLORS, axes_for, set_title
from throughtime.errors import ParameterError
from throughtime.stability import GateMemory


class GateMemoryDisplay:
    """Time constants of the units, the shortest first.

    Parameters
    ----------
    memories
        What ``throughtime.stability.gate_memory`` gave.
    lag
        Steps back that the task needs, if known.

    Attributes
    ----------
    ax_, figure_, lines_
        What ``plot`` drew; lines by layer.
    """

    #: Inches, of a new figure.
    figsize = 5.4, 3.6

    def __init__(self, memories: Sequence[GateMemory], *, lag: float | None = None) -> None:
        if not memories:
            raise ParameterError("GateMemoryDisplay needs a cell with a forget or an update gate, got none")
        self.memories, self.lag = memories, lag

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        self.lines_: dict[str, Any] = {}
        if self.lag is not None:
            self.ax_.axhline(self.lag, color="#777777", lw=0.8, ls="--", label=f"lag {self.lag:g}")
        for number, found in enumerate(self.memories):
            steps = np.sort(found.steps[np.isfinite(found.steps)])
            fractions = (np.arange(len(steps)) + 0.5) / len(found.steps)
            (self.lines_[found.label],) = self.ax_.plot(
                fractions,
                steps,
                color=LAYER_COLORS[number % len(LAYER_COLORS)],
                marker=".",
                lw=1.2,
                label=f"{found.label}, gate {found.gate}",
            )
        self.ax_.set_yscale("log")
        self.ax_.set(xlabel="fraction of the units", ylabel="memory (steps)", xlim=(0, 1))
        longest = max(found.longest for found in self.memories)
        set_title(self.ax_, f"longest memory {longest:.3g} steps", legend=False)
        self.ax_.legend(frameon=False, fontsize=8)
        return self
