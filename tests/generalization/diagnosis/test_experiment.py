"""What ``diagnose`` trains: members that are what they are alone, on the series and for the steps that a probe says."""

from typing import Any

import numpy as np
import pytest
from numpy import ndarray
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold

from throughtime import PurgedTimeSeriesSplit, SequenceClassifier, SequenceRegressor
from throughtime.data import Sequences
from throughtime.estimators import Fit, fit_requests
from throughtime.generalization.diagnosis import AUTO_PROBES, Base, Variant, experiment
from throughtime.generalization.diagnosis.experiment import Experiment
from throughtime.generalization.diagnosis.gains import pooled_gain

# Shapes are checked by the packages' own tests, and take longer than the training.
pytestmark = pytest.mark.usefixtures("types_unchecked")

N, TIME = 36, 7
RNG = np.random.default_rng(0)
X = Sequences.from_arrays(list(RNG.normal(size=(N, TIME, 2)).astype(np.float32)))
LABELS = np.arange(N) % 3
WEIGHTS = RNG.uniform(0.5, 2.0, N)
GROUPS = np.arange(N) // 3
PROBES = {probe.name: probe for probe in AUTO_PROBES}


#: What an experiment is given beside its data where a test says nothing else.
PLAIN: dict[str, Any] = {
    "groups": None,
    "sample_weight": None,
    "random_state": 0,
    "verbose": False,
    "memory_budget": None,
    "checkpoints": None,
}


def steps() -> Sequences:
    """A number each step, some unobserved."""
    values = X.values[:, :1].astype(np.float64) * 3 + 10
    values[::5] = np.nan
    return Sequences(values, X.offsets)


def made(estimator: Any, y: Any = LABELS, cv: Any = 3, **others: Any) -> Experiment:
    return Experiment(estimator, X, y, cv=cv, **PLAIN | others)


def tried(one: Experiment, base: Base, *names: str) -> dict[str, Any]:
    """Results of the base and some probes, as one batch."""
    variants = {name: PROBES[name].variant(base) for name in names}
    return one.run(base, {"base": Variant("as it is"), **variants})  # type: ignore[dict-item]


def windows(length: int = 6, stride: int = 2) -> Sequences:
    """Windows of one series of 64 steps, not in order of time."""
    whole = Sequences.from_arrays([RNG.normal(size=(64, 2)).astype(np.float32)])
    cut = whole.windows(length, stride)
    return cut[np.random.default_rng(1).permutation(len(cut))]


