"""Corrected models, and the gate that they pass."""

import os
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy import ndarray
from planted_shifts import EQUAL, NET, Fitted, classifier, drawn, fitted_on, numbers_of, regressor, under_fitted
from scipy import stats
from scipy.special import log_softmax
from sklearn.base import clone

from throughtime.data import Sequences, as_targets, concatenate
from throughtime.errors import DataError, DataWarning, DivergenceError, ParameterError
from throughtime.estimators import SequenceClassifier, SequenceRegressor, predict_members, recalibrate
from throughtime.shift import (
    Correction,
    calibrate,
    candidates,
    correct,
    covariate_weights,
    embed,
    take,
    weighted_mean,
    weighted_validation,
)
from throughtime.shift.candidates import losses_of
from throughtime.shift.correction import _check_apart, _labels_for

#: ``make soak`` sets it: many samples instead of one.
SOAK = "THROUGHTIME_SOAK" in os.environ
TILTED = (0.75, 0.2, 0.05)


def corrected(fitted: Fitted, X: Sequences, y: Any, method: Any = "auto", **more: Any) -> Correction:
    changed = {name: more.pop(name) for name in ("verdict",) if name in more}
    diagnosis = fitted.diagnosed(X, y, **changed)
    return correct(fitted.model, diagnosis, reference=(fitted.X, fitted.y), deployed=(X, y), method=method, **more)


def fresh_loss(model: Any, fractions: tuple[float, ...]) -> float:
    return float(losses_of(model, *drawn(2000, fractions, seed=77)).mean())


def members_of_folds(fitted: Fitted, X: Sequences, y: ndarray, folds: list[ndarray]) -> list[Any]:
    """Plain fits of the joined series without each fold, and of all of them."""
    joined, targets = concatenate([fitted.X, X]), np.concatenate([fitted.y, y])
    keep = np.ones((len(folds) + 1, len(joined)), bool)
    for row, fold in zip(keep, folds, strict=False):
        row[len(fitted.X) + fold] = False
    return [clone(fitted.model).fit(joined[own], targets[own]) for own in keep]


def parts(n: int, seed: int = 0) -> list[ndarray]:
    place = np.random.default_rng(seed).permutation(n) % 5
    return [np.flatnonzero(place == fold) for fold in range(5)]


@pytest.mark.parametrize("method", ["auto", "refit", "priors"])
def test_labels_recover_most_of_what_a_label_shift_cost(method: str) -> None:
    fitted = classifier()
    X, y = drawn(200, TILTED, seed=5)
    found = corrected(fitted, X, y, method)
    assert found.applied
    assert found.low > 0
    before, after = fresh_loss(fitted.model, TILTED), fresh_loss(found.estimator, TILTED)
    # what priors that are known exactly leave
    p = np.unique(fitted.y, return_counts=True)[1] / len(fitted.y)
    own = calibrate(fitted.reference.embedding.outputs, fitted.reference.embedding.target)
    least = fresh_loss(recalibrate(fitted.model, own.temperature, own.bias + np.log(TILTED / p)), TILTED)
    assert before - after > 0.6 * (before - least)


def test_a_relabeling_is_learned_by_the_refit() -> None:
    """Concept shift: two of the classes change their names."""
    fitted = classifier()
    X, y = drawn(200, EQUAL, seed=6)
    y = np.select([y == "a", y == "b"], ["b", "a"], y)
    found = corrected(fitted, X, y, verdict="concept")
    assert found.method == "refit"
    assert found.gain == max(candidate.gain for candidate in found.candidates if not np.isnan(candidate.gain))
    X_new, y_new = drawn(500, EQUAL, seed=8)
    y_new = np.select([y_new == "a", y_new == "b"], ["b", "a"], y_new)
    assert losses_of(found.estimator, X_new, y_new).mean() < losses_of(fitted.model, X_new, y_new).mean() - 0.3


