"""The door for everything that trains many: estimators in, fitted estimators out, all of one shape in lockstep."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy import ndarray
from sklearn.base import clone

from throughtime.data import Sequences, check_even
from throughtime.errors import DataError, ParameterError, ThroughtimeError
from throughtime.estimators.base import SequenceEstimator
from throughtime.estimators.calls import Fit, Outputs
from throughtime.estimators.features import any_missing, extremes_of, features_of, inputs_of, refuse_beyond
from throughtime.estimators.forecast import check_longer, forecast_inputs
from throughtime.estimators.memory import DEFAULT_BUDGET, bytes_a_member, masks_of, runs
from throughtime.estimators.names import check_names
from throughtime.estimators.pool import kind, pooled
from throughtime.estimators.preparation import Prepared, Problem, Rows, as_rows, check_device, numpy_dtype
from throughtime.estimators.unseen_gaps import warn_of_unseen_gaps
from throughtime.kernels import keeps_torch_state
from throughtime.nn import Net, plain_module
from throughtime.records import EpochProgress
from throughtime.training import (
    EVALUATION_ROWS,
    EpochReports,
    Inputs,
    Job,
    Member,
    Recipe,
    Report,
    Trained,
    predict,
    shown,
    train_jobs,
)

E = TypeVar("E", bound=SequenceEstimator)

#: The same series as estimators of some horizon read them, with their lowest and highest value.
_Views = dict[tuple[int, tuple[int, ...]], tuple[Sequences, ndarray]]


@dataclass(frozen=True)
class _Group:
    """Members of one shape, and the inputs they share."""

    net: Net
    recipe: Recipe
    inputs: Inputs
    members: list[Member]


@keeps_torch_state
def fit_members(
    estimators: Sequence[E],
    X: Any,
    y: Any,
    *,
    train_indices: Sequence[Rows] | None = None,
    eval_indices: Sequence[Rows | None] | None = None,
    sample_weight: Any = None,
    groups: Any = None,
    on_epoch: Callable[[EpochProgress], None] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> list[E | Exception]:
    """Fit many estimators on series of one data set, those whose networks have one shape in lockstep.

    Parameters
    ----------
    estimators
        One per member, unfitted; each keeps its own parameters and seed and is left as it is.
    train_indices
        The series each member trains on; all of them by default. On the CPU member m's result is bit for bit
        ``estimators[m].fit(X[train_indices[m]], y[train_indices[m]])``; on other devices, and with ``module``, the
        two agree to rounding.
    eval_indices
        Series whose loss is noted each epoch and never used, such as the fold's test series; ``None`` for a member
        without.
    sample_weight, groups
        One per series of X.
    memory_budget
        Bytes, by the estimate of ``estimators.memory``, that members may take at a time: of those of one shape, as
        many train together; ``None`` for all of them. On the CPU no bit of a result depends on it.

    Returns
    -------
    Fitted copies in order; for a member that failed alone (one class in its fold, divergence), its exception.

    Raises
    ------
    DataError, ParameterError
        For what concerns all members.
    """
    if not estimators:
        return []
    for rows_of_each in (train_indices, eval_indices):
        if rows_of_each is not None and len(rows_of_each) != len(estimators):
            raise ParameterError(
                f"fit_members needs rows for each of {len(estimators)} members, got {len(rows_of_each)}"
            )
    problem = Problem(estimators, X, y, sample_weight, groups)
    everything = np.arange(len(problem.X))
    results: list[E | Exception | None] = [None] * len(estimators)
    together: dict[Any, list[tuple[int, Prepared]]] = defaultdict(list)
    for m, estimator in enumerate(estimators):
        own = None if eval_indices is None else eval_indices[m]
        try:
            rows = everything if train_indices is None else as_rows(train_indices[m], len(everything))
            evaluated = None if own is None else as_rows(own, len(everything))
            prepared = problem.prepare(estimator, rows, evaluated)
        except ThroughtimeError as error:
            results[m] = error
        else:
            together[prepared.net, prepared.recipe, prepared.masked].append((m, prepared))

    places = [m for group in together.values() for m, _ in group]
    trained_groups = [
        _Group(
            net,
            recipe,
            problem.inputs(masked, recipe.dtype, recipe.device),
            [prepared.member for _, prepared in group],
        )
        for (net, recipe, masked), group in together.items()
    ]
    ready = [prepared for group in together.values() for _, prepared in group]
    with shown(type(estimators[0]).__name__, any(e.verbose for e in estimators), on_epoch) as report:
        for m, prepared, trained in zip(
            places, ready, _train_groups(trained_groups, memory_budget, report), strict=True
        ):
            results[m] = trained.failure or _fitted(estimators[m], prepared, trained)
    return results  # type: ignore[return-value]


@keeps_torch_state
def fit_calls(
    calls: Sequence[Fit],
    *,
    verbose: bool = False,
    on_epoch: Callable[[EpochProgress], None] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> list[SequenceEstimator | Exception]:
    """Fit many estimators, each on series of its own, those whose networks have one shape in lockstep.

    Returns
    -------
    What ``call.estimator.fit(call.X, call.y, ...)`` gives or raises, in order.
    """
    results: list[Any] = [None] * len(calls)
    together: dict[Any, list[tuple[int, Sequences, Prepared]]] = defaultdict(list)
    for m, call in enumerate(calls):
        try:
            problem = Problem([call.estimator], call.X, call.y, call.sample_weight, call.groups)
            prepared = problem.prepare(call.estimator, np.arange(len(problem.X)), None)
        except Exception as error:
            results[m] = error
        else:
            forecast_key = problem.horizon, tuple(problem.known)
            key = prepared.net, prepared.recipe, prepared.masked, forecast_key, kind(problem.X)
            together[key].append((m, problem.X, prepared))
    groups, places = [], []
    for (net, recipe, masked, forecast_key, _), group in together.items():
        X, rows = pooled([own for _, own, _ in group])
        inputs = inputs_of(
            features_of(forecast_inputs(X, *forecast_key), masked, numpy_dtype(recipe.dtype)), recipe.device
        )
        members = [_moved(prepared.member, own) for (_, _, prepared), own in zip(group, rows, strict=True)]
        groups.append(_Group(net, recipe, inputs, members))
        places += [(m, prepared) for m, _, prepared in group]
    title = type(calls[0].estimator).__name__ if calls else ""
    with shown(title, verbose or any(call.estimator.verbose for call in calls), on_epoch) as report:
        for (m, prepared), trained in zip(places, _train_groups(groups, memory_budget, report), strict=True):
            results[m] = trained.failure or _fitted(calls[m].estimator, prepared, trained)
    return results


def predict_members(
    estimators: Sequence[SequenceEstimator],
    X: Sequences,
    rows: Sequence[Rows],
    *,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> list[ndarray]:
    """Network outputs of many fitted estimators, each on its own series of X, those of one shape in lockstep.

    Returns
    -------
    A row per series, or a row per step when it was fitted on one target per step; less the ``horizon_`` first
    steps of each series, which have no forecast.

    Raises
    ------
    DataError
        For channels or static features other than in ``fit``.
    """
    for estimator in estimators:
        check_names(estimator, X, X)
    return outputs_of(estimators, X, rows, memory_budget=memory_budget)


def outputs_of(
    estimators: Sequence[SequenceEstimator],
    X: Sequences,
    rows: Sequence[Rows],
    *,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> list[ndarray]:
    """`predict_members` of series whose names were compared already, as the caller had them."""
    views: _Views = {}
    for estimator, own in zip(estimators, rows, strict=True):
        _check_series(estimator, X, own, views)
    return _outputs(estimators, X, rows, views, memory_budget)


@keeps_torch_state
def _outputs(
    estimators: Sequence[SequenceEstimator], X: Sequences, rows: Sequence[Rows], views: _Views, budget: float | None
) -> list[ndarray]:
    """`outputs_of` series that were checked."""
    outputs: list[ndarray | None] = [None] * len(estimators)
    together: dict[Any, list[int]] = defaultdict(list)
    for m, estimator in enumerate(estimators):
        together[
            estimator.module_.net, _precision(estimator), estimator.masked_, estimator.device, _forecast_key(estimator)
        ].append(m)
    warn_of_unseen_gaps(estimators, X, rows)
    for (net, dtype, masked, device, forecast_key), places in together.items():
        seen = views[forecast_key][0] if forecast_key in views else forecast_inputs(X, *forecast_key)
        inputs = inputs_of(features_of(seen, masked, numpy_dtype(dtype)), device)
        longest = int(X.lengths.max(initial=1))
        batch = min(EVALUATION_ROWS, max(len(rows[m]) for m in places))
        each = bytes_a_member(net, batch, longest, dtype.itemsize, training=False)
        for run in runs(places, each, budget):
            states = [estimators[m].module_.state_dict() for m in run]
            stacked = {name: torch.stack([state[name] for state in states]).to(device) for name in states[0]}
            shift, scale = (stacked.pop(name).to(inputs.values.dtype) for name in ("shift", "scale"))
            noise = [estimators[m].module_.noise for m in run]
            found = predict(net, stacked, inputs, [rows[m] for m in run], shift, scale, noise)
            for m, own in zip(run, found, strict=True):
                outputs[m] = own
    return outputs  # type: ignore[return-value]


def predict_calls(
    calls: Sequence[Outputs], *, memory_budget: float | None = DEFAULT_BUDGET
) -> list[ndarray | Exception]:
    """Network outputs of many fitted estimators, each on series of its own, in lockstep."""
    results: list[Any] = [None] * len(calls)
    together: dict[Any, list[int]] = defaultdict(list)
    for m, call in enumerate(calls):
        try:
            _check_series(call.estimator, call.X, np.arange(len(call.X)), {})
        except Exception as error:
            results[m] = error
        else:
            # together with series that are long enough: the horizon of one call is not another's
            together[kind(call.X), _forecast_key(call.estimator)].append(m)
    for places in together.values():
        X, rows = pooled([calls[m].X for m in places])
        found = _outputs([calls[m].estimator for m in places], X, rows, {}, memory_budget)
        for m, own in zip(places, found, strict=True):
            results[m] = own
    return results


def _train_groups(groups: Sequence[_Group], budget: float | None, report: Report | None) -> Iterator[Trained]:
    """Train every group's members in order, as many at a time as the budget allows."""
    plan = []
    for group in groups:
        longest = max(int(group.inputs.lengths[member.train.rows].max()) for member in group.members)
        rows = min(group.recipe.batch_size, max(len(member.train.rows) for member in group.members))
        size = rows, longest, group.recipe.dtype.itemsize
        each = bytes_a_member(group.net, *size, training=True, masks=masks_of(group.members))
        plan += [(group, run) for run in runs(group.members, each, budget)]
    jobs = [Job(group.net, group.recipe, group.inputs, members) for group, members in plan]
    observers = [] if report is None else [EpochReports(report, len(jobs))]
    for trained in train_jobs(jobs, observers=observers):
        yield from trained


