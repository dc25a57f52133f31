"""A display from a file outside the package draws like those of the package."""

import matplotlib as mpl
import numpy as np
from residuals import ResidualsDisplay

from throughtime import SequenceRegressor

mpl.use("Agg")


def test_it_draws_what_it_is_given() -> None:
    X = np.random.default_rng(0).normal(size=(20, 6, 2))
    y = X.mean((1, 2))
    net = SequenceRegressor(hidden_size=3, max_epochs=1, random_state=0).fit(X, y)
    display = ResidualsDisplay.from_estimator(net, X, y)
    (points,) = display.ax_.collections
    np.testing.assert_array_equal(points.get_offsets(), np.column_stack([net.predict(X), y - net.predict(X)]))
    assert display.ax_.get_title(loc="left") == "Residuals"
