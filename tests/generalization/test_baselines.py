"""What a net must beat."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from throughtime.data import Sequences, load
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import SequenceRegressor
from throughtime.estimators.forecast import forecast_inputs
from throughtime.generalization.baselines import (
    Climatology,
    SeasonalNaive,
    SeriesRegressor,
    StepRegressor,
    baselines_for,
)
from throughtime.study import assess, assess_baselines, scorers_for


def by_name(X: Sequences, y: Any, *, classifier: bool) -> dict[str, Any]:
    return {baseline.name: baseline.fit(X, y) for baseline in baselines_for(X, y, classifier=classifier)}


def ragged(n: int, channels: int = 2, seed: int = 0) -> Sequences:
    rng = np.random.default_rng(seed)
    return Sequences.from_arrays([rng.normal(size=(length, channels)) for length in rng.integers(5, 12, n)])


def efficiency(y: Sequences, predicted: Sequences) -> float:
    """Nash-Sutcliffe efficiency over the observed steps."""
    truth, guess = y.values[:, 0], predicted.values[:, 0]
    seen = ~np.isnan(truth)
    return 1 - float(((truth - guess)[seen] ** 2).mean() / truth[seen].var())


def test_japanese_vowels_are_nearly_linear() -> None:
    X, y = load("japanese-vowels", "train")
    X_test, y_test = load("japanese-vowels", "test")
    found = {name: np.mean(model.predict(X_test) == y_test) for name, model in by_name(X, y, classifier=True).items()}
    assert found["majority class"] == pytest.approx(np.mean(y_test == np.unique(y)[0]))
    assert found["linear"] >= 0.985
    assert found["1-NN"] >= 0.95


def test_discharge_of_the_fulda_is_predicted_as_well_as_a_linear_model_can() -> None:
    pytest.importorskip("spotpy", reason="the data come with spotpy's wheel")
    X, y = load("fulda", "train")
    X_test, y_test = load("fulda", "test")
    found = {name: efficiency(y_test, model.predict(X_test)) for name, model in by_name(X, y, classifier=False).items()}
    assert found["climatology"] == pytest.approx(0.15, abs=0.03)
    assert found["ridge on lags"] == pytest.approx(0.63, abs=0.03)
    # Windows that double make neighbors of more days than single lags do (.27).
    assert found["1-NN on lags"] == pytest.approx(0.44, abs=0.03)


def test_the_majority_class_and_the_mean_are_those_of_training() -> None:
    X = ragged(7)
    y = np.array(list("abbcbca"))
    majority = baselines_for(X, y, classifier=True)[0].fit(X, y)
    assert set(majority.predict(X)) == {"b"}
    np.testing.assert_allclose(majority.predict_proba(X), [[2 / 7, 3 / 7, 2 / 7]] * 7)  # type: ignore[attr-defined]
    numbers = np.arange(7.0)
    mean = baselines_for(X, numbers, classifier=False)[0].fit(X, numbers)
    np.testing.assert_allclose(mean.predict(X), 3.0)


def test_a_linear_law_of_the_summaries_is_found_by_ridge() -> None:
    X, X_test = ragged(150), ragged(50, seed=1)

    def law(X: Sequences) -> NDArray[np.float64]:
        return np.array([3 * x[:, 0].mean() - x[-1, 1] + 2 for x in X])

    ridge = baselines_for(X, law(X), classifier=False)[1].fit(X, law(X))
    residual = ridge.predict(X_test) - law(X_test)
    assert residual.var() < 1e-3 * law(X_test).var()


def test_a_linear_law_of_past_steps_is_found_by_ridge_on_lags() -> None:
    def law(X: Sequences) -> Sequences:
        y = [2 * x[:, 0] - np.concatenate([[0, 0], x[:-2, 1]]) + 1 for x in X]
        return Sequences.from_arrays([np.where(np.arange(len(v)) < 2, np.nan, v) for v in y])

    X, X_test = ragged(60), ragged(20, seed=1)
    ridge = by_name(X, law(X), classifier=False)["ridge on lags"]
    assert efficiency(law(X_test), ridge.predict(X_test)) > 0.999


def test_one_nearest_neighbor_knows_its_training_series() -> None:
    X = ragged(20)
    y = np.arange(20.0)
    np.testing.assert_array_equal(by_name(X, y, classifier=False)["1-NN"].predict(X), y)
    labels = y.astype(str)
    np.testing.assert_array_equal(by_name(X, labels, classifier=True)["1-NN"].predict(X), labels)


def test_climatology_is_the_mean_over_fifteen_days_on_either_side() -> None:
    rng = np.random.default_rng(0)
    days = np.arange(np.datetime64("1983-11-20"), np.datetime64("1986-03-05"))
    values = rng.gamma(2, size=(len(days), 1))
    values[rng.random(len(days)) < 0.3] = np.nan
    X = Sequences.from_arrays([np.zeros(len(days))], times=[days])
    y = Sequences.from_arrays([values])
    found = Climatology().fit(X, y).predict(X).values[:, 0]
    of_year = (days - days.astype("M8[Y]").astype("M8[D]")).astype(int)
    for t in range(0, len(days), 17):
        apart = np.abs(of_year - of_year[t])
        near = np.minimum(apart, 366 - apart) <= 15
        assert found[t] == pytest.approx(np.nanmean(values[near]), rel=1e-12)


def test_a_season_never_observed_gets_the_mean_of_all() -> None:
    days = np.arange(np.datetime64("1990-06-01"), np.datetime64("1990-07-01"))
    X = Sequences.from_arrays([np.zeros(30)], times=[days])
    climatology = Climatology().fit(X, Sequences.from_arrays([np.arange(30.0)]))
    winter = Sequences.from_arrays([np.zeros(2)], times=[days[:2] + 200])
    np.testing.assert_array_equal(climatology.predict(winter).values[:, 0], [14.5, 14.5])


def test_without_dates_the_mean_of_the_observed_steps_stands_for_climatology() -> None:
    X = ragged(4)
    y = Sequences(np.where(np.arange(X.n_steps) % 2, np.nan, np.arange(X.n_steps))[:, None], X.offsets)
    mean = baselines_for(X, y, classifier=False)[0].fit(X, y)
    assert mean.name == "mean"
    np.testing.assert_allclose(mean.predict(X).values, np.nanmean(y.values))
    with pytest.raises(DataError, match=r"^climatology needs the date of every step"):
        Climatology().fit(X, y)


@pytest.mark.parametrize("classifier", [False, True])
def test_a_target_at_each_step_is_predicted_at_each_step(classifier: bool) -> None:
    X = ragged(12)
    y = Sequences((X.values[:, :1] > 0).astype(float), X.offsets)
    some = Sequences(np.where(np.arange(X.n_steps)[:, None] % 3, y.values, np.nan), X.offsets)
    test = ragged(3, seed=1)
    for model in by_name(X, some, classifier=classifier).values():
        predicted = model.predict(test)
        np.testing.assert_array_equal(predicted.lengths, test.lengths)
        assert predicted.n_channels == 1
        assert np.isfinite(predicted.values).all()
        if classifier:
            probability = model.predict_proba(test).values
            np.testing.assert_allclose(probability.sum(1), 1)
            np.testing.assert_array_equal(model.classes_[probability.argmax(1)], predicted.values[:, 0])
    if classifier:
        assert np.mean(model.predict(test).values == (test.values[:, :1] > 0)) > 0.9


def test_the_likeliest_class_is_the_one_predicted() -> None:
    X = ragged(30)
    y = np.array(["high" if x[:, 0].mean() > 0 else "low" for x in X])
    for model in by_name(X, y, classifier=True).values():
        probability = model.predict_proba(X)
        np.testing.assert_allclose(probability.sum(1), 1)
        np.testing.assert_array_equal(model.classes_[probability.argmax(1)], model.predict(X))


class Recorder(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Keeps the targets that each of its copies was fitted on."""

    seen: list[NDArray[np.float64]] = []  # noqa: RUF012 - shared by the copies on purpose

    def __init__(self, setting: int = 0) -> None:
        self.setting = setting

    def fit(self, features: NDArray[np.float64], targets: NDArray[np.float64]) -> "Recorder":  # noqa: ARG002
        Recorder.seen.append(targets)
        return self

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.zeros(len(features))


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_inner_folds_never_divide_a_group(steps: bool, given: bool) -> None:
    X = ragged(24)
    groups = np.arange(24) % 7
    y: Any = groups.astype(float)
    if steps:
        y = Sequences(np.repeat(y, X.lengths)[:, None], X.offsets)
    sizes = np.bincount(np.repeat(groups, X.lengths) if steps else groups)
    Recorder.seen.clear()
    model: Any = (StepRegressor if steps else SeriesRegressor)("recorder", None, [Recorder(0), Recorder(1)])
    model.fit(*((X, y, groups) if given else (X.replace(groups=groups), y)))
    assert len(Recorder.seen) == 2 * 5 + 1
    for targets in Recorder.seen:
        counts = np.bincount(targets.astype(int), minlength=7)
        assert set(counts[counts > 0] - sizes[counts > 0]) == {0}
    assert all(len(targets) < sizes.sum() for targets in Recorder.seen[:-1])


