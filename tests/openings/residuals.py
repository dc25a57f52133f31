"""A display of a user's own, in one file: what is left of the truth beside the prediction."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from numpy import ndarray

from throughtime.displays import axes_for, set_title


@dataclass
class ResidualsDisplay:
    """Truth less prediction over the prediction; scikit-learn's way of a display."""

    predicted: ndarray
    residuals: ndarray

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any) -> Self:
        """Predict and draw."""
        predicted = estimator.predict(X)
        return cls(predicted, np.asarray(y) - predicted).plot()

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw into axes, or a figure of their own."""
        self.ax_ = axes_for(ax, (5, 3))
        self.ax_.scatter(self.predicted, self.residuals, s=8)
        self.ax_.set(xlabel="prediction", ylabel="truth less prediction")
        set_title(self.ax_, "Residuals", legend=False)
        return self
