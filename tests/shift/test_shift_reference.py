"""The reference out of fold, and deployed series as one member each sees them."""

import warnings
from dataclasses import replace
from functools import cache
from inspect import unwrap  # of the checker of types, as for callers
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from throughtime import SequenceClassifier, SequenceRegressor, fit_members
from throughtime.data import Sequences
from throughtime.errors import DataError, DataWarning, ParameterError
from throughtime.shift import Reference, embed, mean_shift_test, output_test, reference_of
from throughtime.shift.embedding import take

N = 45
LABELS = np.array(["left", "mid", "right"])
CODES = np.arange(N) % 3
SMALL: dict[str, Any] = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}
SPLITS = list(StratifiedKFold(3, shuffle=True, random_state=0).split(CODES[:, None], CODES))
OTHERS = slice(0, 20)


def series(**extras: Any) -> Sequences:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(rng.integers(4, 9), 2)) + code for code in CODES]
    return Sequences.from_arrays(arrays, **extras)


def steps() -> list[np.ndarray]:
    """A target per step, the first unobserved."""
    targets = [x.sum(1) for x in series()]
    for y in targets:
        y[0] = np.nan
    return targets


@cache
def members(kind: str = "classes") -> tuple[Any, ...]:
    estimator: Any = SequenceRegressor(**SMALL)
    if kind in ("classes", "step classes"):
        estimator = SequenceClassifier(**SMALL)
    elif kind == "forecast":
        estimator = SequenceRegressor(horizon=2, **SMALL)
    fitted = fit_members([estimator] * 3, series(), target(kind), train_indices=[train for train, _ in SPLITS])
    return tuple(fitted)


def target(kind: str) -> Any:
    numbers = np.array([x.mean() for x in series()])
    signs = [np.where(np.isnan(y), np.nan, y > 0) for y in steps()]
    return {"classes": LABELS[CODES], "numbers": numbers, "step classes": signs}.get(kind, steps())


def reference(kind: str = "classes", **options: Any) -> Reference:
    return reference_of(members(kind), series(), target(kind), SPLITS, **options)


def fold_of() -> np.ndarray:
    fold = np.empty(N, int)
    for m, (_, test) in enumerate(SPLITS):
        fold[test] = m
    return fold


def test_a_series_of_the_reference_is_seen_by_the_member_that_tests_on_it() -> None:
    found = reference().embedding
    np.testing.assert_array_equal(found.member, fold_of())
    for number, member in enumerate(fold_of()):
        log = np.log(members()[member].predict_proba(series()[[number]])[0])
        np.testing.assert_allclose(found.outputs[number], log - log.mean(), rtol=0, atol=1e-6)  # float32
    assert found.states.shape == (N, 4)
    assert found.has_logits
    assert found.class_labels is not None
    assert found.class_labels.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(found.target, CODES)
    assert reference().in_sample == 0


def test_a_deployed_series_is_seen_by_one_member_and_not_by_their_mean() -> None:
    found = embed(reference(), series()[OTHERS], random_state=3)
    for number, member in enumerate(found.member):
        log = np.log(members()[member].predict_proba(series()[[number]])[0])
        np.testing.assert_allclose(found.outputs[number], log - log.mean(), rtol=0, atol=1e-6)  # float32
    assert found.target is None


def test_members_are_drawn_as_often_as_they_had_a_series_of_the_reference() -> None:
    splits = [np.arange(0, 5), np.arange(5, 15), np.arange(15, 45)]
    own = reference_of(members(), series(), target("classes"), splits)
    found = [embed(own, series(), random_state=seed).member for seed in range(2)]
    for member in found:
        assert np.bincount(member).tolist() == [5, 10, 30]
    assert found[0].tolist() != found[1].tolist()
    np.testing.assert_array_equal(embed(own, series(), random_state=1).member, found[1])


def test_a_group_is_seen_by_one_member() -> None:
    groups = np.array(list("abcdefghi")).repeat(5)
    found = embed(reference(), series(), groups=groups)
    assert all(len(set(found.member[groups == group])) == 1 for group in set(groups))
    assert len(set(found.member)) == 3
    assert found.unit == "group"


