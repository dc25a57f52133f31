"""How scores are written: in few digits that hide nothing, and in one notation where their scale is known."""

import math

import pytest

from throughtime.study import number, score_number


@pytest.mark.parametrize("metric", ["R2", "accuracy", "AUROC"])
def test_scores_of_which_the_best_is_one_have_three_decimals_however_near_to_zero(metric: str) -> None:
    written = [score_number(score, metric) for score in (-0.118, 9.651e-04, -2e-5, 0.0, 0.75, 1.0, -3.25)]
    assert written == ["-0.118", "0.001", "0.000", "0.000", "0.750", "1.000", "-3.250"]
    assert score_number(-5e7, metric) == number(-5e7) == "-5.000e+07"
    assert score_number(math.nan, metric) == "-"


@pytest.mark.parametrize("score", [-9.651e-04, -2e-5, 0.0, -3.25, math.nan])
def test_other_scores_may_be_small_altogether_and_keep_their_digits(score: float) -> None:
    assert score_number(score, "neg_mean_squared_error") == number(score)