def test_without_a_shift_the_gate_lets_little_pass_and_nothing_do_harm() -> None:
    fitted = classifier()
    before = fresh_loss(fitted.model, EQUAL)
    harms, applied = [], []
    for seed in range(40 if SOAK else 1):
        found = corrected(fitted, *drawn(200, EQUAL, seed=20 + seed), verdict="none detected")
        assert found.applied == (found.estimator is not fitted.model)
        assert found.applied or "no correction lowers the loss" in found.reason
        harms.append(fresh_loss(found.estimator, EQUAL) - before)
        applied.append(found.applied)
    assert np.median(harms) <= 0
    assert max(harms) <= 0.02  # nats
    assert np.mean(applied) <= 0.25  # what passes may be a gain: of more series than the model had


def test_the_refit_of_a_regressor_is_bit_for_bit_a_fit_on_the_joined_series() -> None:
    fitted = regressor()
    X, _ = drawn(40, seed=6)
    y = numbers_of(X, slope=2.0)
    found = corrected(fitted, X, y, "refit")
    *members, alone = members_of_folds(fitted, X, y, parts(40))
    state = alone.network_.state
    assert found.applied
    assert found.unit == "squared error"
    for name, weight in found.estimator.network_.state.items():
        np.testing.assert_array_equal(weight, state[name])
    # and so are the members that the gate looks at
    gains = losses_of(fitted.model, X, y)
    for member, fold in zip(members, parts(40), strict=True):
        gains[fold] -= losses_of(member, X[fold], y[fold])
    assert found.gain == pytest.approx(gains.mean())
    half = stats.t.ppf(0.95, 39) * stats.sem(gains)
    np.testing.assert_allclose([found.low, found.high], [gains.mean() - half, gains.mean() + half])


def test_the_refit_of_a_classifier_is_one_too_recalibrated_on_deployed_series_out_of_fold() -> None:
    fitted = classifier()
    X, y = drawn(40, TILTED, seed=5)
    found = corrected(fitted, X, y, "refit", random_state=4)
    *members, alone = members_of_folds(fitted, X, y, parts(40, seed=4))
    logits = np.empty((40, 3))
    for fold, outputs in zip(parts(40, seed=4), predict_members(members, X, parts(40, seed=4)), strict=True):
        logits[fold] = outputs
    codes = np.searchsorted(fitted.model.classes_, y)
    gains = losses_of(fitted.model, X, y)
    for fold in parts(40, seed=4):
        others = np.setdiff1d(np.arange(40), fold)
        own = calibrate(logits[others], codes[others])
        scaled = logits[fold] / own.temperature + own.bias
        scaled -= np.log(np.exp(scaled).sum(1, keepdims=True))
        gains[fold] += scaled[np.arange(len(fold)), codes[fold]]
    (candidate,) = found.candidates
    assert candidate.gain == pytest.approx(gains.mean())
    if found.applied:
        own = calibrate(logits, codes)
        expected = recalibrate(alone, own.temperature, own.bias)
        np.testing.assert_array_equal(found.estimator.predict_proba(X), expected.predict_proba(X))


def test_a_weighted_refit_is_bit_for_bit_a_weighted_fit_of_the_reference() -> None:
    fitted = regressor()
    X, _ = drawn(60, TILTED, seed=6)
    found = corrected(fitted, X, numbers_of(X, seed=1), "weights")
    one, other = fitted.reference.embedding, embed(fitted.reference, X)
    weights = covariate_weights(
        np.column_stack([one.summaries, one.outputs]), np.column_stack([other.summaries, other.outputs])
    )
    alone = clone(fitted.model).fit(fitted.X, fitted.y, sample_weight=weights.weights)
    gains = losses_of(fitted.model, X, numbers_of(X, seed=1)) - losses_of(alone, X, numbers_of(X, seed=1))
    (candidate,) = found.candidates
    assert candidate.gain == pytest.approx(gains.mean())


def test_without_labels_nothing_is_done_but_labels_are_asked_for() -> None:
    fitted = classifier()
    X, _ = drawn(100, TILTED, seed=5)
    found = corrected(fitted, X, None, verdict="undetermined")
    assert found.estimator is fitted.model
    assert not found.applied
    assert "a concept shift cannot be corrected, nor seen, without labels" in found.reason
    losses = -np.log(_out_of_fold_probabilities(fitted))
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    assert found.labels_needed == int(np.ceil((z * losses.std(ddof=1) / (0.25 * losses.mean())) ** 2))
    assert str(found.labels_needed) in found.reason


