"""SequenceRegressor: numbers per series or step, learned on a scale of their own."""

import numpy as np
import pytest
import torch
from estimator_data import LENGTHS, N, classes, ragged, steps, values
from sklearn.metrics import r2_score

from throughtime.data import Sequences
from throughtime.errors import DataError
from throughtime.estimators import SequenceRegressor

SMALL = {"hidden_size": 8, "random_state": 0, "max_epochs": 20, "batch_size": 12, "lr": 0.05, "lr_schedule": "constant"}


def test_the_target_is_learned_standardized_and_predicted_on_its_own_scale():
    y = 1e4 + 500 * values()
    fitted = SequenceRegressor(**SMALL).fit(ragged(), y)
    assert fitted.target_mean_ == pytest.approx(y.mean())
    assert fitted.target_scale_ == pytest.approx(y.std())
    predicted = fitted.predict(ragged())
    assert predicted.shape == (N,)
    assert fitted.score(ragged(), y) == r2_score(y, predicted)
    assert fitted.score(ragged(), y) > 0.7
    with torch.no_grad():
        output = fitted.module_(torch.from_numpy(ragged()[4])[None]).item()
    assert predicted[4] == pytest.approx(output * y.std() + y.mean(), rel=1e-9)
    # 1e4 + 500 y is learned as y is
    plain = SequenceRegressor(**SMALL).fit(ragged(), values())
    assert fitted.score(ragged(), y) == pytest.approx(plain.score(ragged(), values()), rel=1e-6)


FORWARD = {"none": lambda y: y, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt}
BACK = {"none": lambda y: y, "log": np.exp, "log1p": np.expm1, "sqrt": lambda y: np.maximum(y, 0) ** 2}


@pytest.mark.parametrize("name", FORWARD)
def test_a_transformed_target_is_learned_as_if_transformed_by_hand(name):
    y = values()
    fitted = SequenceRegressor(**SMALL, target_transform=name).fit(ragged(), y)
    by_hand = SequenceRegressor(**SMALL).fit(ragged(), FORWARD[name](y))
    np.testing.assert_allclose(fitted.predict(ragged()), BACK[name](by_hand.predict(ragged())), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [("log", 0.0, "above 0"), ("log1p", -1.0, "above -1"), ("sqrt", -0.5, "of at least 0")],
)
@pytest.mark.parametrize("by_step", [False, True])
def test_a_target_outside_a_transforms_domain_is_named(name, value, rule, by_step):
    y = [np.full(length, 2.0) for length in LENGTHS] if by_step else values()
    if by_step:
        y[4][0] = np.nan
        y[5][1] = value
    else:
        y[5] = value
    with pytest.raises(DataError, match=rf"^target_transform='{name}' needs targets {rule}, got {value:g}$"):
        SequenceRegressor(target_transform=name).fit(ragged(), y)


def test_what_the_sqrt_scale_would_bring_back_from_below_zero_is_zero():
    fitted = SequenceRegressor(**SMALL, target_transform="sqrt").fit(ragged(), values())
    fitted.target_mean_ = -100.0
    assert (fitted.predict(ragged()) == 0).all()


def test_a_target_each_step_is_predicted_at_every_step_and_scored_where_observed_after_the_burn_in():
    y = steps()
    fitted = SequenceRegressor(**SMALL, burn_in=1).fit(ragged(), y)
    predicted = fitted.predict(ragged())
    assert isinstance(predicted, Sequences)
    assert np.array_equal(predicted.lengths, LENGTHS)
    truth = np.concatenate([own[1:] for own in y])
    found = np.concatenate([predicted[row][1:, 0] for row in range(N)])
    seen = ~np.isnan(truth)
    assert fitted.target_mean_ == pytest.approx(truth[seen].mean())
    assert fitted.score(ragged(), y) == r2_score(truth[seen], found[seen])
    assert fitted.score(ragged(), y) > 0.8
    # what is unobserved, or before the burn-in, may be anything
    changed = [own.copy() for own in y]
    for own in changed:
        own[0] = 1e6
    other = SequenceRegressor(**SMALL, burn_in=1).fit(ragged(), changed)
    assert other.predict(ragged()) == predicted
    assert other.score(ragged(), changed) == fitted.score(ragged(), y)


def test_steps_are_scored_with_the_weight_of_their_series():
    y = steps()
    fitted = SequenceRegressor(**SMALL | {"max_epochs": 2}).fit(ragged(), y)
    weights = np.random.default_rng(0).uniform(0.1, 5, N)
    truth, found = np.concatenate(y), fitted.predict(ragged()).values[:, 0]
    each, seen = np.repeat(weights, LENGTHS), ~np.isnan(truth)
    expected = r2_score(truth[seen], found[seen], sample_weight=each[seen])
    assert fitted.score(ragged(), y, sample_weight=weights) == pytest.approx(expected, rel=1e-12)


def test_predictions_keep_the_series_own_times_and_groups():
    X = Sequences.from_arrays(
        ragged(), times=[np.arange(length) * 2.0 for length in LENGTHS], groups=classes().astype(str)
    )
    predicted = SequenceRegressor(**SMALL | {"max_epochs": 1}).fit(X, steps()).predict(X[5:9])
    assert np.array_equal(predicted.times, X[5:9].times)
    assert np.array_equal(predicted.groups, X[5:9].groups)


@pytest.mark.parametrize("by_step", [False, True])
def test_a_sample_weight_is_a_repetition(by_step):
    # one batch of all, so that only the order of sums differs; float64
    X, y = ragged(), steps() if by_step else values()
    times = np.random.default_rng(1).integers(0, 4, N)
    options = SMALL | {"batch_size": 200, "weight_decay": 0.3}
    weighted = SequenceRegressor(**options).fit(X, y, sample_weight=times)
    repeated = SequenceRegressor(**options).fit(
        [x for x, n in zip(X, times, strict=True) for _ in range(n)],
        [t for t, n in zip(y, times, strict=True) for _ in range(n)],
    )
    assert weighted.target_mean_ == pytest.approx(repeated.target_mean_, rel=1e-12)
    np.testing.assert_allclose(weighted.module_.shift, repeated.module_.shift, rtol=1e-12)
    losses = [[record.train_loss for record in fitted.history_] for fitted in (weighted, repeated)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    one, other = (fitted.predict(X) for fitted in (weighted, repeated))
    if by_step:
        one, other = one.values, other.values
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


def test_constant_targets_and_channels_do_not_divide_by_zero():
    X = [np.concatenate([x, np.full((len(x), 1), 1e8)], 1) for x in ragged()]
    fitted = SequenceRegressor(**SMALL | {"max_epochs": 2}).fit(X, np.full(N, 1e8))
    assert fitted.target_scale_ == 1.0
    assert fitted.module_.scale[2] == 1.0
    np.testing.assert_allclose(fitted.predict(X), 1e8, rtol=1e-6)


def test_without_normalization_channels_enter_as_they_are():
    fitted = SequenceRegressor(**SMALL | {"max_epochs": 1}, normalize="none").fit(ragged(), values())
    assert not fitted.module_.shift.any()
    assert (fitted.module_.scale == 1).all()
