"""Reference and deployed series as one: what each side has, what is left out, what is refused."""

from typing import Any

import numpy as np
import pytest
from numpy import ndarray
from planted_shifts import NET, classifier, drawn, regressor

from throughtime.data import Sequences, concatenate
from throughtime.errors import DataError
from throughtime.estimators import SequenceRegressor
from throughtime.shift.joining import join_sides

X, Y = drawn(30, seed=1)
OTHER, Y_OTHER = drawn(12, seed=2)


def with_times(series: Sequences, times: str = "numbers", zone: str | None = None) -> Sequences:
    steps = np.concatenate([np.arange(length) for length in series.lengths])
    clock: Any = steps if times == "numbers" else np.datetime64("2026-01-01") + steps.astype("timedelta64[D]")
    return Sequences(series.values, series.offsets, times=clock, time_zone=zone)


def both(one: Sequences, other: Sequences, model: Any = None) -> Sequences:
    return join_sides(model or classifier().model, (one, Y[: len(one)]), (other, Y_OTHER[: len(other)]))[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (with_times(X), OTHER),
        (X, with_times(OTHER)),
        (with_times(X), with_times(OTHER, "dates")),
        (with_times(X, "dates", "UTC"), with_times(OTHER, "dates")),
    ],
)
def test_times_of_two_kinds_are_left_out_where_the_model_reads_none(one: Sequences, other: Sequences) -> None:
    assert both(one, other) == concatenate([X, OTHER])


def test_times_of_one_kind_stay_in_the_reference_s_zone() -> None:
    found = both(with_times(X, "dates", "Europe/Berlin"), with_times(OTHER, "dates", "UTC"))
    assert found == concatenate([with_times(part, "dates", "Europe/Berlin") for part in (X, OTHER)])
    assert both(with_times(X), with_times(OTHER)) == concatenate([with_times(X), with_times(OTHER)])


@pytest.mark.parametrize("parameters", [{"horizon": 1}, {"features": "fourier:7"}])
def test_times_of_two_kinds_are_refused_where_the_model_reads_them(parameters: dict[str, Any]) -> None:
    dated = with_times(X, "dates")
    y = Sequences(X.values[:, :1], X.offsets)
    model = SequenceRegressor(**NET | {"max_epochs": 1} | parameters).fit(dated, y)
    for other, said in ((OTHER, "no times"), (with_times(OTHER), "numbers as times")):
        with pytest.raises(
            DataError, match=f"^deployed needs dates as times, as the reference has, for a refit on both, got {said}"
        ):
            both(dated, other, model)
    assert both(dated, with_times(OTHER, "dates"), model).times is not None


def codes(groups: Any) -> list[list[int]]:
    """Which series are together."""
    return [np.flatnonzero(groups == group).tolist() for group in dict.fromkeys(groups.tolist())]


def test_groups_of_one_kind_stay_and_others_are_told_apart() -> None:
    three = X[:4].replace(groups=["a", "b", "a", "b"])
    assert both(three, OTHER[:2].replace(groups=["c", "a"])).groups.tolist() == ["a", "b", "a", "b", "c", "a"]  # type: ignore[union-attr]
    assert both(X[:4], OTHER[:2]).groups is None
    numbers = X[:4].replace(groups=[0, 1, 0, 1])
    for one, other in (
        (three, OTHER[:2]),
        (three, OTHER[:2].replace(groups=[0, 1])),
        (numbers, OTHER[:2].replace(groups=["0", "1"])),
        (numbers, OTHER[:2].replace(groups=[False, True])),
    ):
        assert codes(both(one, other).groups) == [[0, 2], [1, 3], [4], [5]]
    assert codes(both(OTHER[:2], three).groups) == [[0], [1], [2, 4], [3, 5]]


def test_windows_beside_series_that_are_none_stay_together_by_their_series() -> None:
    windows = Sequences.from_arrays([np.arange(12.0).reshape(6, 2) for _ in range(2)]).windows(3)
    alone = [list(range(4)), list(range(4, 8))]
    for other in (OTHER[:2], OTHER[:2].replace(groups=["a", "b"])):
        assert codes(both(windows, other).groups) == [*alone, [8], [9]]
        assert codes(both(other, windows).groups) == [[0], [1], *[[2 + n for n in own] for own in alone]]
    assert both(windows, windows[:2]).source is not None


def test_the_reference_s_precision_is_trained_in_and_static_features_keep_their_digits() -> None:
    one = X.astype(np.float32).replace(static=np.ones((30, 1)))
    other = OTHER.replace(static=np.full((12, 1), 1 / 3))
    found = both(one, other)
    assert found.train_dtype == np.float32
    assert found.static is not None
    np.testing.assert_array_equal(found.static[30:], 1 / 3)
    found = both(other.astype(np.float64), one)
    assert found.train_dtype == found.dtype == np.float64
    with pytest.raises(DataError, match="concatenate needs the same static features"):
        both(one, OTHER)


def test_names_are_the_reference_s() -> None:
    named, other = X.replace(channel_names=["u", "v"]), OTHER.replace(channel_names=["p", "q"])
    assert both(named, OTHER).channel_names == ("u", "v")
    assert both(X, other).channel_names is None
    features = {"static": np.ones((30, 1)), "static_names": ["age"]}
    assert both(X.replace(**features), OTHER.replace(static=np.ones((12, 1)))).static_names == ("age",)  # type: ignore[arg-type]


def test_targets_are_joined_as_their_series_are() -> None:
    labels: ndarray = join_sides(classifier().model, (X, Y), (OTHER, Y_OTHER))[1]
    assert labels.tolist() == [*Y, *Y_OTHER]
    steps = [Sequences(part.values[:, :1], part.offsets, groups=np.arange(len(part))) for part in (X, OTHER)]
    found = join_sides(regressor().model, (X, steps[0]), (OTHER, with_times(steps[1])))[1]
    np.testing.assert_array_equal(found.values, np.concatenate([steps[0].values, steps[1].values]))
    np.testing.assert_array_equal(found.lengths, [*X.lengths, *OTHER.lengths])