def _out_of_fold_probabilities(fitted: Fitted) -> ndarray:
    embedding = fitted.reference.embedding
    odds = np.exp(embedding.outputs)
    return (odds / odds.sum(1, keepdims=True))[np.arange(len(odds)), embedding.target]


def test_so_many_labels_find_the_gain_with_the_power_promised() -> None:
    """Normal gains, in the place of those of series."""
    rng = np.random.default_rng(0)
    needed = _labels_for(0.1, 0.5)
    passed = [weighted_mean(rng.normal(0.1, 0.5, needed), level=0.9).low > 0 for _ in range(500)]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.06)  # three standard errors


def test_few_labels_are_none() -> None:
    fitted = classifier()
    found = corrected(fitted, *drawn(20, TILTED, seed=5))
    assert found.estimator is fitted.model
    assert "20 labels are too few" in found.reason
    assert "without labels" not in found.reason  # there are some
    assert found.labels_needed is not None
    assert "1 label is too few" in corrected(fitted, *drawn(1, TILTED, seed=5), "priors").reason


def test_a_gain_that_does_not_pass_says_how_many_labels_would_show_it() -> None:
    fitted = classifier()
    found = corrected(fitted, *drawn(60, TILTED, seed=5), "priors")
    (candidate,) = found.candidates
    assert not found.applied
    assert candidate.gain > 0 > candidate.low
    assert found.labels_needed is not None
    assert found.labels_needed > 60


def test_priors_without_labels_are_applied_when_asked_for_with_their_danger() -> None:
    fitted = classifier()
    X, _ = drawn(200, TILTED, seed=5)
    with pytest.warns(DataWarning, match="only the fractions of the classes moved"):
        found = corrected(fitted, X, None, "priors")
    assert found.applied
    assert np.isnan(found.gain)
    assert fresh_loss(found.estimator, TILTED) < fresh_loss(fitted.model, TILTED) - 0.1


def test_priors_without_labels_are_not_applied_where_none_moved_or_classes_are_not_told_apart() -> None:
    X, _ = drawn(100, EQUAL, seed=5)
    for fitted, said in ((classifier(), "no class's fraction moved beyond chance"), (under_fitted(), "singular value")):
        with pytest.warns(DataWarning, match="without labels"):
            found = corrected(fitted, X, None, "priors")
        assert found.estimator is fitted.model
        assert said in found.reason


def test_weights_without_labels_pass_weighted_cross_validation_or_nothing_is_done() -> None:
    fitted = classifier()
    X, _ = drawn(100, TILTED, seed=5)
    with pytest.warns(DataWarning, match="suppose that p"):
        found = corrected(fitted, X, None, "weights")
    (candidate,) = found.candidates
    assert found.applied == (candidate.low > 0)
    assert found.applied == (found.estimator is not fitted.model)


def test_samples_that_hardly_overlap_leave_the_weights_out() -> None:
    fitted = regressor()
    X, _ = drawn(60, seed=6)
    far = Sequences(X.values + 5, X.offsets)
    found = corrected(fitted, far, numbers_of(far), "weights")
    assert not found.applied
    assert "are needed" in found.candidates[0].note


def test_targets_each_step_are_refitted() -> None:
    X, _ = drawn(20, seed=1)
    y = Sequences(X.values[:, :1] * 0.5, X.offsets)
    fitted = fitted_on(SequenceRegressor(**NET | {"max_epochs": 10, "lr": 0.05}), X, y)
    X_new, _ = drawn(30, seed=2)
    moved = Sequences(X_new.values[:, :1] * -0.5, X_new.offsets)
    found = corrected(fitted, X_new, moved, "refit")
    assert found.applied
    assert losses_of(found.estimator, X_new, moved).mean() < losses_of(fitted.model, X_new, moved).mean()