def test_the_same_data_give_the_same_predictions() -> None:
    X, test = ragged(25), ragged(6, seed=1)
    series_y = np.arange(25) % 3
    step_y = Sequences(X.values[:, :1].cumsum(0) % 2, X.offsets)
    for y, classifier in ((series_y, True), (series_y.astype(float), False), (step_y, False)):
        first, second = by_name(X, y, classifier=classifier), by_name(X, y, classifier=classifier)
        for name in first:
            one, two = first[name].predict(test), second[name].predict(test)
            assert one == two if isinstance(one, Sequences) else np.array_equal(one, two)


def test_a_model_may_be_trained_on_a_part_of_many_steps() -> None:
    X = Sequences.from_arrays(np.random.default_rng(0).normal(size=(3, 12_000, 1)))
    y = Sequences(X.values * 2 + 1, X.offsets)
    mean, ridge, _ = baselines_for(X, y, classifier=False)
    assert efficiency(y, ridge.fit(X, y).predict(X)) > 0.999  # type: ignore[arg-type]
    np.testing.assert_allclose(mean.fit(X, y).predict(X).values, y.values.mean())  # type: ignore[union-attr]


def of_steps(values: NDArray[np.float64]) -> tuple[Sequences, Sequences]:
    """Series (series, time) as targets, beside inputs that say nothing."""
    return Sequences.from_arrays(np.zeros((*values.shape, 1))), Sequences.from_arrays(values[:, :, None])


