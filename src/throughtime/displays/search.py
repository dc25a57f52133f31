"""The results of a search: the mean score of every setting, by the one or two parameters that it varied."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter
from numpy import ndarray

from throughtime.displays.canvas import axes_for
from throughtime.errors import ParameterError
from throughtime.generalization import corrected_errors, one_standard_error

CHOSEN = "#d1495b"
SIMPLEST = "#00798c"
SIMPLEST_LABEL = "simplest within one SE"
LINE = "best less one standard error"
#: From so many times the smallest value on, positive values stand on a logarithmic axis.
_WIDE = 8
#: More values than these of either parameter are drawn as points in their plane, colored by score.
_MOST_LINES = 6


class SearchDisplay:
    """Scores by setting, with their standard errors: a line for each value of the second parameter.

    Where both parameters have many values, as in a sampled search, each setting is a point colored by its score.

    Parameters
    ----------
    settings
        The one or two parameters that vary, and their values; one per setting.
    means, errors
        One per setting; NaN where a setting has none.
    score
        What the score is called.
    chosen
        The index of the setting that was chosen.
    simplest
        That of the simplest within one standard error of the best.
    """

    figsize = (6.0, 3.8)

    def __init__(
        self,
        settings: Sequence[Mapping[str, Any]],
        means: ndarray,
        errors: ndarray,
        score: str = "score",
        chosen: int | None = None,
        simplest: int | None = None,
    ) -> None:
        self.names = list(settings[0])
        if len(self.names) not in (1, 2):
            raise ParameterError(f"SearchDisplay needs one or two parameters, got {', '.join(self.names) or 'none'}")
        columns = {name: [setting[name] for setting in settings] for name in self.names}
        # the parameter of fewer values makes the lines
        self.names.sort(key=lambda name: -len(_distinct(columns[name])))
        self.columns = {name: columns[name] for name in self.names}
        self.means, self.errors = np.asarray(means, dtype=float), np.asarray(errors, dtype=float)
        self.score, self.chosen, self.simplest = score, chosen, simplest

    @classmethod
    def from_search(cls, search: Any, metric: str = "score") -> Self:
        """Of a fitted ``LockstepSearchCV`` or another search of scikit-learn's, by the parameters that it varied.

        The standard errors are those of K folds, corrected for training sets that overlap.

        Raises
        ------
        ParameterError
            For fewer than two splits, and for a search over more than two parameters.
        """
        results = search.cv_results_
        params = results["params"]
        names = list(dict.fromkeys(name for setting in params for name in setting))
        varied = [name for name in names if any(s.get(name) != params[0].get(name) for s in params)] or names
        try:
            simplest = one_standard_error(results, metric=metric)
        except ParameterError:  # of parameters that do not tell what is simple
            simplest = None
        settings = [{name: setting.get(name) for name in varied} for setting in params]
        errors = corrected_errors(results, metric=metric)
        chosen = getattr(search, "best_index_", None)
        score = metric if metric != "score" else "mean score"
        return cls(settings, results[f"mean_test_{metric}"], errors, score, chosen, simplest)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        self.ax_ = axes_for(ax, self.figsize)
        self.figure_: Any = self.ax_.figure
        if len(self.names) == 2 and len(_distinct(self.columns[self.names[1]])) > _MOST_LINES:
            self._points()
        else:
            self._lines()
        self.ax_.spines[["top", "right"]].set_visible(False)
        return self

    def _lines(self) -> None:
        places = self._axis("x", self.names[0])
        other = self.columns[self.names[1]] if len(self.names) == 2 else [None] * len(places)
        kinds = _distinct(other)
        joined = "-" if all(_is_number(value) for value in self.columns[self.names[0]]) else "none"
        colors = colormaps["viridis"](np.linspace(0, 0.85, len(kinds)))
        for kind, color in zip(kinds, colors, strict=True):
            chosen = np.array([value == kind for value in other]) & np.isfinite(self.means)
            order = np.flatnonzero(chosen)[np.argsort(places[chosen], kind="stable")]
            errors = np.nan_to_num(self.errors[order])
            label = "mean, and its standard error" if len(self.names) == 1 else f"{self.names[-1]} {_word(kind)}"
            self.ax_.errorbar(
                places[order],
                self.means[order],
                errors,
                color=color,
                lw=1.5,
                ls=joined,
                marker="o",
                ms=4,
                capsize=2,
                label=label,
            )
        if np.isfinite(self.means).any():
            best = int(np.nanargmax(self.means))
            if np.isfinite(self.errors[best]):
                line = self.means[best] - self.errors[best]
                self.ax_.axhline(line, color="#777777", lw=0.8, ls=":", label=LINE)
        self._mark(places, self.means)
        self.ax_.set(ylabel=self.score)
        self._legend()

    def _points(self) -> None:
        places, heights = self._axis("x", self.names[0]), self._axis("y", self.names[1])
        scored = np.isfinite(self.means)
        drawn = self.ax_.scatter(places[scored], heights[scored], c=self.means[scored], cmap="viridis", s=36)
        self.figure_.colorbar(drawn, ax=self.ax_, label=f"mean {self.score}")
        if (~scored).any():
            self.ax_.scatter(places[~scored], heights[~scored], marker="x", color="#777777", s=30, label="failed")
        self._mark(places, heights)
        self._legend()

    def _mark(self, x: ndarray, y: ndarray) -> None:
        """A ring around the setting chosen, a square around the simplest within one standard error of the best."""
        marks = ((self.chosen, "o", 11, CHOSEN, "chosen"), (self.simplest, "s", 15, SIMPLEST, SIMPLEST_LABEL))
        for index, marker, size, color, label in marks:
            if index is not None:
                look: dict[str, Any] = {
                    "ms": size,
                    "mfc": "none",
                    "mec": color,
                    "mew": 1.8,
                    "ls": "none",
                    "clip_on": False,
                }
                self.ax_.plot([x[index]], [y[index]], marker, label=label, zorder=5, **look)

    def _legend(self) -> None:
        handles, labels = self.ax_.get_legend_handles_labels()
        order = sorted(range(len(labels)), key=lambda place: labels[place] in (LINE, "chosen", SIMPLEST_LABEL))
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0, "handlelength": 1.5}
        shown = [handles[k] for k in order], [labels[k] for k in order]
        self.ax_.legend(*shown, frameon=False, ncols=3, fontsize=8, **place)

    def _axis(self, which: str, name: str) -> ndarray:
        """Where each setting stands on an axis: by its number, or in a row of words."""
        values = self.columns[name]
        self.ax_.set(**{f"{which}label": name})
        distinct = _distinct(values)
        if all(_is_number(value) for value in values):
            wide = max(values) >= _WIDE * min(values)
            if not wide or min(values) > 0:
                axis = self.ax_.xaxis if which == "x" else self.ax_.yaxis
                if wide:
                    self.ax_.set(**{f"{which}scale": "log"})
                    few = max(values) < 1_000 * min(values)
                    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
                    axis.set_major_formatter("{x:g}")
                    axis.set_minor_formatter(NullFormatter())
                if len(distinct) <= _MOST_LINES:
                    axis.set_ticks(distinct, [_word(value) for value in distinct])
                    axis.set_ticks([], minor=True)
                return np.array(values, dtype=float)
        places = range(len(distinct))
        self.ax_.set(**{f"{which}ticks": places, f"{which}ticklabels": [_word(value) for value in distinct]})
        return np.array([distinct.index(value) for value in values], dtype=float)


def _distinct(values: Sequence[Any]) -> list[Any]:
    """Every value once; numbers in their order, before the others."""
    once: list[Any] = []
    for value in values:
        if value not in once:
            once.append(value)
    numbers = sorted(value for value in once if _is_number(value))
    return numbers + [value for value in once if not _is_number(value)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _word(value: Any) -> str:
    return f"{value:g}" if _is_number(value) else str(value).lower()