@pytest.mark.parametrize("kind", ["numbers", "steps", "forecast", "step classes"])
def test_outputs_are_predictions_or_their_mean_and_deviation_over_steps(kind: str) -> None:
    own = reference(kind)
    found = own.embedding
    assert not found.has_logits
    assert own.classes is None
    for number, member in enumerate(fold_of()[:9]):
        x, y = series()[[number]], target(kind)[number]
        estimator = members(kind)[member]
        if kind == "numbers":
            expected = estimator.predict(x)
            np.testing.assert_allclose(found.target[number], y)
        else:
            said = estimator.predict_proba(x) if kind == "step classes" else estimator.predict(x)
            expected = np.concatenate([np.nanmean(said.values, 0), np.nanstd(said.values, 0)])
            seen = y[2:] if kind == "forecast" else y[1:]
            columns = np.stack([seen == 0, seen == 1], 1) if kind == "step classes" else seen[:, None]
            np.testing.assert_allclose(found.target[number], [*columns.mean(0), *columns.std(0)])
        np.testing.assert_allclose(found.outputs[number], expected, rtol=1e-6, atol=1e-7)  # float32


def test_series_in_no_test_fold_are_left_out_and_those_in_several_are_drawn() -> None:
    splits = [np.arange(0, 30), np.arange(10, 30), []]
    own = reference_of(members(), series(), target("classes"), splits)
    np.testing.assert_array_equal(own.indices, np.arange(30))
    np.testing.assert_array_equal(own.embedding.target, CODES[:30])
    assert (own.embedding.member[:10] == 0).all()
    assert set(own.embedding.member[10:]) == {0, 1}
    again = reference_of(members(), series(), target("classes"), splits, random_state=1)
    assert again.embedding.member.tolist() != own.embedding.member.tolist()


def test_series_that_their_member_trained_on_are_counted_with_a_warning() -> None:
    everything = np.arange(N)
    splits = [SPLITS[0], SPLITS[1], (everything, SPLITS[2][1])]
    with pytest.warns(DataWarning, match=r"^a reference needs series that its networks did not train on, got 15 of 45"):
        own = reference_of(members(), series(), target("classes"), splits)
    assert own.in_sample == 15


def test_what_members_trained_on_is_unknown_where_a_split_does_not_say() -> None:
    X, y = series(), target("classes")
    assert reference_of(members(), X, y, [test for _, test in SPLITS]).in_sample is None
    assert reference_of(members(), X, y, [*SPLITS[:2], SPLITS[2][1]]).in_sample is None
    with pytest.warns(DataWarning, match="got 15 of 45"):
        seen = reference_of(members(), X, y, [(np.arange(N), SPLITS[0][1]), *(test for _, test in SPLITS[1:])])
    assert seen.in_sample == 15


@pytest.mark.filterwarnings("ignore:a reference needs series that its networks did not train on")
def test_a_reference_in_sample_alarms_where_one_out_of_fold_does_not() -> None:
    """Labels that nothing tells, learned by heart."""
    in_sample, out_of_fold = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, new = (Sequences.from_arrays([rng.normal(size=(rng.integers(12, 31), 2)) for _ in range(150)]) for _ in "ab")
        y = rng.integers(0, 3, 150)
        splits = list(StratifiedKFold(3, shuffle=True, random_state=seed).split(y[:, None], y))
        learner = SequenceClassifier(hidden_size=16, max_epochs=60, lr=0.02, random_state=seed)
        fitted = fit_members([learner] * 3, X, y, train_indices=[train for train, _ in splits])
        for found, pairs in ((out_of_fold, splits), (in_sample, [(train, train) for train, _ in splits])):
            own = reference_of(fitted, X, y, pairs)
            found.append(output_test(own.embedding, embed(own, new)).p_value)
    assert np.median(in_sample) <= 0.01
    assert np.median(out_of_fold) > 0.05


def test_a_channel_without_a_value_moves_no_other_summary() -> None:
    arrays = [x.copy() for x in series()]
    for x in arrays[:20]:
        x[:, 1] = np.nan
    masked = [SequenceClassifier(missing="mask", **SMALL)] * 3
    fitted = fit_members(masked, arrays, LABELS[CODES], train_indices=[train for train, _ in SPLITS])
    own = reference_of(fitted, series(), LABELS[CODES], SPLITS)
    found = embed(own, Sequences.from_arrays(arrays[:20]))
    np.testing.assert_allclose(found.summaries[:, 5:9], np.tile(own.embedding.summaries[:, 5:9].mean(0), (20, 1)))
    np.testing.assert_array_equal(found.summaries[:, 9], 1)


