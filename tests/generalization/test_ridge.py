"""Leave-one-out without refitting."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from throughtime.errors import DataError, ParameterError
from throughtime.generalization import ridge_leave_one_out

RNG = np.random.default_rng(4)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 100.0])
@pytest.mark.parametrize(("n", "p"), [(20, 4), (12, 30)])
def test_it_is_what_refitting_without_each_series_predicts(n: int, p: int, alpha: float) -> None:
    x, y = RNG.normal(size=(n, p)) + 3.0, RNG.normal(size=n) - 5.0
    if alpha == 0 and p >= n:
        with pytest.raises(DataError, match=r"^leave-one-out needs every series to be one of several"):
            ridge_leave_one_out(x, y, alpha)
        return
    refitted = cross_val_predict(Ridge(alpha, solver="svd"), x, y, cv=LeaveOneOut())
    # float64: conditioning of the refits, not of the formula
    np.testing.assert_allclose(ridge_leave_one_out(x, y, alpha), refitted, rtol=1e-8)


def test_without_features_the_error_is_that_of_the_mean() -> None:
    y = RNG.normal(size=17)
    errors = y - ridge_leave_one_out(np.ones((17, 2)), y, 1.0)
    # the mean of n-1 others misses by n/(n-1) of the deviation: the mean square is n/(n-1) s^2 exactly
    assert np.mean(errors**2) == pytest.approx(17 / 16 * y.var(ddof=1), rel=1e-12)


@pytest.mark.parametrize("alpha", [-1.0, np.nan])
def test_a_penalty_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(ParameterError, match=r"^alpha needs a finite number of at least 0, got"):
        ridge_leave_one_out(np.ones((3, 1)), np.arange(3.0), alpha)


def test_rows_and_targets_must_agree() -> None:
    with pytest.raises(
        DataError, match=r"^features needs a row for each of 3 series, 2 at the least, got shape \(4, 1"
    ):
        ridge_leave_one_out(np.ones((4, 1)), np.arange(3.0), 1.0)
