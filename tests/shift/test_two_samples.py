"""Tests between two samples: their false alarms, what they find, what they say of it, and what they refuse."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache, partial
from inspect import unwrap  # of the checker of types, as for callers
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter
from scipy.special import softmax
from sklearn.datasets import load_digits

from throughtime.data import Sequences, as_sequences
from throughtime.errors import DataError, ParameterError
from throughtime.shift import (
    Embedding,
    ShiftTest,
    classifier_two_sample_test,
    concept_test,
    covariate_test,
    covariate_weights,
    estimate_priors,
    mean_shift_test,
    mmd_test,
    output_test,
    predicted_class_test,
    series_given_target_test,
    summarize,
    target_given_series_test,
    target_test,
    two_samples,
)
from throughtime.shift.embedding import units_of

Test = Callable[..., ShiftTest]
ON_ARRAYS = [mean_shift_test, mmd_test, classifier_two_sample_test, output_test, predicted_class_test, target_test]
ALL = [*ON_ARRAYS, covariate_test]
APART = np.array([0.0, 9.0])


def autoregressive(rng: np.random.Generator, n: int, channels: int, memory: float) -> Sequences:
    """Ragged series in their stationary state, of deviation 1."""
    noise = rng.normal(size=(n, 80, channels)) * np.sqrt(1 - memory**2)
    values = lfilter([1], [1, -memory], noise, axis=1)[:, 50:]
    return Sequences.from_arrays([x[: rng.integers(12, 31)] for x in values])


def embedding(X: Sequences, rng: np.random.Generator, groups: Any = None) -> Embedding:
    """As of a network whose outputs follow the first channel's mean."""
    summaries, names = summarize(X)
    logits = summaries[:, :1] * [2.0, 0.0, -2.0] + rng.normal(size=(len(X), 3)) / 3
    nothing = np.zeros((len(X), 0))
    target = logits.argmax(1)
    return Embedding(summaries, names, logits, nothing, np.zeros(len(X), int), target, groups)


def pair(
    seed: int, n: int = 40, channels: int = 2, memory: float = 0.5, moved: float = 0.0
) -> tuple[Embedding, Embedding]:
    """Reference, and deployed series whose first channel moved."""
    rng = np.random.default_rng(seed)
    reference = autoregressive(rng, n, channels, memory)
    deployed = autoregressive(rng, n, channels, memory)
    values = deployed.values.copy()
    values[:, 0] += moved
    return embedding(reference, rng), embedding(deployed.with_channels(values), rng)


@pytest.mark.parametrize("memory", [0.0, 0.9])
@pytest.mark.parametrize("channels", [1, 20])
def test_a_joint_test_of_the_same_distribution_rejects_as_often_as_it_says(memory: float, channels: int) -> None:
    p = [
        covariate_test(*pair(seed, 20, channels, memory), permutations=39, random_state=seed).p_value
        for seed in range(60)
    ]
    # P(more than 8 of 60 at .05) is .003.
    assert np.sum(np.array(p) <= 0.05) <= 8


@cache
def null_pairs() -> list[tuple[Embedding, Embedding]]:
    return [pair(seed, 20) for seed in range(80)]


@pytest.mark.parametrize("test", ALL)
def test_p_values_are_uniform_where_nothing_moved(test: Test) -> None:
    p = [test(*sides, permutations=39, random_state=seed).p_value for seed, sides in enumerate(null_pairs())]
    # Ties, as of few classes, make p-values larger.
    for level in (0.1, 0.3, 0.5):
        assert np.mean(np.array(p) <= level) <= level + 2.6 * np.sqrt(level * (1 - level) / 80)


def test_pooled_steps_alarm_where_whole_series_do_not() -> None:
    pooled, ours = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        reference, deployed = autoregressive(rng, 40, 1, 0.9), autoregressive(rng, 40, 1, 0.9)
        pooled.append(stats.ks_2samp(reference.values[:, 0], deployed.values[:, 0]).pvalue <= 0.05)
        test = partial(mean_shift_test, permutations=39, random_state=seed)
        ours.append(test(summarize(reference)[0], summarize(deployed)[0]).p_value <= 0.05)
    assert np.mean(pooled) > 0.4
    assert np.mean(ours) <= 0.15  # P(more than 9 of 60 at .05) is .001