def test_a_constant_in_another_precision_is_the_same_constant() -> None:
    """.1 in float32 and float64 differ by 1.5e-8 of it, which is all that such a column varies."""
    arrays = [np.column_stack([x[:, 0], np.full(len(x), 0.1)]) for x in series()]
    narrow = [x.astype(np.float32) for x in arrays]
    fitted = fit_members([SequenceClassifier(**SMALL)] * 3, narrow, CODES, train_indices=[train for train, _ in SPLITS])
    own = reference_of(fitted, narrow, CODES, SPLITS)
    one, other = embed(own, narrow), embed(own, arrays)
    np.testing.assert_allclose(other.summaries, one.summaries, rtol=1e-4, atol=1e-6)  # float32
    assert mean_shift_test(own.embedding, take(other, np.arange(30))).p_value > 0.05
    np.testing.assert_array_equal(other.summaries[:, 5], own.embedding.summaries[0, 5])
    np.testing.assert_array_equal(other.stretches[..., 1], np.tile(own.embedding.stretches[0, :, 1], (N, 1)))
    far = embed(own, [x + np.array([0, 1e-3]) for x in arrays])
    np.testing.assert_allclose(far.summaries[:, 5], 0.101)


def test_what_several_members_warn_of_is_said_once() -> None:
    arrays = [x.copy() for x in series()]
    for x in arrays[:20]:
        x[1, 1] = np.nan
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        embed(reference(), arrays)
    (one,) = said
    assert "X misses values" in str(one.message)
    assert one.category is DataWarning
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        embed(reference(), series(channel_names=["u", "v"]))
    (one,) = said
    assert "fitted without feature names" in str(one.message)


def test_windows_change_sides_with_their_series_or_with_their_block_of_steps() -> None:
    rng = np.random.default_rng(0)
    long = Sequences.from_arrays([rng.normal(size=(40, 2)), rng.normal(size=(30, 2))]).windows(5)
    y = CODES[np.arange(len(long)) % N]
    splits = [np.arange(m, len(long), 3) for m in range(3)]
    own = reference_of(members(), long, LABELS[y], splits)
    assert own.embedding.unit == "group"
    assert len(np.unique(own.embedding.groups)) == 2
    assert not set(own.embedding.groups) & set(embed(own, long).groups)
    blocked = reference_of(members(), long, LABELS[y], splits, block=10)
    found = embed(blocked, long)
    assert found.unit == "block"
    assert len(np.unique(found.groups)) == 7  # windows begin at steps 0 to 35, and 0 to 25
    with pytest.raises(DataError, match=r"^block needs windows, which know where"):
        reference(block=10)


def test_taking_series_takes_all_that_is_known_of_them() -> None:
    found = embed(reference(), series(), LABELS[CODES], groups=np.arange(N))
    some = take(found, np.array([7, 2]))
    assert len(some) == 2
    np.testing.assert_array_equal(some.states, found.states[[7, 2]])
    np.testing.assert_array_equal(some.target, CODES[[7, 2]])
    np.testing.assert_array_equal(some.groups, [7, 2])
    assert take(replace(found, target=None), np.array([1])).target is None


def test_series_of_other_channels_are_refused() -> None:
    named = series(channel_names=["u", "v"])
    fitted = fit_members([SequenceClassifier(**SMALL)] * 3, named, CODES, train_indices=[train for train, _ in SPLITS])
    own = reference_of(fitted, named, CODES, SPLITS)
    assert own.channel_names == ("u", "v")
    for others in (["u", "w"], ["v", "u"]):
        with pytest.raises(
            DataError,
            match=rf"^X needs the channels of the reference, in their order \(u, v\), got {', '.join(others)}$",
        ):
            embed(own, named.replace(channel_names=others))
    with pytest.raises(DataError, match=r"^X needs the 2 channels that SequenceClassifier was fitted on, got 1$"):
        embed(reference(), [np.ones((4, 1)), np.ones((4, 1))])
    with pytest.raises(DataError, match="inf"):
        embed(reference(), [np.full((4, 2), np.inf)])


