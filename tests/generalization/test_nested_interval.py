"""The naive interval, the nested one, and where they differ."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, mean_squared_error
from sklearn.model_selection import GroupKFold, KFold

from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor, nested_cv_interval
from throughtime.data import Sequences, as_sequences
from throughtime.errors import DataError, ParameterError
from throughtime.generalization import naive_interval, nested_interval, nested_scores
from throughtime.training import executor

RNG = np.random.default_rng(5)


def test_the_naive_interval_is_that_of_independent_scores_and_says_so() -> None:
    scores = RNG.normal(size=50)
    interval = naive_interval(scores, 0.9)
    expected = stats.norm.interval(0.9, scores.mean(), stats.sem(scores))
    np.testing.assert_allclose((interval.low, interval.high), expected, rtol=1e-12)  # float64, the same formula
    assert "naive: too narrow" in interval.method


def by_hand(outer: Any, inner: Any, level: float) -> tuple[float, float, float]:
    """Algorithm 1 of the paper, written as its R code is: arrays (repeat, fold, fold, example)."""
    n_repeats, k, size = outer.shape
    pivots, held = [], []
    for r in range(n_repeats):
        for f in range(k):
            e = np.concatenate([inner[r, f, j] for j in range(k) if j != f])
            held.append(e)
            pivots.append((e.mean() - outer[r, f].mean(), outer[r, f].var(ddof=1) / size))
    pivots_, errors = np.array(pivots), np.concatenate(held)
    mse = max(0, np.mean(pivots_[:, 0] ** 2 - pivots_[:, 1]) * (k - 1) / k)
    naive = errors.std(ddof=1) / np.sqrt(k * size)
    inflation = min(max(np.sqrt(mse) / naive, 1), np.sqrt(k))
    centre = errors.mean() - (1 + (k - 2) / k) * (errors.mean() - outer.mean())
    half = stats.norm.ppf((1 + level) / 2) * naive * inflation
    return centre, centre - half, centre + half


@pytest.mark.parametrize("strength", [0.0, 0.5, 30.0])
def test_the_nested_interval_is_the_papers(strength: float) -> None:
    n_repeats, k, size = 3, 4, 6
    outer = RNG.normal(size=(n_repeats, k, size)) + strength * RNG.normal(size=(n_repeats, k, 1))
    inner = RNG.normal(size=(n_repeats, k, k, size)) + 0.1
    interval = nested_interval(list(map(list, outer)), [[list(row) for row in each] for each in inner], 0.9)
    np.testing.assert_allclose((interval.mean, interval.low, interval.high), by_hand(outer, inner, 0.9), rtol=1e-12)
    if strength == 30.0:
        assert "inflated 2.00 times" in interval.method  # sqrt(4), the most it may be
    if strength == 0.0:
        assert "inflated 1.00 times" in interval.method


def test_what_stands_on_the_diagonal_is_not_looked_at() -> None:
    outer = [[RNG.normal(size=5) for _ in range(3)]]
    inner = [[[None if j == k else RNG.normal(size=5) for j in range(3)] for k in range(3)]]
    assert np.isfinite(nested_interval(outer, inner).mean)


@pytest.mark.parametrize(
    ("outer", "inner", "message"),
    [
        ([], [], "needs inner scores for each of 0 repeats"),
        ([[[1, 2]] * 2], [[[[1, 2]] * 2] * 2], "needs the same 3 or more folds in every repeat, got 2"),
        ([[[1]] * 3], [[[[1, 2]] * 3] * 3], "scores needs at least 2 examples"),
        ([[[1, np.nan]] * 3], [[[[1, 2]] * 3] * 3], "scores needs finite numbers, got nan"),
    ],
)
def test_scores_that_make_no_interval_are_refused(outer: Any, inner: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        nested_interval(outer, inner)


def test_least_squares_is_missed_as_often_as_the_paper_says() -> None:
    # 40 examples, 20 features, nominal 10 %: .37; 400 data sets leave a Monte Carlo error of .024
    rng, missed = np.random.default_rng(0), []
    for _ in range(400):
        x, noise = rng.normal(size=(40, 20)), rng.normal(size=40)
        coefficients = np.linalg.lstsq(x, noise, rcond=None)[0]
        hat = x @ np.linalg.pinv(x)
        residual = noise - hat @ noise
        folds = np.arange(40).reshape(10, 4)
        errors = [np.linalg.solve(np.eye(4) - hat[np.ix_(f, f)], residual[f]) ** 2 for f in folds]
        interval = naive_interval(np.concatenate(errors), 0.9)
        assert interval.low is not None
        assert interval.high is not None
        missed.append(not interval.low <= 1 + coefficients @ coefficients <= interval.high)
    assert np.mean(missed) == pytest.approx(0.37, abs=3 * 0.024)


NET = SequenceClassifier(hidden_size=2, max_epochs=1, batch_size=8, random_state=0, cell="rnn")
X = RNG.normal(size=(24, 4, 1)).astype("float32")
Y = np.arange(24) % 2


def test_all_pairs_of_folds_of_all_repeats_train_in_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = executor.train
    monkeypatch.setattr(executor, "train", lambda *args, **named: sizes.append(len(args[3])) or real(*args, **named))
    interval = nested_cv_interval(NET, as_sequences(X), Y, n_splits=4, n_repeats=2, random_state=0)
    assert sizes == [2 * (4 * 3 // 2 + 4)]
    assert 0 <= interval.mean <= 1
    assert "4 folds, 2 repeats" in interval.method


@pytest.mark.parametrize(
    ("scoring", "metric", "sign"),
    [
        ("neg_mean_squared_error", mean_squared_error, -1),
        ("neg_mean_absolute_error", mean_absolute_error, -1),
    ],
)
def test_a_regressors_scores_are_the_means_that_scikit_learn_calls_so(scoring: str, metric: Any, sign: int) -> None:
    # the mean regressor errs alike without one fold or two, so that the bias correction is small but not nothing
    y = RNG.normal(size=30)
    interval = nested_cv_interval(DummyRegressor(), np.zeros((30, 1)), y, scoring=scoring, n_splits=5, random_state=1)
    seed = np.random.RandomState(1).randint(2**31)
    scores = []
    for train, test in KFold(5, shuffle=True, random_state=seed).split(y):
        scores.append(sign * metric(y[test], np.full(len(test), y[train].mean())))
    assert interval.mean == pytest.approx(np.mean(scores), abs=0.1)
    assert interval.low is not None
    assert interval.low < np.mean(scores) < interval.high


def test_a_classifiers_scores_are_those_of_scikit_learn() -> None:
    model = DummyClassifier(strategy="prior").fit(np.zeros((10, 1)), [0] * 7 + [1] * 3)
    y = np.array([0, 1, 1, 0])
    zeros = np.zeros((4, 1))
    for name, metric in (
        ("accuracy", lambda: accuracy_score(y, model.predict(zeros))),
        ("neg_log_loss", lambda: -log_loss(y, model.predict_proba(zeros))),
    ):
        assert nested_scores._POINTWISE[name](model, zeros, y).mean() == pytest.approx(metric(), rel=1e-12)
    unseen = nested_scores._POINTWISE["neg_log_loss"](model, zeros, np.array([0, 1, 2, 0]))
    assert unseen[2] == np.log(np.finfo(float).eps)  # a class that training had not


def test_a_group_counts_as_one_example_by_its_mean() -> None:
    groups = np.repeat(np.arange(8), 3)
    seen: list[int] = []

    def score(estimator: Any, X: Any, y: Any) -> Any:  # noqa: ARG001
        seen.append(len(y))
        return X[:, 0]  # the group's number

    x = groups[:, None].astype(float)
    interval = nested_cv_interval(
        LinearRegression(), x, RNG.normal(size=24), scoring=score, groups=groups, n_splits=4, n_repeats=1
    )
    assert set(seen) == {6}  # two whole groups a fold
    assert interval.mean == pytest.approx(3.5, abs=1e-9)  # every group once: the mean of 0 to 7
    naive = np.arange(8).std() / np.sqrt(8)
    assert interval.high is not None
    assert interval.high - interval.mean > 1.9 * naive  # of 24 examples it would be 1.1 times that


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scoring": "roc_auc"}, "^scoring needs a mean over examples, one of accuracy, .*, got 'roc_auc'; bootstrap"),
        ({"n_splits": 2}, "^nested folds need 3 folds and 1 repeat at the least, got 2 and 5$"),
        ({"scoring": lambda *_: 0.5}, r"^scoring needs to give a number for each of \d+ examples, got \(\)$"),
    ],
)
def test_what_no_nested_interval_can_be_made_of_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        nested_cv_interval(DummyClassifier(), X[:, :, 0], Y, **options)


def test_the_best_of_twenty_coin_flips_scores_above_a_half_and_nested_folds_do_not() -> None:
    from scipy.stats import binom

    # the expected highest of 20 binomial(100, 1/2) shares
    expected = sum(1 - binom.cdf(hits, 100, 0.5) ** 20 for hits in range(100)) / 100
    assert expected == pytest.approx(0.593, abs=5e-4)
    from throughtime import nested_cross_validate

    y = np.arange(100) % 2
    grid = {"random_state": list(range(20))}
    tuned, honest = [], []
    for draw in range(12):
        labels = np.random.default_rng(draw).permutation(y)
        coin = DummyClassifier(strategy="uniform")
        folds = KFold(2, shuffle=True, random_state=draw)
        tuned.append(LockstepSearchCV(coin, grid, cv=folds, refit=False).fit(y[:, None], labels).best_score_)
        nested = nested_cross_validate(coin, y[:, None], labels, param_grid=grid, cv=folds, inner_cv=2)
        honest.append(nested["test_score"].mean())
    # the highest of 20 has a deviation of .025, an honest share one of .05
    assert np.mean(tuned) == pytest.approx(expected, abs=3 * 0.025 / np.sqrt(12))
    assert np.mean(honest) == pytest.approx(0.5, abs=3 * 0.05 / np.sqrt(12))


STEPS: dict[str, Any] = {"hidden_size": 2, "max_epochs": 1, "batch_size": 8, "random_state": 0, "cell": "rnn"}
RAGGED = Sequences.from_arrays([np.random.default_rng(k).normal(size=(4 + k % 5, 2)) for k in range(12)])


def step_targets(*, of_classes: bool = False) -> Sequences:
    """Every third step unobserved."""
    values = RAGGED.values.sum(1)
    values = (values > 0) * 1.0 if of_classes else values
    return Sequences(np.where(np.arange(len(values)) % 3 == 1, np.nan, values)[:, None], RAGGED.offsets)


@pytest.mark.parametrize("ahead", [{}, {"warmup": 1}, {"horizon": 1, "known": [1], "warmup": 1}])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_series_counts_as_one_example_by_the_mean_over_its_steps(ahead: dict[str, Any], grouped: bool) -> None:
    net, y = SequenceRegressor(**STEPS, **ahead), step_targets()
    groups = np.arange(12) // 2 if grouped else None
    first = ahead.get("warmup", 0) + ahead.get("horizon", 0)
    seed = np.random.RandomState(4).randint(2**31)
    kind = GroupKFold if grouped else KFold
    folds = [test for _, test in kind(3, shuffle=True, random_state=seed).split(np.zeros(12), groups=groups)]

    def losses(left_out: list[int], scored: int) -> np.ndarray:
        train = np.setdiff1d(np.arange(12), np.concatenate([folds[k] for k in left_out]))
        fitted, each = clone(net).fit(RAGGED[train], y[train]), []
        for row in folds[scored]:
            errors = (fitted.predict(RAGGED[[row]])[0] - y[int(row)])[first:, 0] ** 2
            each.append(-np.mean(errors[~np.isnan(errors)]))
        if groups is None:
            return np.array(each)
        return np.array([np.mean(np.array(each)[groups[folds[scored]] == g]) for g in np.unique(groups[folds[scored]])])

    outer = [[losses([k], k) for k in range(3)]]
    inner = [[[losses([k, j], j) if j != k else None for j in range(3)] for k in range(3)]]
    expected = nested_interval(outer, inner)
    found = nested_cv_interval(net, RAGGED, y, n_splits=3, n_repeats=1, random_state=4, groups=groups)
    np.testing.assert_allclose(
        (found.mean, found.low, found.high), (expected.mean, expected.low, expected.high), rtol=1e-9
    )
    assert found.method == expected.method


def test_classes_at_each_step_are_scored_as_scikit_learn_would_each_series() -> None:
    net, y = SequenceClassifier(**STEPS), step_targets(of_classes=True)
    seen: list[np.ndarray] = []

    def both(predictions: Any, X: Any, truth: np.ndarray) -> np.ndarray:
        hits = nested_scores._POINTWISE["accuracy"](predictions, X, truth)
        logs = nested_scores._POINTWISE["neg_log_loss"](predictions, X, truth)
        series, _ = predictions.steps
        means = nested_scores.SeriesMeans(lambda *_: hits)(predictions, X, truth)
        for one, mean in zip(np.unique(series), means, strict=True):
            assert mean == accuracy_score(truth[series == one], predictions.predicted[series == one])
            shares = predictions.probabilities[series == one]
            expected = -log_loss(truth[series == one], shares, labels=[0, 1])
            assert logs[series == one].mean() == pytest.approx(expected, rel=1e-12)
        seen.append(truth)
        return hits

    default = nested_cv_interval(net, RAGGED, y, n_splits=3, n_repeats=1, random_state=0)
    assert nested_cv_interval(net, RAGGED, y, n_splits=3, n_repeats=1, random_state=0, scoring=both) == default
    assert 0 <= default.mean <= 1
    assert len(seen) == 3 + 3 * 2  # three folds alone, and both of three pairs


def test_a_series_without_a_step_that_counts_is_named() -> None:
    y = [np.where(np.arange(len(x)) > (1 if k == 7 else -1), np.nan, 1.0) for k, x in enumerate(RAGGED)]
    y = [np.where(np.isnan(one) & (k != 7), 1.0, one) for k, one in enumerate(y)]
    needs = "^nested_cv_interval needs an observed step after horizon and warm-up in every series, series 7 has none$"
    with pytest.raises(DataError, match=needs):
        nested_cv_interval(SequenceRegressor(**STEPS, warmup=2), RAGGED, y, n_splits=3)
    with pytest.raises(ParameterError, match=r"^scoring needs to give a number for each of \d+ steps, got \(\)$"):
        nested_cv_interval(SequenceRegressor(**STEPS), RAGGED, step_targets(), n_splits=3, scoring=lambda *_: 0.5)


def test_targets_at_each_step_need_a_network_of_ours() -> None:
    interval = nested_cv_interval(
        SequenceRegressor(**STEPS), X, X.mean((1, 2)), n_splits=3, n_repeats=1, random_state=0
    )
    assert interval.mean < 0
    with pytest.raises(DataError, match=r"^nested_cv_interval needs one target per series, got y of shape \(24, 4\)$"):
        nested_cv_interval(DummyRegressor(), X[:, :, 0], X[:, :, 0], n_splits=3)