@pytest.mark.parametrize("season", [1, 3, 7])
@pytest.mark.parametrize("horizon", [0, 1, 2, 3, 7, 8, 20])
def test_what_returns_every_season_is_forecast_without_error(season: int, horizon: int) -> None:
    period = np.random.default_rng(0).normal(size=(4, season))
    X, y = of_steps(np.tile(period, 60 // season))
    naive = SeasonalNaive(horizon, season).fit(X, y)
    predicted = naive.predict(X, y)
    lag = season * max(1, int(np.ceil(horizon / season)))
    for row in range(4):
        assert np.array_equal(predicted[row][lag:], y[row][lag:])
    assert naive.name == ("persistence" if season == 1 else f"seasonal naive, {season}")


@pytest.mark.parametrize("season", [1, 4])
@pytest.mark.parametrize("horizon", [1, 3, 4, 5])
def test_the_naive_forecast_is_the_last_value_of_its_season_that_the_horizon_leaves(season: int, horizon: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 30))
    values[rng.random(values.shape) < 0.4] = np.nan
    values[:, -1] = 1.0
    X, y = of_steps(values)
    naive = SeasonalNaive(horizon, season).fit(X, y)
    found = naive.predict(X, y)
    for row in range(3):
        for t in range(30):
            past = [s for s in range(t - horizon, -1, -1) if np.isfinite(values[row, s])]
            own = [s for s in past if (t - s) % season == 0]
            expected = values[row, (own or past)[0]] if past else np.nanmean(values)
            assert found[row][t, 0] == expected


def test_a_naive_forecast_knows_no_target_within_its_horizon() -> None:
    values = np.random.default_rng(0).normal(size=(1, 20))
    X, y = of_steps(values)
    naive = SeasonalNaive(5, 3).fit(X, y)
    before = naive.predict(X, y).values[:, 0]
    for step in range(20):
        changed = values.copy()
        changed[0, step] += 1
        reached = np.flatnonzero(naive.predict(X, of_steps(changed)[1]).values[:, 0] != before)
        assert (reached >= step + 5).all()
        assert len(reached) or step + 6 >= 20  # two seasons back, of three steps each


@pytest.mark.parametrize("horizon", [1, 4, 10])
def test_persistence_of_a_random_walk_errs_by_the_variance_of_its_horizons_steps(horizon: int) -> None:
    rng = np.random.default_rng(horizon)
    X, y = of_steps(2.0 * rng.normal(size=(2000, horizon + 1)).cumsum(1))
    predicted = SeasonalNaive(horizon).fit(X, y).predict(X, y)
    errors = np.array([one[-1, 0] - other[-1, 0] for one, other in zip(y, predicted, strict=True)])
    # 2000 independent squared errors of a normal: a relative deviation of sqrt(2/2000)
    assert np.mean(errors**2) == pytest.approx(horizon * 4.0, rel=3 * np.sqrt(2 / 2000))


@pytest.mark.parametrize("known", [[], [1]])
def test_the_baselines_of_a_forecast_see_what_it_sees(known: list[int]) -> None:
    X, test = ragged(20), ragged(5, seed=1)
    y = Sequences(X.values[:, :1] + X.values[:, 1:], X.offsets)
    cut = y.cut(np.arange(20), np.full(20, 2), y.lengths)
    ahead = {b.name: b for b in baselines_for(X, y, classifier=False, horizon=2, known=known)}
    assert list(ahead) == ["mean", "persistence", "ridge on lags", "1-NN on lags"]
    now = {b.name: b for b in baselines_for(X, y, classifier=False)}
    for name in ("ridge on lags", "1-NN on lags"):
        found = ahead[name].fit(X, y).predict(test)  # type: ignore[call-arg]
        expected = now[name].fit(forecast_inputs(X, 2, known), cut).predict(forecast_inputs(test, 2, known))  # type: ignore[call-arg]
        for row in range(5):
            assert np.isnan(found[row][:2]).all()
            assert np.array_equal(found[row][2:], expected[row])


def test_baselines_and_forecast_are_scored_on_the_same_steps() -> None:
    X, y = of_steps(np.tile(np.random.default_rng(0).normal(size=(6, 4)), 5))
    model = SequenceRegressor(hidden_size=2, max_epochs=1, random_state=0, horizon=3, burn_in=1)
    splits = [(np.arange(3), np.arange(3, 6)), (np.arange(3, 6), np.arange(3))]
    scorers = scorers_for(model, y, ["r2", "neg_mean_squared_error"])
    found = {one.name: one for one in assess_baselines(model, X, y, splits, scorers, test=(X, y), season=4)}
    assert list(found) == ["mean", "seasonal naive, 4", "ridge on lags", "1-NN on lags"]
    naive = found["seasonal naive, 4"]
    assert naive.validation == {"R2": [[1.0, 1.0]], "neg_mean_squared_error": [[0.0, 0.0]]}
    assert naive.test == {"R2": [1.0], "neg_mean_squared_error": [0.0]}
    # the mean of training at every step from the fifth on
    errors = y.values[y.offsets[3] :, 0].reshape(3, 20)[:, 4:] - y.values[: y.offsets[3]].mean()
    assert found["mean"].validation["neg_mean_squared_error"][0][0] == pytest.approx(-np.mean(errors**2), rel=1e-12)
    scores = assess([model], X, y, splits, scorers).scores
    assert np.isfinite(scores.validation["R2"]).all()


def test_a_season_without_a_horizon_adds_the_naive_and_nothing_else() -> None:
    X = ragged(4)
    y = Sequences(X.values[:, :1], X.offsets)
    assert [b.name for b in baselines_for(X, y, classifier=False, season=3)] == [
        "mean",
        "seasonal naive, 3",
        "ridge on lags",
        "1-NN on lags",
    ]
    with pytest.raises(ParameterError, match=r"^season needs at least 1 step, got 0$"):
        baselines_for(X, y, classifier=False, season=0)
    needs = "^season needs a target of numbers at each step, got "
    with pytest.raises(ParameterError, match=f"{needs}classes$"):
        baselines_for(X, y, classifier=True, season=3)
    with pytest.raises(ParameterError, match=f"{needs}one target per series$"):
        baselines_for(X, np.arange(4.0), classifier=False, season=3)


AWKWARD = {
    "a constant channel": Sequences(np.full((20, 2), 7.0), [0, 4, 9, 15, 20]),
    "a channel never observed": Sequences(np.full((20, 2), np.nan), [0, 4, 9, 15, 20]),
    "single steps": Sequences(np.arange(8.0).reshape(4, 2), [0, 1, 2, 3, 4]),
    "a huge scale": Sequences(1e9 + 1e5 * np.random.default_rng(0).normal(size=(20, 2)), [0, 4, 9, 15, 20]),
    "two series": Sequences(np.random.default_rng(0).normal(size=(9, 2)), [0, 4, 9]),
    "one series": Sequences(np.random.default_rng(0).normal(size=(9, 2)), [0, 9]),
}


@pytest.mark.parametrize("X", AWKWARD.values(), ids=AWKWARD.keys())
@pytest.mark.parametrize("classifier", [False, True])
@pytest.mark.parametrize("target", ["series", "step", "one value"])
def test_awkward_data_are_learned_without_a_warning(X: Sequences, classifier: bool, target: str) -> None:
    n = X.n_steps if target == "step" else len(X)
    values = np.zeros(n) if target == "one value" else np.arange(n) % 2.0
    y: Any = Sequences(values[:, None], X.offsets) if target == "step" else values
    for model in by_name(X, y, classifier=classifier).values():
        predicted = model.predict(X)
        assert np.isfinite(predicted.values if isinstance(predicted, Sequences) else predicted).all()


def test_steps_without_any_target_are_refused() -> None:
    X = ragged(3)
    y = Sequences(np.full((X.n_steps, 1), np.nan), X.offsets)
    for baseline in baselines_for(X, y, classifier=False):
        with pytest.raises(DataError, match=r"^y needs an observed target, got NaN at every step$"):
            baseline.fit(X, y)


@pytest.mark.parametrize(("horizon", "season"), [(2, None), (0, 3), (2, 3)])
def test_a_naive_forecast_counts_steps_and_refuses_times_with_gaps(horizon: int, season: int | None) -> None:
    times = np.delete(np.arange(20.0), 9)
    X = Sequences.from_arrays([np.zeros(19), np.zeros(20)], times=[times, np.arange(20.0)])
    y = Sequences.from_arrays([np.sin(times), np.sin(np.arange(20.0))])
    with pytest.raises(DataError, match=r"counts steps and needs times without gaps, got 8 and 10, .* series '0'"):
        baselines_for(X, y, classifier=False, horizon=horizon, season=season)
    even = X[1:]
    naive = SeasonalNaive(horizon, season or 1).fit(even, y[1:])
    assert np.isfinite(naive.predict(even, y[1:]).values).all()
    with pytest.raises(DataError, match="forecast counts steps and needs times without gaps"):
        naive.predict(X[:1], y[:1])
    twice = Sequences.from_arrays([np.zeros(20)], times=[np.arange(20.0) * 2])
    with pytest.raises(DataError, match="steps, of 1 in fit, got steps of 2"):
        naive.predict(twice, y[1:])