def test_names_that_the_members_lack_are_the_references() -> None:
    """Of networks without names, as of a run of an earlier version."""
    named = series(channel_names=["u", "v"], static=np.ones((N, 1)), static_names=["age"])
    plain = named.replace(channel_names=(), static_names=())
    fitted = fit_members([SequenceClassifier(**SMALL)] * 3, plain, CODES, train_indices=[train for train, _ in SPLITS])
    with pytest.warns(UserWarning, match="was fitted without"):
        own = reference_of(fitted, named, CODES, SPLITS)
    for n in (N, 5):
        for what, others in (("channels", ["v", "u"]), ("static features", ["height"])):
            name = what.replace(" ", "_").removesuffix("s").removesuffix("_feature") + "_names"
            text = rf"^X needs the {what} of the reference, in their order \(.*\), got {', '.join(others)}$"
            with pytest.raises(DataError, match=text):
                embed(own, named.replace(**{name: others})[:n])
    assert embed(own, plain).summary_names == own.embedding.summary_names


def test_what_has_no_names_goes_by_place_with_a_warning_as_in_predict() -> None:
    named = series(channel_names=["u", "v"])
    fitted = fit_members([SequenceClassifier(**SMALL)] * 3, named, CODES, train_indices=[train for train, _ in SPLITS])
    own = reference_of(fitted, named, CODES, SPLITS)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        bare = embed(own, series())
    np.testing.assert_array_equal(bare.summaries, embed(own, named).summaries)
    assert bare.summary_names == own.embedding.summary_names
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        other = embed(reference(), named)
    assert other.summary_names == reference().embedding.summary_names


def test_targets_that_the_members_do_not_know_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"^y needs the classes that the members know \('left', 'mid', 'right'\), got 'up'"
    ):
        embed(reference(), series(), np.where(CODES, LABELS[CODES], "up"))
    with pytest.raises(
        DataError, match=r"^y needs a target per series, as the members were fitted on, got one per step"
    ):
        embed(reference(), series(), steps())
    with pytest.raises(
        DataError, match=r"^y needs a target per step, as the members were fitted on, got one per series"
    ):
        embed(reference("steps"), series(), CODES)
    with pytest.raises(DataError, match=r"^y needs numbers, as the members were fitted on, got 'left'"):
        embed(reference("numbers"), series(), LABELS[CODES])
    unseen = steps()
    unseen[4][:-1] = np.nan
    unseen[4][-1], unseen[7][:] = 1.0, np.nan
    with pytest.raises(DataError, match="series 7"):
        embed(reference("steps"), series(), unseen)


def test_members_and_splits_that_do_not_fit_are_refused() -> None:
    X, y = series(), LABELS[CODES]
    with pytest.raises(ParameterError, match=r"^a reference needs a split for each of 3 members, got 2$"):
        reference_of(members(), X, y, SPLITS[:2])
    with pytest.raises(
        ParameterError, match=r"^a reference needs its fitted estimators in a list, .* SequenceClassifier"
    ):
        unwrap(reference_of)(members()[0], X, y, SPLITS)
    with pytest.raises(
        ParameterError, match=r"^a reference needs a list of splits, got StratifiedKFold; of a splitter"
    ):
        unwrap(reference_of)(members(), X, y, StratifiedKFold(3))
    with pytest.raises(ParameterError, match=r"^random_state needs a whole number of at least 0, or None, got -1$"):
        reference_of(members(), X, y, SPLITS, random_state=-1)
    generated = reference_of(members(), X, y, (split for split in SPLITS))
    np.testing.assert_array_equal(generated.embedding.member, fold_of())
    with pytest.raises(ParameterError, match=r"^a reference needs at least one member, got none$"):
        reference_of([], X, y, [])
    with pytest.raises(ParameterError, match=r"^a reference needs fitted estimators, got ValueError for member 1$"):
        reference_of([members()[0], ValueError("one class")], X, y, SPLITS[:2])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"^splits need numbers of series among the 45 of X"):
        reference_of(members(), X, y, [np.array([45]), [0], [1]])
    with pytest.raises(DataError, match=r"^a reference needs series in a test fold, got none$"):
        reference_of(members(), X, y, [[], [], []])
    with pytest.raises(ParameterError, match=r"^block needs a whole number of steps of at least 1, got 0$"):
        reference(block=0)
    two = SequenceClassifier(**SMALL).fit(X[CODES > 0], y[CODES > 0])
    with pytest.raises(DataError, match=r"^members need the same classes, got \['mid', 'right'\] in member 1"):
        reference_of([members()[0], two], X, y, SPLITS[:2])
    with pytest.raises(ParameterError, match=r"^members need targets of one kind, got others in member 1"):
        reference_of([members()[0], members("numbers")[0]], X, y, SPLITS[:2])
