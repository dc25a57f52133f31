"""The inner validation series of early stopping share nothing with the inner training series."""

import numpy as np
import pytest

from throughtime import SequenceClassifier
from throughtime.data import Sequences, shares_steps
from throughtime.errors import ParameterError
from throughtime.estimators.inner_split import inner_split


def windows(lengths: list[int], length: int, stride: int, history: int = 0) -> Sequences:
    X = Sequences(np.zeros((sum(lengths), 1)), np.r_[0, np.cumsum(lengths)])
    return X.windows(length, stride, history=history)


def divided(
    X: Sequences,
    groups: np.ndarray | None = None,
    strata: np.ndarray | None = None,
    fraction: float = 0.2,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    return inner_split({"validation_fraction": fraction}, X, groups, strata, seed)


@pytest.mark.parametrize(("length", "stride", "history"), [(10, 10, 0), (10, 5, 0), (10, 1, 0), (10, 10, 30)])
def test_of_one_series_the_last_windows_are_for_validation_and_no_step_is_on_both_sides(
    length: int, stride: int, history: int
) -> None:
    X = windows([400], length, stride, history)
    X = X[np.random.default_rng(0).permutation(len(X))]
    assert X.source is not None
    train, validation = divided(X)
    begins = X.source.begins + X.source.history
    assert len(validation) == np.ceil(0.2 * len(X))
    assert (begins[train] + length).max() <= begins[validation].min()
    assert len(train) + len(validation) >= len(X) - -(-length // stride) + 1  # no more is left out than must be


def test_classes_do_not_undo_it() -> None:
    X = windows([400], 10, 5)
    for side, other in zip(divided(X, strata=np.arange(len(X)) % 2), divided(X), strict=True):
        np.testing.assert_array_equal(side, other)


def test_of_several_series_each_stays_whole() -> None:
    X = windows([100] * 6, 10, 5)
    assert X.source is not None
    series = X.source.series
    seen = set()
    for seed in range(9):
        train, validation = divided(X, seed=seed)
        assert not set(series[train]) & set(series[validation])
        np.testing.assert_array_equal(np.sort(np.r_[train, validation]), np.arange(len(X)))
        seen |= set(series[validation])
    assert len(seen) > 2


def test_groups_that_part_a_series_stay_whole_and_share_no_target_step() -> None:
    X = windows([400], 10, 5)
    blocks = np.arange(len(X)) // 20
    train, validation = divided(X, groups=blocks)
    assert not set(blocks[train]) & set(blocks[validation])
    assert not shares_steps(X, train, validation, history=False).any()
    assert len(X) - len(train) - len(validation) in (1, 2)  # at the border, or two


def test_history_that_groups_share_is_input_alone_and_leaves_nothing_out() -> None:
    X = windows([400], 10, 10, 30)
    train, validation = divided(X, groups=np.arange(40) // 10)
    assert len(train) + len(validation) == 40


def test_a_group_that_is_the_whole_of_one_series_is_divided_in_time() -> None:
    X = windows([400], 10, 5)
    for side, other in zip(divided(X, groups=np.zeros(len(X), int)), divided(X), strict=True):
        np.testing.assert_array_equal(side, other)


@pytest.mark.parametrize(("stride", "n"), [(1, 4), (10, 1)])
def test_windows_that_leave_none_to_train_on_are_refused(stride: int, n: int) -> None:
    X = windows([10 + (n - 1) * stride], 10, stride)
    with pytest.raises(
        ParameterError, match=r"^early_stopping needs an inner validation split of the .* cannot be made"
    ):
        divided(X)


def test_a_network_stops_by_the_last_windows_and_is_scaled_by_the_others() -> None:
    values = np.zeros((200, 1))
    values[:150, 0] = np.random.default_rng(0).normal(size=150)
    values[150:] = 1e3  # were they trained on, the scale would tell
    X = Sequences(values, [0, 200]).windows(10, 5)
    y = np.arange(len(X)) % 2
    net = SequenceClassifier(
        hidden_size=2, max_epochs=2, early_stopping=True, validation_fraction=0.3, random_state=0
    ).fit(X, y)
    train, _ = divided(X, fraction=0.3)
    assert all(record.validation_loss is not None for record in net.history_)
    np.testing.assert_allclose(net.module_.scale.numpy(), np.std(X[train].values, axis=0), rtol=1e-6)
