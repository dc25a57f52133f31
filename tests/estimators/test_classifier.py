"""SequenceClassifier: what it predicts, in which words, and how well."""

import numpy as np
import pytest
import torch
from estimator_data import LENGTHS, N, classes, ragged, series, steps
from sklearn.metrics import accuracy_score

from throughtime.data import Sequences
from throughtime.estimators import SequenceClassifier

SMALL = {"hidden_size": 8, "random_state": 0, "max_epochs": 12, "batch_size": 12, "lr": 0.05, "lr_schedule": "constant"}


@pytest.mark.parametrize(
    "names",
    [
        np.array(["red", "green", "blue"]),
        np.array([10, -2, 7]),
        np.array([0.0, 1.0, 2.0]),
        np.array(["x", "yy", "zzz"], dtype=object),
        np.array([True, False, True]),
    ],
    ids=["strings", "integers", "floats", "objects", "booleans"],
)
@pytest.mark.parametrize("as_list", [False, True])
def test_classes_come_back_as_they_were_given(names, as_list):
    y = names[classes()]
    fitted = SequenceClassifier(**SMALL).fit(ragged(), y.tolist() if as_list else y)
    assert fitted.classes_.tolist() == sorted(set(y.tolist()))
    predicted = fitted.predict(ragged())
    assert predicted.shape == (N,)
    assert set(predicted.tolist()) <= set(y.tolist())
    assert predicted.dtype == fitted.classes_.dtype
    assert fitted.score(ragged(), y) == accuracy_score(y, predicted)
    assert fitted.score(ragged(), y) > 0.9


def test_probabilities_are_the_softmax_of_the_modules_outputs_in_the_order_of_the_classes():
    fitted = SequenceClassifier(**SMALL).fit(ragged(), np.array(["c", "a", "b"])[classes()])
    shares = fitted.predict_proba(ragged())
    assert shares.shape == (N, 3)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-12)
    assert np.array_equal(fitted.predict(ragged()), fitted.classes_[shares.argmax(1)])
    for row in (0, 5):
        with torch.no_grad():
            outputs = fitted.module_(torch.from_numpy(ragged()[row])[None])
        # float64 through another order of operations
        np.testing.assert_allclose(shares[row], outputs.softmax(1)[0].numpy(), rtol=1e-10)


@pytest.mark.parametrize("form", ["list", "sequences", "nct"])
def test_every_form_of_the_same_series_gives_the_same_network(form):
    X = [x[:3] for x in ragged()]
    expected = SequenceClassifier(**SMALL).fit(np.stack(X), classes())
    given = {"list": X, "sequences": Sequences.from_arrays(X), "nct": np.stack(X).transpose(0, 2, 1)}[form]
    fitted = SequenceClassifier(layout="nct" if form == "nct" else "ntc", **SMALL).fit(given, classes())
    assert np.array_equal(fitted.predict_proba(given), expected.predict_proba(np.stack(X)))


def test_float64_trains_in_float64_and_other_numbers_in_float32():
    for dtype, expected in ((np.float64, torch.float64), (np.float32, torch.float32), (np.int16, torch.float32)):
        X = [(10 * x).astype(dtype) for x in ragged()]
        fitted = SequenceClassifier(**SMALL | {"max_epochs": 1}).fit(X, classes())
        assert {weight.dtype for weight in fitted.module_.parameters()} == {expected}
        # and either predicts the other's series
        assert fitted.predict([x.astype(np.float64) for x in X]).shape == (N,)


def test_a_class_for_each_step_is_predicted_at_every_step_and_scored_where_observed_after_the_burn_in():
    y = steps(of_classes=True)
    fitted = SequenceClassifier(**SMALL, burn_in=1).fit(ragged(), y)
    assert fitted.classes_.tolist() == [0, 1]
    predicted = fitted.predict(ragged())
    assert isinstance(predicted, Sequences)
    assert np.array_equal(predicted.lengths, LENGTHS)
    shares = fitted.predict_proba(ragged())
    assert shares.n_channels == 2
    assert np.array_equal(shares.values.argmax(1), predicted.values[:, 0])
    truth = np.concatenate([own[1:] for own in y])
    found = np.concatenate([predicted[row][1:, 0] for row in range(N)])
    seen = ~np.isnan(truth)
    assert fitted.score(ragged(), y) == np.mean(truth[seen] == found[seen])
    assert fitted.score(ragged(), Sequences.from_arrays(y)) == fitted.score(ragged(), y)
    assert fitted.score(ragged(), y) > 0.8


def test_static_features_enter_at_every_step():
    rng = np.random.default_rng(0)
    X, telling = rng.normal(size=(40, 4, 1)), rng.normal(size=(40, 2))
    y = telling[:, 1] > 0  # the series themselves say nothing
    sequences = Sequences.from_arrays(list(X), static=telling)
    fitted = SequenceClassifier(**SMALL | {"max_epochs": 20}).fit(sequences, y)
    assert fitted.score(sequences, y) > 0.9
    columns = np.concatenate([X, np.repeat(telling[:, None], 4, 1)], 2)
    by_hand = SequenceClassifier(**SMALL | {"max_epochs": 20}).fit(columns, y)
    # a mean over series is a mean over steps here; the same columns in the same order
    np.testing.assert_allclose(fitted.predict_proba(sequences), by_hand.predict_proba(columns), rtol=1e-6)