def test_groups_stay_whole_and_are_what_the_interval_counts() -> None:
    fitted = classifier()
    X, y = drawn(40, TILTED, seed=5)
    copies = np.repeat(np.arange(40), 4)
    with pytest.warns(DataWarning, match="groups on both sides or on neither, got none of the reference series"):
        whole = corrected(fitted, X[copies], y[copies], "priors", groups=copies)
    blind = corrected(fitted, X[copies], y[copies], "priors")
    width = [found.candidates[0].high - found.candidates[0].low for found in (whole, blind)]
    assert width[0] > 1.4 * width[1]  # twice, but for other folds
    with pytest.warns(DataWarning, match="groups on both sides"):
        alone = corrected(fitted, X, y, groups=np.zeros(40, int))
    assert not alone.applied
    assert "one group" in alone.reason


def test_a_member_that_fails_is_a_candidate_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = classifier()
    X, y = drawn(60, TILTED, seed=5)
    monkeypatch.setattr(candidates, "fit_members", lambda nets, *_, **__: [DivergenceError("lr")] * len(nets))
    found = corrected(fitted, X, y, "refit")
    assert found.estimator is fitted.model
    assert found.candidates[0].note == "failed: lr"
    assert "failed: lr" in found.reason


def test_a_candidate_that_failed_is_named_beside_what_the_others_did(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = classifier()
    X, y = drawn(200, TILTED, seed=5)
    monkeypatch.setattr(candidates, "fit_members", lambda nets, *_, **__: [DivergenceError("lr")] * len(nets))
    for deployed, method in (((X, y), "priors"), (drawn(60, EQUAL, seed=20), "none")):
        found = corrected(fitted, *deployed)
        assert found.method == method
        assert "; refit failed: lr" in found.reason
    monkeypatch.undo()
    assert "failed" not in corrected(fitted, X, y).reason


def numbered(X: Sequences) -> Sequences:
    """With the number of each step as its time."""
    return Sequences(X.values, X.offsets, times=np.concatenate([np.arange(length) for length in X.lengths]))


@pytest.mark.parametrize("timed", ["reference", "deployed"])
def test_times_on_one_side_change_nothing_for_a_model_that_reads_none(timed: str) -> None:
    fitted = regressor()
    X, _ = drawn(40, seed=6)
    y = numbers_of(X, slope=2.0)
    plain = corrected(fitted, X, y)
    found = corrected(
        fitted._replace(X=numbered(fitted.X)) if timed == "reference" else fitted,
        numbered(X) if timed == "deployed" else X,
        y,
    )
    assert (found.method, found.reason, found.gain) == (plain.method, plain.reason, plain.gain)
    for name, weight in found.estimator.network_.state.items():
        np.testing.assert_array_equal(weight, plain.estimator.network_.state[name])


def test_times_that_a_refit_would_read_of_one_side_alone_are_refused_before_any_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, X_new = numbered(drawn(12, seed=1)[0]), drawn(30, seed=2)[0]
    y, y_new = (Sequences(part.values[:, :1], part.offsets) for part in (X, X_new))
    fitted = fitted_on(SequenceRegressor(**NET | {"max_epochs": 1, "horizon": 1}), X, y)
    monkeypatch.setattr(candidates, "fit_members", None)  # would be called
    for method in ("auto", "refit"):
        with pytest.raises(DataError, match=r"^deployed needs numbers as times, as the reference has, .*no times"):
            corrected(fitted, X_new, y_new, method)
    monkeypatch.undo()
    assert corrected(fitted, X_new, y_new, "weights").candidates[0].method == "weights"  # of the reference alone


def test_labels_of_another_type_leave_the_classes_of_the_refit_those_of_the_model() -> None:
    X, y = drawn(40, TILTED, seed=5)
    codes = np.searchsorted(["a", "b", "c"], y)
    fitted = classifier()
    whole = fitted_on(SequenceClassifier(**NET | {"max_epochs": 3}), fitted.X, np.searchsorted(list("abc"), fitted.y))
    for given, labels in ((whole, codes.astype(float)), (whole._replace(y=whole.y.astype(float)), codes)):
        found = corrected(given, X, labels, "refit")
        assert found.applied
        assert found.estimator.classes_.dtype == found.estimator.predict(X).dtype == np.int64  # type: ignore[attr-defined]


@pytest.mark.parametrize("bare", ["model", "reference", "deployed", "model and reference"])
def test_names_on_one_side_are_those_of_the_model_after_a_refit(bare: str) -> None:
    named, y = drawn(60, seed=1)
    named = named.replace(channel_names=("u", "v"))
    fitted = fitted_on(
        SequenceClassifier(**NET | {"max_epochs": 2}), named.replace(channel_names=()) if "model" in bare else named, y
    )
    given = fitted._replace(X=named.replace(channel_names=()) if "reference" in bare else named)
    X, labels = drawn(40, (0.1, 0.1, 0.8), seed=5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = corrected(given, X if bare == "deployed" else X.replace(channel_names=("u", "v")), labels, "refit")
    assert all("feature names" in str(one.message) for one in caught)
    assert "failed" not in found.candidates[0].note
    assert found.applied
    assert hasattr(found.estimator, "feature_names_in_") == ("model" not in bare)


@pytest.mark.parametrize("bare", ["reference", "deployed"])
def test_what_the_model_knows_by_name_it_knows_in_a_refit_of_series_without_names(bare: str) -> None:
    X, X_new = (drawn(n, seed=n)[0].replace(channel_names=("u", "v")) for n in (12, 30))
    y, y_new = (Sequences(part.values[:, :1], part.offsets) for part in (X, X_new))
    parameters = NET | {"max_epochs": 1, "horizon": 1, "known": ["v"]}
    fitted = fitted_on(SequenceRegressor(**parameters), X, y)
    plain = corrected(fitted, X_new, y_new)
    given = fitted._replace(X=X.replace(channel_names=())) if bare == "reference" else fitted
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = corrected(given, X_new.replace(channel_names=()) if bare == "deployed" else X_new, y_new)
    assert "failed" not in found.reason
    assert found.candidates[0].gain == plain.candidates[0].gain


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # of what reads series, not the table
def test_a_refit_of_a_table_reads_the_columns_of_the_model() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = pd.DataFrame(rng.normal(size=(60, 6)) + y[:, None], columns=[f"t{n}" for n in range(6)])
    fitted = fitted_on(SequenceClassifier(**NET), X, y)
    found = correct(
        fitted.model, fitted.diagnosed(X + 0.1, 1 - y), reference=(X, y), deployed=(X + 0.1, 1 - y), method="refit"
    )
    assert found.applied
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found.estimator.predict(X).shape == (60,)
    with pytest.raises(DataError, match="feature names should match"):
        found.estimator.predict(X.rename(columns={"t0": "other"}))


def test_what_each_network_would_warn_of_is_said_once() -> None:
    fitted = classifier()
    X, y = drawn(40, TILTED, seed=5)
    values = X.values.copy()
    values[::9, 0] = np.nan
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        diagnosis = fitted.diagnosed(X, y)
        correct(
            fitted.model,
            diagnosis,
            reference=(fitted.X, fitted.y),
            deployed=(Sequences(values, X.offsets, channel_names=("u", "v")), y),
        )
    said = [str(one.message) for one in caught]
    assert len(said) == len(set(said)) == 2
    assert any("misses values" in text for text in said)
    assert any("feature names" in text for text in said)


def test_too_few_groups_for_weights_leave_the_other_candidates_to_be_tried() -> None:
    fitted = classifier()
    X, y = drawn(60, TILTED, seed=5)
    with pytest.warns(DataWarning, match="groups on both sides"):
        found = corrected(fitted, X, y, groups=np.arange(60) % 3)
    tried = {candidate.method: candidate for candidate in found.candidates}
    assert tried["weights"].note == "failed: weights need at least 5 groups on either side, got 3"
    assert not np.isnan([tried["refit"].gain, tried["priors"].gain]).any()
    with pytest.warns(DataWarning, match="suppose that p"), pytest.warns(DataWarning, match="groups on both sides"):
        found = corrected(fitted, X, None, "weights", groups=np.arange(60) % 3)
    assert found.estimator is fitted.model
    assert found.reason == "nothing is corrected: weights failed: weights need at least 5 groups on either side, got 3"


def test_a_class_that_the_reference_has_in_no_test_fold_is_a_candidate_that_failed() -> None:
    whole = classifier()
    rows = np.flatnonzero(whole.y != "c")
    fitted = whole._replace(
        reference=replace(whole.reference, embedding=take(whole.reference.embedding, rows), indices=rows)
    )
    X, y = drawn(60, EQUAL, seed=5)
    found = corrected(fitted, X, y, "weights")
    assert "failed: the diagnosis' reference needs series of each class, got none of 'c'" in found.candidates[0].note
    for method in ("priors", "weights"):
        with pytest.warns(DataWarning, match="without labels"):
            found = corrected(fitted, X, None, method)
        assert found.estimator is fitted.model
        assert "nothing is corrected" in found.reason


def test_a_weighted_fold_that_diverges_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = classifier()
    X, _ = drawn(60, TILTED, seed=5)
    monkeypatch.setattr(weighted_validation, "fit_members", lambda nets, *_, **__: [DivergenceError("lr")] * len(nets))
    with pytest.warns(DataWarning, match="suppose that p"):
        found = corrected(fitted, X, None, "weights")
    assert found.reason == "nothing is corrected: weights failed: lr"


def class_steps(X: Sequences, dtype: Any = np.int64, cut: float = 0.0) -> list[ndarray]:
    """Whether the first channel is above a number."""
    return [(series[:, 0] > cut).astype(dtype) for series in X]


def test_class_steps_of_which_some_have_no_label_are_refitted_as_the_joined_steps_are() -> None:
    X, _ = drawn(20, seed=1)
    known = class_steps(X)
    fitted = fitted_on(SequenceClassifier(**NET | {"max_epochs": 3}), X, as_targets(known, X))
    X_new, _ = drawn(30, seed=2)
    partly = class_steps(X_new, np.float64, cut=0.5)
    for labels in partly:
        labels[::3] = np.nan
    found = corrected(fitted, X_new, as_targets(partly, X_new), "refit")
    alone = clone(fitted.model).fit(concatenate([X, X_new]), [*(part.astype(float) for part in known), *partly])
    (candidate,) = found.candidates
    assert candidate.note == "fitted on reference and deployed series, recalibrated on deployed ones"
    assert found.applied
    for name, weight in found.estimator.network_.state.items():
        if not name.startswith("readout"):
            np.testing.assert_array_equal(weight, alone.network_.state[name])


def test_the_refit_of_class_steps_is_recalibrated_out_of_fold_each_series_counting_once() -> None:
    """By loops over single series, in place of rows of all."""
    X, _ = drawn(20, seed=1)
    y = class_steps(X, np.float64)
    fitted = fitted_on(SequenceClassifier(**NET | {"max_epochs": 2, "burn_in": 3}), X, as_targets(y, X))
    X_new, _ = drawn(30, seed=2)
    y_new = class_steps(X_new, np.float64, cut=0.5)
    for number, labels in enumerate(y_new):
        labels[number % 4 + 2 : 6] = np.nan
    found = corrected(fitted, X_new, as_targets(y_new, X_new), "refit")
    both, targets = concatenate([X, X_new]), [*y, *y_new]

    def without(fold: Any) -> Any:
        own = np.setdiff1d(np.arange(50), 20 + np.asarray(fold, int))
        return clone(fitted.model).fit(both[own], [targets[n] for n in own])

    def rows(member: Any, number: int) -> tuple[ndarray, ndarray]:
        """Logits and classes of the steps that count."""
        (logits,) = predict_members([member], X_new, [np.array([number])])
        labels = y_new[number]
        seen = ~np.isnan(labels) & (np.arange(len(labels)) >= 3)
        return logits[seen], labels[seen].astype(int)

    out_of_fold: dict[int, tuple[ndarray, ndarray]] = {}
    for fold in parts(30):
        member = without(fold)
        out_of_fold |= {int(number): rows(member, number) for number in fold}

    def calibration_of(numbers: Any) -> Any:
        logits, codes = (np.concatenate([out_of_fold[n][part] for n in numbers]) for part in (0, 1))
        weights = np.concatenate([np.full(len(out_of_fold[n][1]), 1 / len(out_of_fold[n][1])) for n in numbers])
        assert weights.sum() == pytest.approx(len(numbers))
        return calibrate(logits, codes, weights=weights)

    gains = np.empty(30)
    for fold in parts(30):
        own = calibration_of(np.setdiff1d(np.arange(30), fold))
        for number in fold:
            before = -log_softmax(rows(fitted.model, number)[0], axis=1)
            logits, codes = out_of_fold[number]
            after = -log_softmax(logits / own.temperature + own.bias, axis=1)
            gains[number] = (before - after)[np.arange(len(codes)), codes].mean()
    (candidate,) = found.candidates
    assert candidate.gain == pytest.approx(gains.mean(), abs=1e-6)  # float32 outputs
    own = calibration_of(np.arange(30))
    expected = recalibrate(without([]), own.temperature, own.bias)
    assert found.applied
    for one, other in zip(found.estimator.predict_proba(X_new), expected.predict_proba(X_new), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def tilted_steps(n: int, seed: int, tilt: float = 0.0) -> tuple[Sequences, Sequences]:
    """AR(.6) series, of whose steps the class is drawn from the first channel, its odds tilted."""
    X, _ = drawn(n, seed=seed)
    odds = np.exp(2 * X.values[:, :1] + tilt)
    drawn_one = np.random.default_rng(seed).random((X.n_steps, 1)) < odds / (1 + odds)
    return X, Sequences(drawn_one.astype(np.float64), X.offsets)


def test_recalibrated_class_steps_cost_less_on_a_fresh_sample_than_the_refit_alone_and_nothing_without_a_shift() -> (
    None
):
    fitted = fitted_on(SequenceClassifier(**NET | {"max_epochs": 8}), *tilted_steps(60, seed=1))
    X, y = tilted_steps(40, seed=2, tilt=2.0)
    found = corrected(fitted, X, y, "refit")
    fresh = tilted_steps(500, seed=3, tilt=2.0)
    joined = concatenate([fitted.X, X])
    plain = clone(fitted.model).fit(joined, Sequences(np.concatenate([fitted.y.values, y.values]), joined.offsets))
    model, refit, given = (float(losses_of(one, *fresh).mean()) for one in (fitted.model, plain, found.estimator))
    assert found.applied
    assert given < refit - 0.03 < model  # nats
    assert model - given == pytest.approx(found.gain, abs=found.gain - found.low + 0.05)
    for seed in range(10, 20 if SOAK else 11):
        null = corrected(fitted, *tilted_steps(40, seed=seed))
        fresh = tilted_steps(500, seed=3)
        assert losses_of(null.estimator, *fresh).mean() <= losses_of(fitted.model, *fresh).mean() + 0.02


def test_deployed_series_without_the_names_of_the_channels_are_refitted_beside_those_with() -> None:
    X, y = drawn(60, seed=1)
    named = X.replace(channel_names=("a", "b"))
    fitted = fitted_on(SequenceClassifier(**NET | {"max_epochs": 3}), named, y)
    bare, labels = drawn(40, TILTED, seed=5)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        found = corrected(fitted, bare, labels, "refit")
    assert "failed" not in found.candidates[0].note


def test_deployed_series_that_the_model_was_trained_on_are_refused() -> None:
    fitted = classifier()
    X, y = drawn(40, TILTED, seed=5)
    mixed = concatenate([X, fitted.X[[7]]])
    diagnosis = fitted.diagnosed(X, y)
    for deployed, labels, said in (
        (fitted.X, fitted.y, "got 150 of 150 that are, the first of them series 0"),
        (mixed, np.append(y, "a"), "got 1 of 41 that are, the first of them series 40"),
        (mixed.astype(np.float64), None, "got 1 of 41"),
    ):
        with pytest.raises(DataError, match=rf"deployed needs series that are not among the reference's, {said}"):
            correct(fitted.model, diagnosis, reference=(fitted.X, fitted.y), deployed=(deployed, labels))


def test_series_that_are_equal_by_chance_are_no_copies() -> None:
    """Of three coins each of eight series is as likely in one sample as in the other."""
    coins = [Sequences.from_arrays(np.random.default_rng(s).integers(0, 2, (50, 3, 1)).astype(float)) for s in (0, 1)]
    _check_apart(*coins)
    others = Sequences.from_arrays(np.random.default_rng(2).normal(size=(50, 3, 1)))
    _check_apart(others, coins[0])
    with pytest.raises(DataError, match="got 50 of 50"):
        _check_apart(others, others)


def test_insufficient_series_are_left_alone() -> None:
    fitted = classifier()
    found = corrected(fitted, *drawn(60, TILTED, seed=5), verdict="insufficient")
    assert found.estimator is fitted.model
    assert "insufficient" in found.reason


def test_two_dimensional_series_stay_two_dimensional() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = rng.normal(size=(60, 6)) + y[:, None]
    model = SequenceClassifier(**NET).fit(X, y)
    fitted = fitted_on(SequenceClassifier(**NET), model_series := Sequences.from_arrays(list(X[:, :, None])), y)
    found = correct(
        model,
        fitted.diagnosed(model_series, 1 - y),
        reference=(X, y),
        deployed=(X + 0.1, 1 - y),
        method="refit",
    )
    assert found.applied
    assert found.estimator.predict(X).shape == (60,)
    assert found.estimator.n_features_in_ == 6


def test_what_cannot_be_corrected_is_refused() -> None:
    fitted = classifier()
    X, y = drawn(40, seed=5)
    diagnosis = fitted.diagnosed(X, y)
    good: dict[str, Any] = {"reference": (fitted.X, fitted.y), "deployed": (X, y)}

    def refused(error: type[Exception], said: str, **changed: Any) -> None:
        with pytest.raises(error, match=said):
            correct(fitted.model, diagnosis, **good | changed)

    refused(ParameterError, "method needs to be one of auto, refit, priors, weights, got 'magic'", method="magic")
    refused(ParameterError, "method='refit' needs labels", method="refit", deployed=(X, None))
    refused(ParameterError, r"deployed needs a pair \(X, y\)", deployed=X)
    refused(DataError, "the diagnosis' reference in their order", reference=(fitted.X[::-1], fitted.y[::-1]))
    swapped = np.where(fitted.y == "a", "b", np.where(fitted.y == "b", "a", fitted.y))
    refused(DataError, "the targets of the diagnosis' reference in their order", reference=(fitted.X, swapped))
    refused(ParameterError, "random_state needs a whole number", random_state=-1)
    refused(DataError, "at least 150, got 100", reference=(fitted.X[:100], fitted.y[:100]))
    refused(
        DataError,
        "reference needs series of the model's classes",
        reference=(fitted.X, np.where(fitted.y == "a", "b", fitted.y)),
    )
    refused(DataError, "got 'z'", deployed=(X, np.where(y == "a", "z", y)))
    refused(DataError, "channels", deployed=(X.take_channels([0]), y))
    steps = Sequences(X.values[:, :1], X.offsets)
    refused(DataError, "a target per series", deployed=(X, steps))
    with pytest.raises(ParameterError, match=r"what diagnose_shift\(run.reference\(\), X, y\) gives, got Reference"):
        correct(fitted.model, fitted.reference, **good)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"a fitted estimator, such as a run's \.estimator, got Fitted"):
        correct(fitted, diagnosis, **good)  # type: ignore[arg-type]
    numbers = regressor()
    with pytest.raises(DataError, match="the targets of the diagnosis' reference"):
        correct(
            numbers.model, numbers.diagnosed(X), reference=(numbers.X, numbers.y + 0.1), deployed=(X, numbers_of(X))
        )
    with pytest.raises(ParameterError, match="one class per series"):
        correct(
            numbers.model,
            numbers.diagnosed(X),
            reference=(numbers.X, numbers.y),
            deployed=(X, None),
            method="priors",
        )