def _moved(member: Member, rows: Rows) -> Member:
    """The member with its series found elsewhere: at ``rows[i]`` instead of ``i``."""
    validation = member.validation
    return replace(
        member,
        train=replace(member.train, rows=rows[member.train.rows]),
        validation=None if validation is None else replace(validation, rows=rows[validation.rows]),
    )


def _check_series(estimator: SequenceEstimator, X: Sequences, rows: Rows, views: _Views) -> None:
    check_device(estimator.device)  # it may have been trained elsewhere
    columns = 3 if estimator.masked_ else 1
    channels = (estimator.module_.net.n_inputs - estimator.n_static_) // columns
    if X.n_channels != channels:
        raise DataError(
            f"X needs the {channels} channels that {type(estimator).__name__} was fitted on, got {X.n_channels}"
        )
    static = 0 if X.static is None else X.static.shape[1]
    if static != estimator.n_static_:
        raise DataError(f"X needs {estimator.n_static_} static features as in fit, got {static}")
    check_longer(X, estimator.horizon_)
    if estimator.horizon_:
        check_even(X[rows], f"horizon={estimator.horizon_}", estimator.clock_)
    forecast_key = _forecast_key(estimator)
    if forecast_key not in views:
        seen = forecast_inputs(X, *forecast_key)
        views[forecast_key] = seen, extremes_of(seen)
    seen, extremes = views[forecast_key]
    if estimator.missing == "error" and any_missing(seen, rows):
        raise DataError('X needs every value with missing="error", got NaN')
    module = estimator.module_
    shift, scale = module.shift.cpu().numpy(), module.scale.cpu().numpy()
    refuse_beyond(seen, rows, extremes, shift, scale, numpy_dtype(_precision(estimator)))


def _precision(estimator: SequenceEstimator) -> torch.dtype:
    """What the network computes in; what it knows of the channels is float64."""
    return next(estimator.module_.parameters()).dtype


def _forecast_key(estimator: SequenceEstimator) -> tuple[int, tuple[int, ...]]:
    """How far ahead of what it reads an estimator predicts, and the channels it reads up to there."""
    return estimator.horizon_, tuple(estimator.known_)


def _fitted(estimator: E, prepared: Prepared, trained: Trained) -> E:
    module = plain_module(prepared.net, prepared.member.dropout, prepared.member.noise, prepared.recipe.dtype)
    state = {"shift": torch.from_numpy(prepared.member.shift), "scale": torch.from_numpy(prepared.member.scale)}
    module.load_state_dict(module.state_dict() | trained.weights | state)
    fitted: E = clone(estimator)
    fitted.__dict__.update(
        prepared.learned,
        module_=module.to(prepared.recipe.device).eval(),
        history_=list(trained.history),
        best_epoch_=trained.best_epoch,
        n_iter_=len(trained.history),
    )
    return fitted