def test_missing_values_are_filled_flagged_and_dated_inside_the_fold():
    X = ragged()
    X[3][1:3, 0] = np.nan
    fitted = SequenceClassifier(**SMALL).fit(X, classes())
    assert fitted.module_.net.n_inputs == 6
    # the mean of what is there, over the training series alone; then the masks' and the gaps'
    flat = np.concatenate(X)
    np.testing.assert_allclose(fitted.module_.shift[:2].numpy(), np.nanmean(flat, 0), rtol=1e-12)
    np.testing.assert_allclose(fitted.module_.scale[:2].numpy(), np.nanstd(flat, 0), rtol=1e-12)
    np.testing.assert_allclose(fitted.module_.shift[2:4].numpy(), np.isnan(flat).mean(0), rtol=1e-12)
    assert fitted.module_.shift[4].item() == pytest.approx(3 / len(flat))  # one step since, then two
    assert fitted.score(X, classes()) > 0.9
    # the module takes the very columns
    since = np.zeros_like(X[3])
    since[1:3, 0] = 1, 2
    columns = torch.from_numpy(np.concatenate([X[3], np.isnan(X[3]), since], 1))
    with torch.no_grad():
        outputs = fitted.module_(columns[None])
    np.testing.assert_allclose(outputs.softmax(1)[0], fitted.predict_proba([X[3]])[0], rtol=1e-10)


def test_class_weights_shift_the_balance_as_scikit_learn_weighs():
    X, y = ragged(), (classes() == 0).astype(int)
    y[:6] = 0
    plain = SequenceClassifier(**SMALL).fit(X, y)
    counts = np.bincount(y)
    balanced = SequenceClassifier(**SMALL, class_weight="balanced").fit(X, y)
    by_hand = SequenceClassifier(**SMALL, class_weight=dict(enumerate(N / (2 * counts)))).fit(X, y)
    assert np.array_equal(balanced.predict_proba(X), by_hand.predict_proba(X))
    weighted = SequenceClassifier(**SMALL).fit(X, y, sample_weight=N / (2 * counts[y]))
    # only the standardization is weighted otherwise
    assert weighted.history_[0].train_loss == pytest.approx(balanced.history_[0].train_loss, rel=0.05)
    heavy = SequenceClassifier(**SMALL, class_weight={1: 30.0}).fit(X, y)
    assert heavy.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean()


def test_early_stopping_keeps_groups_together_and_classes_in_proportion():
    fitted = SequenceClassifier(**SMALL | {"max_epochs": 200}, early_stopping=True, patience=3).fit(ragged(), classes())
    validation = [record.validation_loss for record in fitted.history_]
    assert fitted.best_epoch_ == int(np.argmin(validation))
    assert fitted.n_iter_ == len(validation) == min(fitted.best_epoch_ + 4, 200)
    grouped = SequenceClassifier(**SMALL, early_stopping=True, validation_fraction=0.5)
    groups = np.repeat(["a", "b"], N // 2)
    by_call = grouped.fit(ragged(), classes(), groups=groups).predict_proba(ragged())
    by_series = grouped.fit(series(groups=groups), classes()).predict_proba(ragged())
    assert np.array_equal(by_call, by_series)
    assert not np.array_equal(by_call, grouped.fit(ragged(), classes()).predict_proba(ragged()))


def test_the_inner_validation_series_have_no_part_in_the_scaling():
    X, groups = ragged(), np.repeat(["a", "b"], N // 2)
    fitted = SequenceClassifier(**SMALL, early_stopping=True, validation_fraction=0.5).fit(X, classes(), groups=groups)
    # one group trains, the other validates
    means = [np.concatenate([x for x, g in zip(X, groups, strict=True) if g == group]).mean(0) for group in "ab"]
    assert any(np.allclose(fitted.module_.shift.numpy(), mean, rtol=1e-12, atol=0) for mean in means)


def test_the_history_has_an_entry_an_epoch_and_the_loss_falls():
    fitted = SequenceClassifier(**SMALL).fit(ragged(), classes())
    assert [record.epoch for record in fitted.history_] == list(range(12))
    assert fitted.history_[-1].train_loss < 0.5 * fitted.history_[0].train_loss
    assert fitted.history_[0].lr == 0.05
    assert all(record.validation_loss is None for record in fitted.history_)
    assert fitted.best_epoch_ is None


def test_the_module_is_a_plain_torch_module_ready_to_use():
    fitted = SequenceClassifier(**SMALL | {"max_epochs": 1}, dropout=0.5).fit(ragged(), classes())
    assert isinstance(fitted.module_, torch.nn.Module)
    assert not fitted.module_.training
    assert fitted.module_.dropout.p == 0.5
    x = torch.from_numpy(ragged()[0])[None]
    assert torch.equal(fitted.module_(x), fitted.module_(x))