def test_series_of_one_group_count_as_one() -> None:
    """Ten subjects a side, ten series each, which differ between subjects alone."""
    as_groups, as_series = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        values = np.repeat(rng.normal(size=(20, 2)), 10, axis=0) + 0.1 * rng.normal(size=(200, 2))
        subjects = np.repeat(np.arange(20), 10)
        sides = values[:100], values[100:]
        test = partial(mean_shift_test, *sides, permutations=39, random_state=seed)
        as_groups.append(test(groups=(subjects[:100], subjects[100:])).p_value <= 0.05)
        as_series.append(test().p_value <= 0.05)
    assert np.mean(as_groups) <= 0.15
    assert np.mean(as_series) > 0.5


def test_stretches_of_one_long_series_alarm_less_in_blocks_longer_than_its_memory() -> None:
    by_window, by_block = [], []
    for seed in range(60):
        whole = lfilter([1], [1, -0.97], np.random.default_rng(seed).normal(size=9000))[1000:]
        halves = [Sequences.from_arrays([half[:, None]]).windows(20, 20) for half in np.split(whole, 2)]
        blocks = [units_of(X, None, 200, deployed=side).groups for X, side in zip(halves, (False, True), strict=True)]
        test = partial(mean_shift_test, *(summarize(X)[0] for X in halves), permutations=39, random_state=seed)
        by_window.append(test().p_value <= 0.05)
        by_block.append(test(groups=(blocks[0], blocks[1])).p_value <= 0.05)
    assert np.mean(by_window) > 0.12
    assert np.mean(by_block) <= 8 / 60  # P(more than 8 of 60 at .05) is .003


@pytest.mark.parametrize("test", ALL)
def test_a_moved_channel_is_found(test: Test) -> None:
    found = test(*pair(0, moved=1.0))
    assert found.p_value == 0.005
    assert (found.unit, found.n_reference, found.n_deployed, found.permutations) == ("series", 40, 40, 199)


def test_a_change_of_spread_is_found_by_squares_alone() -> None:
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(80, 3)), rng.normal(size=(80, 3)) * [1, 3, 1]
    assert mean_shift_test(*sides).p_value <= 0.01
    assert mean_shift_test(*sides, names=["a", "b", "c"]).most == "b squared"
    assert mean_shift_test(*sides, squares=False).p_value > 0.05


def test_half_the_images_moved_by_a_pixel_are_found() -> None:
    images = load_digits().images
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(images), 100, replace=False)
        reference, deployed = images[chosen[:50]], images[chosen[50:]].copy()
        deployed[:25] = np.roll(deployed[:25], 1, axis=2)
        by_row = mmd_test(reference.reshape(50, -1), deployed.reshape(50, -1), standardized=False, permutations=99)
        sides = [embedding(as_sequences(part), rng) for part in (reference, deployed)]
        found.append([by_row.p_value <= 0.05, covariate_test(*sides, permutations=99).p_value <= 0.05])
    assert (np.mean(found, 0) >= 0.95).all()


def test_a_mean_that_moved_has_its_size_as_effect() -> None:
    rng = np.random.default_rng(0)
    reference, deployed = rng.normal(size=(400, 3)) * 5, rng.normal(size=(300, 3)) * 5 + [0, 0, -4]
    found = mean_shift_test(reference, deployed, names=["a", "b", "c"])
    assert found.most == "c"
    assert found.low < -0.8 < found.high
    assert found.effect == pytest.approx(-0.8, abs=0.2)
    assert found.effect_unit == "sd"


@pytest.mark.parametrize(
    "test", [mean_shift_test, mmd_test, partial(mmd_test, standardized=False), classifier_two_sample_test, target_test]
)
def test_a_unit_that_makes_values_very_large_or_small_changes_no_test(test: Test) -> None:
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(40, 2)), rng.normal(size=(30, 2)) + 2
    plain = test(*sides, permutations=39)
    assert plain.p_value == 1 / 40
    for exponent in (660, -660):  # 1e199, and its inverse
        assert test(*(np.ldexp(side, exponent) for side in sides), permutations=39) == plain


def coverage(test: Test, moved: float, truth: float) -> float:
    """How often the interval of a shift of one Gaussian column holds the truth."""
    inside = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = test(rng.normal(size=(50, 1)), rng.normal(size=(50, 1)) + moved, permutations=99, random_state=seed)
        inside.append(found.low <= truth <= found.high)
    return float(np.mean(inside))