def in_windows(X: Sequences, **others: Any) -> Experiment:
    """Windows, every other one of the same class."""
    assert X.source is not None
    net = SequenceClassifier(hidden_size=2, max_epochs=1)
    return Experiment(net, X, X.source.begins // 2 % 2, **PLAIN | {"cv": 4} | others)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Fit]:
    """All that are fitted, in order."""
    fits: list[Fit] = []

    def noted(requests: list[Fit], **others: Any) -> Any:
        fits.extend(requests)
        return fit_requests(requests, **others)

    monkeypatch.setattr(experiment, "fit_requests", noted)
    return fits


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_members_of_the_base_are_bitwise_the_estimator_fitted_alone_on_each_fold(weights: ndarray | None) -> None:
    net = SequenceClassifier(hidden_size=4, max_epochs=3, batch_size=8, dropout=0.2)
    one = made(net, sample_weight=weights)
    base = one.repeat(1)
    result = tried(one, base, "hidden_size x2", "lr x4", "half of the data", "permuted targets")["base"]
    for fold, ((train, test), member) in enumerate(zip(base.folds, result.members, strict=True)):
        weight = {} if weights is None else {"sample_weight": weights[train]}
        alone = clone(net).set_params(random_state=base.member_seed(fold)).fit(X[train], LABELS[train], **weight)
        p = alone.predict_proba(X[test])
        np.testing.assert_array_equal(member.predict_proba(X[test]), p)
        # the loss is that of the estimator's own probabilities, which are float32
        np.testing.assert_allclose(result.losses.raw[test], -np.log(p[np.arange(len(test)), LABELS[test]]), rtol=1e-5)


def test_with_a_number_each_step_a_series_loss_is_the_mean_over_its_observed_steps_in_units_of_the_target() -> None:
    net = SequenceRegressor(hidden_size=4, max_epochs=3, batch_size=8, burn_in=2)
    y = steps()
    one = made(net, y)
    base = one.repeat(0)
    losses = tried(one, base, "lr x4")["base"].losses
    for fold, (train, test) in enumerate(base.folds):
        alone = clone(net).set_params(random_state=base.member_seed(fold)).fit(X[train], y[train])
        errors = [
            np.nanmean((np.ravel(out)[2:] - y[int(k)].ravel()[2:]) ** 2)
            for k, out in zip(test, alone.predict(X[test]), strict=True)
        ]
        np.testing.assert_allclose(losses.raw[test], errors, rtol=1e-4)  # of float32
        mean = np.mean([np.nanmean(y[int(k)][2:]) for k in train])  # each series counts once
        chance = [np.nanmean((y[int(k)].ravel()[2:] - mean) ** 2) for k in test]
        np.testing.assert_allclose(losses.chance[test], chance, rtol=1e-6)


@pytest.mark.parametrize("name", list(PROBES))
def test_every_probe_of_settings_is_bitwise_the_estimator_with_these_parameters(name: str) -> None:
    net = SequenceClassifier(hidden_size=8, max_epochs=3, batch_size=16, dropout=0.1)
    one = made(net)
    base = one.repeat(0)
    variant = PROBES[name].variant(base)
    if not isinstance(variant, Variant) or not variant.is_setting:
        return
    members = tried(one, base, name)[name].members
    train, test = base.folds[1]
    alone = clone(net).set_params(random_state=base.member_seed(1), **variant.parameters).fit(X[train], LABELS[train])
    np.testing.assert_array_equal(members[1].predict_proba(X[test]), alone.predict_proba(X[test]))


def test_every_member_of_the_base_starts_from_a_seed_of_its_own_and_its_variants_from_the_same(
    trained: list[Fit],
) -> None:
    one = made(SequenceClassifier(hidden_size=2, max_epochs=1))
    for number in range(2):
        tried(one, one.repeat(number), "lr x4", "half of the data")
    seeds = np.array([fit.estimator.get_params()["random_state"] for fit in trained]).reshape(
        2, 3, 3
    )  # repeat, condition, fold
    assert len(np.unique(seeds[:, 0])) == 6
    assert (seeds == seeds[:, :1]).all()


def test_what_is_trained_is_named_before_its_progress(capsys: pytest.CaptureFixture[str]) -> None:
    one = made(SequenceClassifier(hidden_size=2, max_epochs=1), verbose=True)
    tried(one, one.repeat(0), "lr x4", "half of the data")
    said = capsys.readouterr()
    assert said.err.splitlines()[0] == "diagnose: base, lr x4, half of the data"
    assert not said.out


@pytest.mark.parametrize("batch_size", [2, 4, 32])
@pytest.mark.parametrize(("name", "fraction"), [("half of the data", 1 / 2), ("quarter of the data", 1 / 4)])
def test_less_data_trains_as_many_steps(batch_size: int, name: str, fraction: float, trained: list[Fit]) -> None:
    net = SequenceClassifier(hidden_size=2, max_epochs=8, patience=4, batch_size=batch_size)
    one = made(net)
    base = one.repeat(0)
    result = tried(one, base, name)
    assert len(trained) == 6
    for (train, _), fit, member, whole in zip(
        base.folds, trained[3:], result[name].members, result["base"].members, strict=True
    ):
        own = fit.train_indices
        assert len(own) == round(fraction * len(train))
        assert set(own) < set(train)
        assert np.bincount(LABELS[own]).min() >= fraction * len(train) / 3 - 1  # every class in proportion
        per_epoch = -(-len(own) // batch_size)
        taken = member.n_iter_ * per_epoch
        expected = whole.n_iter_ * -(-len(train) // batch_size)
        assert abs(taken - expected) <= per_epoch / 2
        assert member.patience / whole.patience == pytest.approx(member.n_iter_ / whole.n_iter_, rel=0.2)


def test_less_data_is_part_of_more_and_keeps_groups_whole(trained: list[Fit]) -> None:
    one = made(SequenceClassifier(hidden_size=2, max_epochs=1), groups=GROUPS)
    base = one.repeat(0)
    tried(one, base, "half of the data", "quarter of the data")
    for (train, _), half, quarter in zip(base.folds, trained[3:6], trained[6:], strict=True):
        assert set(quarter.train_indices) < set(half.train_indices) < set(train)
        for fit in (half, quarter):
            outside = np.setdiff1d(train, fit.train_indices)
            assert not set(GROUPS[fit.train_indices]) & set(GROUPS[outside])


def test_a_number_of_folds_is_drawn_anew_each_repeat_and_given_folds_stay() -> None:
    net = SequenceClassifier(hidden_size=2, max_epochs=1)
    drawn = made(net)
    assert {tuple(test) for _, test in drawn.repeat(0).folds} != {tuple(test) for _, test in drawn.repeat(1).folds}
    pairs = list(StratifiedKFold(3).split(np.zeros(N), LABELS))
    masks = [(np.isin(np.arange(N), train), np.isin(np.arange(N), test)) for train, test in pairs]
    for cv in (StratifiedKFold(3), pairs, masks, iter(pairs)):
        one = made(net, cv=cv)
        first, second = one.repeat(0), one.repeat(1)
        assert first.seed != second.seed
        for (train, test), *others in zip(pairs, first.folds, second.folds, strict=True):
            for other in others:
                np.testing.assert_array_equal(other[0], train)
                np.testing.assert_array_equal(other[1], test)


def test_folds_of_a_number_have_every_class_in_proportion_and_keep_groups_whole() -> None:
    net = SequenceClassifier(hidden_size=2, max_epochs=1)
    for _, test in made(net).repeat(0).folds:
        np.testing.assert_array_equal(np.bincount(LABELS[test]), N // 9)
    for train, test in made(net, groups=GROUPS).repeat(0).folds:
        assert not set(GROUPS[train]) & set(GROUPS[test])


def test_whole_groups_are_tried_where_given_folds_part_them(trained: list[Fit]) -> None:
    net = SequenceClassifier(hidden_size=2, max_epochs=1)
    one = made(net, groups=GROUPS, cv=KFold(3, shuffle=True, random_state=0))
    base = one.repeat(0)
    assert any(set(GROUPS[train]) & set(GROUPS[test]) for train, test in base.folds)
    tried(one, base, "whole groups")
    for fit in trained[3:]:
        outside = np.setdiff1d(np.arange(N), fit.train_indices)
        assert not set(GROUPS[fit.train_indices]) & set(GROUPS[outside])


def test_shuffled_targets_are_the_same_ones_elsewhere() -> None:
    for y in (LABELS, steps()):
        base = made(SequenceRegressor(hidden_size=2), y).repeat(0)
        variant = PROBES["permuted targets"].variant(base)
        assert isinstance(variant, Variant)
        now, before = (np.asarray([np.ravel(one) for one in part]) for part in (variant.y, base.y))  # type: ignore[union-attr]
        assert not np.array_equal(now, before, equal_nan=True)
        np.testing.assert_array_equal(np.sort(now, axis=0), np.sort(before, axis=0))


@pytest.mark.parametrize("groups", [None, np.zeros(30)], ids=["no groups", "a single group"])
def test_windows_of_one_series_are_divided_in_time_and_each_test_block_is_one_unit(groups: ndarray | None) -> None:
    X = windows()
    divided = list(PurgedTimeSeriesSplit(4).split(X))
    for cv in (4, "4", "purged:4", PurgedTimeSeriesSplit(4), divided):
        one = in_windows(X, cv=cv, groups=groups)
        assert (one.unit_name, one.units.count) == ("blocks of time", 4)
        for base in (one.repeat(0), one.repeat(1)):
            assert base.groups is None
            for number, ((train, test), (own_train, own_test)) in enumerate(zip(divided, base.folds, strict=True)):
                np.testing.assert_array_equal(own_train, train)
                np.testing.assert_array_equal(own_test, test)
                assert set(one.units.number[test]) == {number}


def test_walking_forward_tests_one_block_per_fold_and_what_is_never_tested_is_no_unit_of_its_own() -> None:
    X = windows()
    one = in_windows(X, cv="forward:4")
    assert one.units.count == 4
    for number, (_, test) in enumerate(one.repeat(0).folds):
        assert set(one.units.number[test]) == {number}


@pytest.mark.parametrize(("cv", "count"), [("kfold:4", 4), ("loo", 10)])
def test_of_folds_that_are_not_in_time_the_units_are_stretches_of_it_all_the_same(cv: str, count: int) -> None:
    X = windows()
    assert X.source is not None
    units = in_windows(X, cv=cv).units
    in_time = units.number[np.argsort(X.source.begins)]
    np.testing.assert_array_equal(in_time, np.sort(in_time))
    sizes = np.bincount(in_time)
    assert (len(sizes), units.count) == (count, count)
    assert sizes.max() - sizes.min() <= 1


def test_the_error_of_a_gain_in_windows_of_one_series_is_that_of_the_means_of_blocks() -> None:
    units = in_windows(windows()).units
    gains = RNG.normal(size=(2, 30))
    sizes = np.bincount(units.number)
    whole = gains.mean(1)  # of all windows of a repeat
    deviations = [
        size / 30 * (row[units.number == number].mean() - whole.mean())
        for row in gains
        for number, size in enumerate(sizes)
    ]
    expected = np.sqrt(np.square(deviations).sum() / 2 * 4 / 3)
    assert pooled_gain(gains, units).error == pytest.approx(expected, rel=1e-12)


def test_less_data_of_one_series_is_a_stretch_of_time_that_holds_the_shorter_one(trained: list[Fit]) -> None:
    X = windows()
    assert X.source is not None
    one = in_windows(X)
    base = one.repeat(0)
    tried(one, base, "half of the data", "quarter of the data")
    begins = set()
    for (train, _), half, quarter in zip(base.folds, trained[4:8], trained[8:], strict=True):
        order = train[np.argsort(X.source.begins[train])]
        for fit, fraction in ((half, 0.5), (quarter, 0.25)):
            inside = np.isin(order, fit.train_indices)
            assert inside.sum() == round(fraction * len(train))
            assert (inside != np.roll(inside, 1)).sum() == 2  # one stretch, going round
        assert set(quarter.train_indices) < set(half.train_indices)
        begins.add(int(np.flatnonzero(np.isin(order, half.train_indices))[0]))
    assert len(begins) > 1


def test_windows_of_several_series_have_these_for_units() -> None:
    whole = Sequences.from_arrays(list(RNG.normal(size=(8, 16, 2)).astype(np.float32)))
    one = in_windows(whole.windows(4, 2), cv=4)
    assert (one.unit_name, one.units.count) == ("groups", 8)
