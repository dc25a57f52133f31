"""What a recurrent net must beat: models that know nothing, the last season, a linear model, the nearest neighbor.

Every choice they leave open (a penalty, how far to look back) is made by folds inside the training series.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from throughtime.data import Sequences, SeriesRows, StepRows, check_even
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import at_own_steps, forecast_inputs

Targets = Shaped[ndarray, "series"] | Sequences

_PENALTIES = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4)
_INVERSE_PENALTIES = (1e-3, 1e-2, 0.1, 1.0, 10.0)
_FOLDS = 5
_MOST_ROWS = 20_000  # a random choice of the steps beyond, to bound time
_MOST_TUNING_ROWS = 4_000
_ROWS_AT_ONCE = 20_000
_LEAST_PROBABILITY = 1e-6  # lest one example with a class that a fold never saw decide a choice
_SMOOTHING = 15  # days on either side


class Baseline(Protocol):
    """A model to compare with; one for classes also has ``classes_`` and ``predict_proba``."""

    @property
    def name(self) -> str:
        """What a table of scores calls it."""
        ...

    def fit(self, X: Sequences, y: Targets, groups: Shaped[ndarray, "series"] | None = None) -> Self:
        """Train; inner folds keep groups whole (``X.groups`` when none are given), or else series."""
        ...

    def predict(self, X: Sequences) -> Targets:
        """Predict one value per series, or one at every step, as y had them."""
        ...


def baselines_for(
    X: Sequences,
    y: Targets,
    *,
    classifier: bool,
    horizon: int = 0,
    known: Sequence[int] = (),
    season: int | None = None,
) -> "tuple[Baseline | SeasonalNaive, ...]":
    """Choose the baselines that fit the data; none is trained yet.

    Parameters
    ----------
    X, y
        The data, for what they are: one target per series or one per step, dated or not.
    classifier
        Whether the targets are classes.
    horizon, known
        What a forecast sees, as ``SequenceRegressor`` has it; channels by number.
    season
        Steps after which a season comes again.

    Returns
    -------
    Simplest first.  One target per series: majority class or mean; a linear model (logistic, ridge) on each series
    resampled in time, with summaries of its channels; 1-NN on the resampled series.  One per step: majority class,
    or climatology (the mean where there are no dates); a linear model and, for numbers, 1-NN on the inputs now
    and before.  Of a forecast, or where there is a season, `SeasonalNaive` comes second.

    Raises
    ------
    ParameterError
        For a season of what is not one number per step, or of less than a step.
    DataError
        For times that are not one step apart, where a horizon or a season counts steps.
    """
    if season is not None:
        if classifier or not isinstance(y, Sequences):
            what = "classes" if classifier else "one target per series"
            raise ParameterError(f"season needs a target of numbers at each step, got {what}")
        if season < 1:
            raise ParameterError(f"season needs at least 1 step, got {season}")
    if horizon or season:
        check_even(X, f"horizon={horizon}" if horizon else f"season={season}")
    # Separable classes take lbfgs minutes on 500 columns, Newton's method seconds.
    logistic = [_scaled(LogisticRegression(C=inverse, solver="newton-cg")) for inverse in _INVERSE_PENALTIES]
    ridge = [_scaled(Ridge(penalty)) for penalty in _PENALTIES]
    full, resampled = SeriesRows(summaries=True), SeriesRows(summaries=False)
    match classifier, isinstance(y, Sequences):
        case True, False:
            return (
                SeriesClassifier("majority class", None, [DummyClassifier()]),
                SeriesClassifier("linear", full, logistic),
                SeriesClassifier("1-NN", resampled, [KNeighborsClassifier(1)]),
            )
        case False, False:
            return (
                SeriesRegressor("mean", None, [DummyRegressor()]),
                SeriesRegressor("ridge", full, ridge),
                SeriesRegressor("1-NN", resampled, [KNeighborsRegressor(1)]),
            )
        case True, _:
            return (
                StepClassifier("majority class", None, [DummyClassifier()]),
                StepClassifier("linear on lags", StepRows(), logistic),
            )
        case _:
            dated = X.times is not None and X.times.dtype.kind == "M"
            informed = (
                StepRegressor("ridge on lags", StepRows(), ridge),
                StepRegressor("1-NN on lags", StepRows(), [_scaled(KNeighborsRegressor(1))]),
            )
            return (
                Climatology() if dated else StepRegressor("mean", None, [DummyRegressor()]),
                *([SeasonalNaive(horizon, season or 1)] if horizon or season else []),
                *(Ahead(model, horizon, known) if horizon else model for model in informed),
            )


class SeriesRegressor:
    """Candidate models on one row per series, of which inner folds choose one.

    Parameters
    ----------
    name
        What a table of scores calls it.
    rows
        How a series becomes a row; ``None`` for models that look at nothing.
    models
        scikit-learn estimators, in order of one setting.
    """

    def __init__(self, name: str, rows: SeriesRows | None, models: Sequence[Any]) -> None:
        self.name = name
        self.rows = rows
        self.models = models

    def fit(self, X: Sequences, y: Targets, groups: Shaped[ndarray, "series"] | None = None) -> Self:
        """Choose by inner folds, whole groups where there are groups, and train on all series."""
        targets = np.asarray(y)
        if self.rows is not None:
            self.rows.fit(X)
        features = self._features(X)
        units = X.groups if groups is None else groups
        chosen = _few(np.arange(len(X)), _MOST_TUNING_ROWS)
        folds = _folds_by_rank(targets[chosen]) if units is None else _folds_by_unit(np.asarray(units)[chosen])
        width = features.shape[1]
        _, model = _choose(features[chosen], targets[chosen], folds, [width], self.models)
        self.model_ = _fitted(model, features, targets)
        return self

    def predict(self, X: Sequences) -> Shaped[ndarray, "series"]:
        """Predict one value per series."""
        predicted: ndarray = self.model_.predict(self._features(X))
        return predicted

    def _features(self, X: Sequences) -> Float[ndarray, "series feature"]:
        return np.zeros((len(X), 1)) if self.rows is None else self.rows.transform(X)


class SeriesClassifier(SeriesRegressor):
    """The same for classes, with probabilities."""

    @property
    def classes_(self) -> Shaped[ndarray, "class"]:
        """The classes, in the order of the columns of ``predict_proba``."""
        classes: ndarray = self.model_.classes_
        return classes

    def predict_proba(self, X: Sequences) -> Float[ndarray, "series class"]:
        """Give the probability of each class."""
        probabilities: ndarray = self.model_.predict_proba(self._features(X))
        return probabilities


class StepRegressor:
    """Candidate models on one row per step, of which inner folds choose one, and how far the rows reach back.

    Parameters are those of ``SeriesRegressor``; what is predicted comes as ``Sequences`` of one channel.
    """

    def __init__(self, name: str, rows: StepRows | None, models: Sequence[Any]) -> None:
        self.name = name
        self.rows = rows
        self.models = models

    def fit(self, X: Sequences, y: Targets, groups: Shaped[ndarray, "series"] | None = None) -> Self:
        """Choose by inner folds of whole groups, or else whole series, and train on the observed steps."""
        targets = _steps_of(y)
        rows = _observed(targets)
        if self.rows is not None:
            rows = _few(rows, _MOST_ROWS)
            self.rows.fit(X, rows)
        features, targets = self._features(X, rows), targets[rows]
        chosen = _few(np.arange(len(rows)), _MOST_TUNING_ROWS)
        folds = _folds_by_unit(_step_units(X, groups)[rows][chosen])
        widths = [features.shape[1]] if self.rows is None else self.rows.widths_
        self.width_, model = _choose(features[chosen], targets[chosen], folds, widths, self.models)
        self.model_ = _fitted(model, features[:, : self.width_], targets)
        return self

    def predict(self, X: Sequences) -> Sequences:
        """Predict at every step."""
        return self._at_every_step(X, self.model_.predict)

    def _at_every_step(self, X: Sequences, method: Any) -> Sequences:
        blocks = np.array_split(np.arange(X.n_steps), -(-X.n_steps // _ROWS_AT_ONCE))
        parts = [method(self._features(X, rows)[:, : self.width_]) for rows in blocks]
        return Sequences(np.concatenate(parts).reshape(X.n_steps, -1), X.offsets)

    def _features(self, X: Sequences, rows: Int[ndarray, "row"]) -> Float[ndarray, "row feature"]:
        return np.zeros((len(rows), 1)) if self.rows is None else self.rows.transform(X, rows)


class StepClassifier(StepRegressor):
    """The same for classes, which are numbers when they come at every step, with probabilities."""

    @property
    def classes_(self) -> Shaped[ndarray, "class"]:
        """The classes, in the order of the channels of ``predict_proba``."""
        classes: ndarray = self.model_.classes_
        return classes

    def predict_proba(self, X: Sequences) -> Sequences:
        """Give the probability of each class at every step, one channel per class."""
        return self._at_every_step(X, self.model_.predict_proba)


class Climatology:
    """The training mean by day of the year, over a window of 31 days.

    A day with nothing observed around it gets the mean of all.
    """

    name = "climatology"

    def fit(self, X: Sequences, y: Targets, groups: Shaped[ndarray, "series"] | None = None) -> Self:  # noqa: ARG002
        """Average the observed steps; groups change nothing here."""
        targets = _steps_of(y)
        rows = _observed(targets)
        days = _day_of_year(X)[rows]
        sums = np.bincount(days, targets[rows], minlength=366)
        counts = np.bincount(days, minlength=366)
        # The year is a circle: the window of January 1st reaches into December.
        window = range(-_SMOOTHING, _SMOOTHING + 1)
        sums = np.sum([np.roll(sums, shift) for shift in window], axis=0)
        counts = np.sum([np.roll(counts, shift) for shift in window], axis=0)
        overall = targets[rows].mean()
        self.mean_of_day_ = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
        return self

    def predict(self, X: Sequences) -> Sequences:
        """Give every step its day's mean."""
        return Sequences(self.mean_of_day_[_day_of_year(X)][:, None], X.offsets)