@pytest.mark.parametrize(
    ("test", "truth"),
    [
        (partial(mean_shift_test, squares=False), 0.7),
        (classifier_two_sample_test, stats.norm.cdf(0.7 / np.sqrt(2))),
        (output_test, 2 * stats.norm.cdf(0.35) - 1),
    ],
    ids=["mean", "AUC", "KS"],
)
def test_intervals_hold_the_true_effect(test: Test, truth: float) -> None:
    assert coverage(test, 0.7, truth) >= 0.88  # P(fewer than 88 of 100 at .95) is .002


@pytest.mark.parametrize(("groups", "level"), [(1, 0.05), (5, 0.05), (1, 0.01)])
def test_what_is_detectable_is_found_four_times_in_five(groups: int, level: float) -> None:
    """Also where it takes whole groups of series that are alike."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        shared = np.repeat(rng.normal(size=(120 // groups, 4)), groups, axis=0)
        return (shared + rng.normal(size=(120, 4))) / np.sqrt(2)

    labels = np.repeat(np.arange(120 // groups), groups)
    test = partial(mean_shift_test, squares=False, permutations=199, groups=(labels, -1 - labels), level=level)
    sizes = [test(draw(rng), draw(rng)).detectable for rng in map(np.random.default_rng, range(10))]
    size = float(np.mean(sizes))
    found = []
    for seed in range(100):
        rng = np.random.default_rng(100 + seed)
        found.append(test(draw(rng), draw(rng) + np.array([size, 0, 0, 0]), random_state=seed).p_value <= level)
    assert 0.68 <= np.mean(found) <= 0.92  # of 100 draws, known to .04


def test_class_fractions_are_compared_with_the_label_that_moved() -> None:
    reference, deployed = np.repeat([0, 4, 7], [50, 50, 50]), np.repeat([0, 4, 7], [20, 50, 80])
    found = target_test(reference, deployed)
    assert found.statistic == pytest.approx(stats.chi2_contingency([[50, 50, 50], [20, 50, 80]]).statistic)
    assert found.effect == pytest.approx(0.2) or found.effect == pytest.approx(-0.2)
    assert found.most in ("class 0", "class 7")
    assert found.p_value == 0.005


def test_numbers_as_targets_are_compared_in_mean_and_spread() -> None:
    rng = np.random.default_rng(0)
    assert target_test(rng.normal(size=80), 2 * rng.normal(size=80)).most == "target 0 squared"


def test_outputs_of_embeddings_are_probabilities_where_they_are_logits() -> None:
    reference, deployed = pair(0, moved=0.5)
    by_hand = output_test(softmax(reference.outputs, 1), softmax(deployed.outputs, 1))
    assert output_test(reference, deployed) == by_hand
    numbers = [replace(sample, has_logits=False) for sample in (reference, deployed)]
    assert output_test(*numbers) == output_test(reference.outputs, deployed.outputs)
    with pytest.raises(DataError, match=r"^a test of predicted classes needs logits"):
        predicted_class_test(*numbers)
    assert covariate_test(*numbers).p_value <= 0.05


def test_neither_temperature_nor_bias_of_the_logits_changes_their_t_statistics() -> None:
    reference, deployed = pair(0, moved=0.4)
    plain = mean_shift_test(reference.outputs, deployed.outputs, squares=False)
    moved = mean_shift_test(reference.outputs * 3 + [1, -2, 0], deployed.outputs * 3 + [1, -2, 0], squares=False)
    assert moved.statistic == pytest.approx(plain.statistic)
    assert moved.p_value == plain.p_value


def test_the_same_seed_gives_the_same_test() -> None:
    samples = pair(1)
    for test in ALL:
        assert test(*samples, random_state=3) == test(*samples, random_state=3)


def test_of_very_many_series_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_samples, "MOST_PAIRED", 15)
    samples = pair(0, moved=1.0)
    groups = np.arange(40), -1 - np.arange(40)
    for found in (covariate_test(*samples), mmd_test(samples[0].summaries, samples[1].summaries, groups=groups)):
        assert (found.n_reference, found.n_deployed) == (15, 15)
        assert found.p_value <= 0.05


def test_blocks_and_groups_are_named_as_what_was_permuted() -> None:
    samples = [
        replace(sample, groups=np.repeat(np.arange(10), 4) + shift, unit="block")
        for sample, shift in zip(pair(0), (0, 10), strict=True)
    ]
    found = covariate_test(*samples)
    assert (found.unit, found.n_reference, found.n_deployed) == ("block", 10, 10)
    named = [sample.summaries for sample in samples]
    text = np.repeat(list("abcdefghij"), 4), np.repeat(np.arange(10), 4)
    assert mean_shift_test(*named, groups=text).unit == "group"
    assert mean_shift_test(*samples, groups=text).unit == "group"


@pytest.mark.parametrize("test", ON_ARRAYS)
def test_what_cannot_be_compared_is_refused(test: Test) -> None:
    values = np.random.default_rng(0).normal(size=(10, 3))
    if test is not target_test:
        with pytest.raises(DataError, match=r"need the same columns on both sides, got 3 and 2$"):
            test(values, values[:, :2])
    spoiled = values.copy()
    spoiled[4, 1] = np.nan
    with pytest.raises(DataError, match=r"need finite values, got nan in row 4, column 1 of the deployed side"):
        test(values, spoiled)
    for empty in (values[:0], values[:1]):
        with pytest.raises(
            DataError, match=rf"^shift tests need at least two series on the deployed side, got {len(empty)}"
        ):
            test(values, empty)
    with pytest.raises(DataError, match=r"^shift tests need at least two series on the reference side, got 0"):
        test(values[:0], values[:0])
    with pytest.raises(ParameterError, match=r"^permutations needs a whole number of at least 19"):
        test(values, values, permutations=9)
    with pytest.raises(
        DataError, match=r"^shift tests need at least two groups on the reference side, got 1; windows of one"
    ):
        test(values, values, groups=(np.zeros(10), np.arange(1, 11)))
    with pytest.raises(DataError, match=r"^shift tests need each group on one side, got 0 among"):
        test(values, values, groups=(np.arange(10), np.arange(10)))
    with pytest.raises(DataError, match=r"^groups need one value for each of 10 series, got 3$"):
        test(values, values, groups=(np.arange(3), None))


def test_embeddings_of_other_channels_or_without_targets_are_refused() -> None:
    reference, deployed = pair(0)
    other = replace(deployed, summary_names=("y0 mean", *deployed.summary_names[1:]))
    with pytest.raises(DataError, match=r"^shift tests need the same summaries on both sides, got 'x0 mean' on one"):
        covariate_test(reference, other)
    with pytest.raises(DataError, match=r"^a test of targets needs them on both sides, got an embedding without"):
        target_test(reference, replace(deployed, target=None))
    with pytest.raises(DataError, match=r"^a test of targets needs classes or numbers on both sides, got one of each"):
        target_test(reference, replace(deployed, target=np.full(40, 0.5)))
    with pytest.raises(DataError, match=r"^names need one for each of 3 columns, got 2$"):
        mean_shift_test(np.ones((4, 3)), np.ones((4, 3)), names=["a", "b"])
    with pytest.raises(DataError, match=r"^columns need real numbers, got <U1 on the reference side$"):
        mean_shift_test(np.full((4, 3), "a"), np.ones((4, 3)))
    with pytest.raises(DataError, match=r"^columns need two axes, \(series, column\), got shape \(4, 3, 1\)"):
        mean_shift_test(np.ones((4, 3, 1)), np.ones((4, 3)))


@pytest.mark.parametrize("test", [mean_shift_test, mmd_test, classifier_two_sample_test, output_test])
def test_constant_columns_and_very_unequal_sides_give_no_alarm(test: Test) -> None:
    assert test(np.ones((30, 2)), np.ones((5, 2))).p_value == 1
    rng = np.random.default_rng(0)
    found = test(rng.normal(size=(300, 2)), rng.normal(size=(4, 2)))
    assert found.p_value > 0.05
    assert np.isfinite([found.effect, found.low, found.high, found.detectable]).all()


@pytest.mark.parametrize("test", ON_ARRAYS[:4])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_frames_go_by_their_names(test: Test, library: str) -> None:
    frame = pytest.importorskip(library).DataFrame
    rng = np.random.default_rng(0)
    reference, deployed = rng.normal(size=(40, 2)) + APART, rng.normal(size=(30, 2)) + APART
    one, other = ({"a": side[:, 0], "b": side[:, 1]} for side in (reference, deployed))
    turned, strange = (frame(dict(zip(names, (other["b"], other["a"]), strict=True))) for names in ("ba", "bc"))
    plain = test(reference, deployed)
    assert plain.p_value > 0.05
    found = test(frame(one), turned)
    assert replace(found, most="") == replace(plain, most="")
    assert (found.most == "") == (plain.most == "")
    assert found.most.split(" ")[0] in ("", "a", "b")
    with pytest.raises(DataError, match=r"need the same names on both sides, once each, got 'a' on one of them"):
        test(frame(one), strange)
    assert test(frame(one), deployed) == found  # without names columns go by their place


@pytest.mark.usefixtures("types_unchecked")
def test_weights_and_priors_take_the_columns_of_frames_by_their_names() -> None:
    frame = pytest.importorskip("pandas").DataFrame
    reference, deployed = pair(0, moved=0.5)
    for function, sides in (
        (covariate_weights, (reference.summaries[:, :3], deployed.summaries[:, :3])),
        (
            lambda one, other: estimate_priors(one, reference.target, other, repeats=2),
            (reference.outputs, deployed.outputs),
        ),
    ):
        one, other = (frame(side, columns=["a", "b", "c"]) for side in sides)
        np.testing.assert_equal(asdict(function(one, other[["c", "a", "b"]])), asdict(function(*sides)))


@pytest.mark.parametrize("test", ON_ARRAYS[:3])
def test_series_are_compared_by_their_summaries(test: Test) -> None:
    rng = np.random.default_rng(0)
    sides = [autoregressive(rng, 20, 2, 0.5) for _ in "ab"]
    groups = [np.repeat(np.arange(10), 2) + first for first in (0, 10)]
    owned = [X.replace(groups=own) for X, own in zip(sides, groups, strict=True)]
    by_hand = test(*(summarize(X)[0] for X in sides), groups=tuple(groups))
    found = test(*owned)
    assert replace(found, most="") == replace(by_hand, most="")
    assert found.unit == "group"
    values = sides[1].values.copy()
    values[: sides[1].lengths[0], 1] = np.nan  # a channel of a series has no value
    assert test(sides[0], sides[1].with_channels(values)).p_value > 0.05
    with pytest.raises(
        DataError, match=r"needs a row of one length per series, got list of several lengths; of series"
    ):
        test(list(sides[0]), list(sides[1]))


def test_series_have_no_outputs_or_targets_and_arrays_are_no_embeddings() -> None:
    X, values = autoregressive(np.random.default_rng(0), 20, 2, 0.5), np.zeros((20, 3))
    for test, what in ((output_test, "outputs"), (predicted_class_test, "outputs"), (target_test, "targets")):
        with pytest.raises(
            DataError, match=rf"^{what} need a row per series, got Sequences on the reference side; embed"
        ):
            test(X, X)
    for test in map(unwrap, (covariate_test, concept_test, target_given_series_test, series_given_target_test)):
        for other in (X, values):
            with pytest.raises(
                DataError, match=rf"needs embeddings on both sides, got {type(other).__name__}; embed\("
            ):
                test(other, other)


def test_classes_may_have_any_names() -> None:
    codes = np.repeat([0, 1, 2], [50, 30, 20]), np.repeat([0, 1, 2], [20, 30, 50])
    expected = target_test(*codes)
    words = np.array(["ebb", "flow", "slack"])
    pandas = pytest.importorskip("pandas")
    for named in (words, words.astype(object)):
        for made in (np.asarray, list, pandas.Series, pandas.Categorical):
            found = target_test(*(made(named[side]) for side in codes))
            assert found == replace(expected, most=f"class {words[int(expected.most[-1])]}")
    truth = [side > 0 for side in codes]
    assert replace(target_test(*truth), most="") == replace(target_test(*(side.astype(int) for side in truth)), most="")
    assert target_test(codes[0], codes[1].astype(float)) == expected
    for other, said in (
        (words[codes[1]], "got one of each"),
        (codes[1] + 0.5, "got one of each"),
        (np.where(codes[1], codes[1], np.nan), "the target of the deployed side needs a value .*, series 0 has none"),
        ([*words[codes[1]][1:], None], "the target of the deployed side needs a value for every series, series 99 has"),
    ):
        with pytest.raises(DataError, match=said):
            target_test(codes[0], other)


@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize("test", ALL)
def test_what_is_no_seed_is_refused(test: Test) -> None:
    for seed in (-1, "a"):
        with pytest.raises(ParameterError, match=r"^random_state needs a whole number of at least 0, or None"):
            test(*pair(0), random_state=seed)