class Ahead:
    """A baseline that reads what a forecast may see; at the first steps of a series, without a forecast, it is NaN."""

    def __init__(self, baseline: StepRegressor, horizon: int, known: Sequence[int]) -> None:
        self.name = baseline.name
        self.baseline, self.horizon, self.known = baseline, horizon, known

    def fit(self, X: Sequences, y: Targets, groups: Shaped[ndarray, "series"] | None = None) -> Self:
        """Train on the steps that have a forecast."""
        later = Sequences(_steps_of(y)[:, None], X.offsets)
        later = later.cut(np.arange(len(X)), np.full(len(X), self.horizon), X.lengths)
        self.baseline.fit(forecast_inputs(X, self.horizon, self.known), later, groups)
        return self

    def predict(self, X: Sequences) -> Sequences:
        """Predict at every step that has a forecast."""
        predicted = self.baseline.predict(forecast_inputs(X, self.horizon, self.known)).values[:, 0]
        return Sequences(at_own_steps(X, predicted, self.horizon)[:, None], X.offsets)


class SeasonalNaive:
    """The target a whole number of seasons before: the last that is over at the time of the forecast.

    With seasons of m steps and a horizon h that is y(t - m ceil(h/m)); with m = 1 it is persistence, the last value
    known.  Where it was not observed, the season before counts; then the last value known at all; then the training
    mean.

    Reference: Hyndman & Athanasopoulos (2021), Forecasting: Principles and Practice, 3rd edition, section 5.2.

    Parameters
    ----------
    horizon
        Steps ahead; 0 counts as 1, since the target of the step itself is what is asked for.
    season
        Steps of a season.
    """

    def __init__(self, horizon: int, season: int = 1) -> None:
        self.horizon, self.season = max(horizon, 1), season
        self.name = "persistence" if season == 1 else f"seasonal naive, {season}"

    def fit(self, X: Sequences, y: Targets, groups: Shaped[ndarray, "series"] | None = None) -> Self:  # noqa: ARG002
        """Keep the mean of the observed steps, for series of which nothing is known yet, and the step of the times."""
        self.clock_ = check_even(X, f"the {self.name} forecast")
        targets = _steps_of(y)
        self.mean_ = float(targets[_observed(targets)].mean())
        return self

    def predict(self, X: Sequences, y: Targets) -> Sequences:
        """Predict every step of X from the targets y before it, a horizon away at the least."""
        check_even(X, f"the {self.name} forecast", self.clock_)
        parts = [self._series(steps) for steps in Sequences(_steps_of(y)[:, None], X.offsets)]
        return Sequences(np.concatenate(parts)[:, None], X.offsets)

    def _series(self, y: Float[ndarray, "time 1"]) -> Float[ndarray, "time"]:
        predicted = np.full(len(y), self.mean_)
        for season in (1, self.season):  # what a season says wins over persistence
            lag = season * -(-self.horizon // season)
            last = _last_observed(y[:, 0], season)[: max(len(y) - lag, 0)]
            predicted[lag:] = np.where(np.isnan(last), predicted[lag:], last)
        return predicted


def _last_observed(y: Float[ndarray, "time"], season: int) -> Float[ndarray, "time"]:
    """At each step its value, or where there is none that of the same step in the last season that has one."""
    seasons = np.full((-(-len(y) // season), season), np.nan)
    seasons.ravel()[: len(y)] = y
    seen = np.maximum.accumulate(np.where(np.isnan(seasons), 0, np.arange(len(seasons))[:, None]), 0)
    last: ndarray = np.take_along_axis(seasons, seen, 0).ravel()[: len(y)]
    return last


def _scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


def _day_of_year(X: Sequences) -> Int[ndarray, "step"]:
    """Days since January 1st, of every step."""
    if X.times is None or X.times.dtype.kind != "M":
        raise DataError("climatology needs the date of every step, got series without dates; name a column with --time")
    days: ndarray = (X.times.astype("M8[D]") - X.times.astype("M8[Y]")).astype(np.intp)
    return days


def _steps_of(y: Targets) -> Float[ndarray, "step"]:
    if not isinstance(y, Sequences):
        raise DataError(f"a baseline on steps needs a target at each step, got an array of shape {y.shape}")
    return y.values[:, 0].astype(np.float64)


def _observed(targets: Float[ndarray, "step"]) -> Int[ndarray, "row"]:
    rows = np.flatnonzero(~np.isnan(targets))
    if not len(rows):
        raise DataError("y needs an observed target, got NaN at every step")
    return rows


def _few(rows: Int[ndarray, "row"], most: int) -> Int[ndarray, "row"]:
    """At most so many rows, always the same choice, in order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.RandomState(0).choice(rows, most, replace=False))


def _step_units(X: Sequences, groups: Shaped[ndarray, "series"] | None) -> Shaped[ndarray, "step"]:
    """What inner folds keep whole, for each step: its group, its series, or a fifth of the only one there is."""
    groups = X.groups if groups is None else np.asarray(groups)
    units = np.arange(len(X)) if groups is None else groups
    if len(np.unique(units)) > 1:
        return np.repeat(units, X.lengths)
    return np.arange(X.n_steps) * _FOLDS // X.n_steps


Folds = list[tuple[Int[ndarray, "row"], Int[ndarray, "row"]]]


def _folds_by_unit(units: Shaped[ndarray, "row"]) -> Folds:
    n_folds = min(_FOLDS, len(np.unique(units)))
    return list(GroupKFold(n_folds).split(units, groups=units)) if n_folds > 1 else []


def _folds_by_rank(targets: Shaped[ndarray, "row"]) -> Folds:
    """Folds over which every class, or every part of a number's range, is spread as evenly as can be."""
    n_folds = min(_FOLDS, len(targets))
    shuffled = np.random.RandomState(0).permutation(len(targets))
    number = np.empty(len(targets), np.intp)
    number[shuffled[np.argsort(targets[shuffled], kind="stable")]] = np.arange(len(targets)) % n_folds
    return [(np.flatnonzero(number != k), np.flatnonzero(number == k)) for k in range(n_folds)] if n_folds > 1 else []


def _choose(
    features: Float[ndarray, "row feature"],
    targets: Shaped[ndarray, "row"],
    folds: Folds,
    widths: Sequence[int],
    models: Sequence[Any],
) -> tuple[int, Any]:
    """Choose how many columns to see, at the middle model, and then the model, by their loss over the folds.

    Without folds, that is with a single row, group or series, all columns and the middle model are taken.
    """

    def loss(width: int, model: Any) -> float:
        return sum(_loss(model, features[:, :width], targets, train, test) for train, test in folds)

    middle = models[len(models) // 2]
    if not folds:
        return widths[-1], middle
    width = widths[0] if len(widths) == 1 else min(widths, key=lambda width: loss(width, middle))
    return width, models[0] if len(models) == 1 else min(models, key=lambda model: loss(width, model))


def _loss(model: Any, features: ndarray, targets: ndarray, train: ndarray, test: ndarray) -> float:
    """Summed squared error, or log loss, on the test rows."""
    fitted = _fitted(model, features[train], targets[train])
    if not is_classifier(model):
        return float(((fitted.predict(features[test]) - targets[test]) ** 2).sum())
    of_truth = (fitted.predict_proba(features[test]) * (fitted.classes_ == targets[test][:, None])).sum(1)
    return float(-np.log(np.maximum(of_truth, _LEAST_PROBABILITY)).sum())


def _fitted(model: Any, features: Float[ndarray, "row feature"], targets: Shaped[ndarray, "row"]) -> Any:
    """Fit a fresh copy; where training has one class only, one that always says it."""
    if is_classifier(model) and (targets == targets[0]).all():
        model = DummyClassifier()
    with warnings.catch_warnings():
        # Short of its optimum a linear model is a baseline still, and the folds choose a penalty that does well.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", ".*line search")
        return clone(model).fit(features, targets)
