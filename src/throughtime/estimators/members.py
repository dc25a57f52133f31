"""Where everything that trains many enters: requests in, fitted networks out, those of one shape in lockstep."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from numpy import ndarray
from sklearn.base import clone

from throughtime.data import Sequences, check_even
from throughtime.errors import DataError, ParameterError
from throughtime.estimators.callbacks import EpochTasks
from throughtime.estimators.devices import check_device
from throughtime.estimators.features import numpy_dtype, refuse_beyond
from throughtime.estimators.forecast import check_longer
from throughtime.estimators.interface import Estimator, FittedEstimator
from throughtime.estimators.memory import DEFAULT_BUDGET, bytes_a_member, masks_of, runs
from throughtime.estimators.names import check_names
from throughtime.estimators.pool import Pool, ReadingKey, kind, pools_of, reading_key
from throughtime.estimators.preparation import Prepared, prepare
from throughtime.estimators.problem import Indices, Problem, check_channels
from throughtime.estimators.requests import Fit, Outputs
from throughtime.estimators.trained import TrainedNetwork
from throughtime.estimators.transformers import check_time_units
from throughtime.estimators.unseen_gaps import Reading, warn_of_unseen_gaps
from throughtime.kernels import SEGMENT, keeps_torch_state
from throughtime.records import EpochProgress
from throughtime.training import (
    EVALUATION_ROWS,
    HEAD_STEPS,
    CheckpointsOrPath,
    EpochReports,
    EveryStepFlowMonitor,
    Executor,
    FlowMonitor,
    Job,
    Observer,
    Perturbation,
    Trained,
    as_checkpoints,
    predict,
    shown,
    train_jobs,
    watch_of,
)

E = TypeVar("E", bound=Estimator)

_MONITORS: dict[str, type[FlowMonitor]] = {"flow": FlowMonitor, "flow-every-step": EveryStepFlowMonitor}


def fit_members(
    estimators: Sequence[E],
    X: Any,
    y: Any,
    *,
    train_indices: Sequence[Indices] | None = None,
    eval_indices: Sequence[Indices | None] | None = None,
    sample_weight: Any = None,
    groups: Any = None,
    on_epoch: Callable[[EpochProgress], None] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
    observers: Sequence[Observer] = (),
    perturbations: Sequence[tuple[Perturbation, ...]] | None = None,
    names: Sequence[str] | None = None,
    executor: Executor | None = None,
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
    checkpoints
        Where to keep how far training stands, a directory or `Checkpoints`: the same call, with seeds given, then goes
        on from there with the same bits.
    observers
        Called after each step and each epoch of every run; they know members by their place in ``estimators``.
    perturbations
        What each member's training is disturbed by, such as augmentation of its series.
    names
        What warnings call the members; ``member 1`` is the first by default.
    executor
        What runs the runs, which are independent; by default one after the other in this process.

    Returns
    -------
    Fitted copies in order; for a member that failed (one class in its fold, divergence), its exception.

    Raises
    ------
    DataError, ParameterError
        For what concerns all members.
    """
    if not estimators:
        return []
    by_member: dict[str, Sequence[Any] | None] = {
        "train_indices": train_indices,
        "eval_indices": eval_indices,
        "perturbations": perturbations,
        "name": names,
    }
    for name, values in by_member.items():
        if values is not None and len(values) != len(estimators):
            raise ParameterError(f"fit_members needs {name} for each of {len(estimators)} members, got {len(values)}")
    for m, own in enumerate(perturbations or ()):
        if not isinstance(own, tuple | list):
            raise ParameterError(
                f"perturbations needs a tuple of them for each member, got {type(own).__name__} for member {m}; "
                "a tuple of one is (perturbation,)"
            )
    problem = Problem(estimators, X, y, sample_weight, groups)
    requests = [
        Fit(estimator, problem, **{name: values[m] for name, values in by_member.items() if values is not None})
        for m, estimator in enumerate(estimators)
    ]
    results = fit_requests(
        requests,
        on_epoch=on_epoch,
        memory_budget=memory_budget,
        checkpoints=checkpoints,
        observers=observers,
        executor=executor,
    )
    return [
        result if isinstance(result, Exception) else fitted_as(estimator, result)
        for estimator, result in zip(estimators, results, strict=True)
    ]


@keeps_torch_state
def fit_requests(
    requests: Sequence[Fit],
    *,
    verbose: bool = False,
    on_epoch: Callable[[EpochProgress], None] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
    observers: Sequence[Observer] = (),
    first_place: int = 0,
    executor: Executor | None = None,
) -> list[dict[str, Any] | Exception]:
    """Fit many estimators, those whose networks have one shape in lockstep.

    Parameters
    ----------
    verbose
        Whether to show the progress of training though no estimator asks for it.
    on_epoch, memory_budget, checkpoints, observers, executor
        As in `fit_members`.
    first_place
        By which observers know the first; the others count on.

    Returns
    -------
    The attributes that each fitted estimator has, in order; for a member that failed, its exception.
    """
    watch_of(observers)
    kept = as_checkpoints(checkpoints)
    places = range(first_place, first_place + len(requests))
    results: dict[int, Any] = {}
    together: dict[Any, list[tuple[int, Prepared]]] = defaultdict(list)
    pools = pools_of(
        [(request.problem.X, reading_key(request.estimator, request.problem.forecast_key)) for request in requests]
    )
    for place, request, (pool, series) in zip(places, requests, pools, strict=True):
        try:
            prepared = prepare(request, pool, series)
        except Exception as error:
            results[place] = error
        else:
            together[pool, prepared.net, prepared.recipe, prepared.masked].append((place, prepared))
    jobs = [job for (pool, *_), members in together.items() for job in _jobs_of(members, pool, memory_budget)]
    ready = dict(one for members in together.values() for one in members)
    title = type(requests[0].estimator).__name__ if requests else ""
    monitored = {name: [place for place, one in ready.items() if one.monitor == name] for name in _MONITORS}
    named = {place: request.name for place, request in zip(places, requests, strict=True) if request.name is not None}
    monitors = {name: _MONITORS[name](members, names=named) for name, members in monitored.items() if members}
    tasks = {place: request.task for place, request in zip(places, requests, strict=True) if request.task is not None}
    with shown(title, verbose or any(request.estimator.verbose for request in requests), on_epoch) as report:
        watching: list[Observer] = [] if report is None else [EpochReports(report, len(jobs))]
        if sound := {place: task for place, task in tasks.items() if place in ready}:
            watching.append(EpochTasks(sound, lambda place, trained: learned_by(ready[place], trained)))
        finished = train_jobs(
            jobs,
            observers=[*watching, *monitors.values(), *observers],
            executor=executor,
            checkpoints=kept,
        )
        for job, all_trained in zip(jobs, finished, strict=True):
            assert job.places is not None
            for place, trained in zip(job.places, all_trained, strict=True):
                monitor = monitors.get(ready[place].monitor or "")
                flow = {} if monitor is None else {"flow_": monitor.records(place)}
                results[place] = trained.failure or learned_by(ready[place], trained) | flow
    return [results[place] for place in places]


def predict_members(
    estimators: Sequence[FittedEstimator],
    X: Sequences,
    indices: Sequence[Indices],
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
    requests = [Outputs(estimator, X, own) for estimator, own in zip(estimators, indices, strict=True)]
    results = predict_requests(requests, memory_budget=memory_budget)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results  # type: ignore[return-value]


@keeps_torch_state
def predict_requests(
    requests: Sequence[Outputs], *, memory_budget: float | None = DEFAULT_BUDGET
) -> list[ndarray | Exception]:
    """Network outputs of many fitted estimators, those of one shape in lockstep.

    Returns
    -------
    Of each request what `predict_members` gives, or the exception that says why its series cannot be used.
    """
    results: list[Any] = [None] * len(requests)
    sound = []
    for number, request in enumerate(requests):
        try:
            check_shape(request)
        except Exception as error:
            results[number] = error
        else:
            sound.append(number)
    pools = pools_of([(requests[number].X, reading_key_of(requests[number].estimator)) for number in sound])
    together: dict[Any, list[tuple[int, Indices]]] = defaultdict(list)
    readings: dict[Any, list[Reading]] = defaultdict(list)
    for number, (pool, places) in zip(sound, pools, strict=True):
        estimator, X, indices = requests[number].estimator, requests[number].X, requests[number].indices
        own = places if indices is None else places[indices]
        try:
            check_values(requests[number], pool, own)
        except Exception as error:
            results[number] = error
            continue
        network = estimator.network_
        key = pool, network.net, network.dtype, estimator.masked_, estimator.device
        together[key].append((number, own))
        readings[kind(X)].append(Reading(estimator, pool, own))
    for alike in readings.values():
        warn_of_unseen_gaps(alike)
    for (pool, net, dtype, masked, device), members in together.items():
        inputs = pool.inputs(masked, dtype, device)
        longest = int(inputs.lengths.max(initial=1))
        batch = min(EVALUATION_ROWS, max(len(own) for _, own in members))
        size = bytes_a_member(net, batch, longest, dtype.itemsize, training=False)
        for run in runs(members, size, memory_budget):
            networks = [requests[number].estimator.network_ for number, _ in run]
            states = [network.state for network in networks]
            stacked = {name: torch.stack([state[name] for state in states]).to(device) for name in states[0]}
            shift, scale = (stacked.pop(name).to(inputs.values.dtype) for name in ("shift", "scale"))
            noise = [network.noise for network in networks]
            outputs = predict(net, stacked, inputs, [own for _, own in run], shift, scale, noise)
            for (number, _), one in zip(run, outputs, strict=True):
                results[number] = one
    return results


def _jobs_of(members: Sequence[tuple[int, Prepared]], pool: Pool, budget: float | None) -> list[Job]:
    """Jobs for members of one shape, of as many at a time as the budget allows, known by their places."""
    first = members[0][1]
    net, recipe = first.net, first.recipe
    inputs = pool.inputs(first.masked, recipe.dtype, recipe.device)
    trained = [prepared.member for _, prepared in members]
    longest = max(int(inputs.lengths[member.train.rows].max()) for member in trained)
    rows = min(recipe.batch_size, max(len(member.train.rows) for member in trained))
    size = rows, longest, recipe.dtype.itemsize
    reach = SEGMENT if recipe.bptt == "checkpointed" else None if recipe.k2 is None else max(recipe.k2, HEAD_STEPS)
    bytes_each = bytes_a_member(net, *size, training=True, masks=masks_of(trained), reach=reach)
    return [
        Job(net, recipe, inputs, [prepared.member for _, prepared in run], [number for number, _ in run])
        for run in runs(members, bytes_each, budget)
    ]


def check_shape(request: Outputs) -> None:
    """Refuse series of another kind than those in ``fit``."""
    estimator, X = request.estimator, request.X
    check_device(estimator.device)  # it may have been trained elsewhere
    check_channels(estimator, X)
    static = 0 if X.static is None else X.static.shape[1]
    if static != estimator.n_static_:
        raise DataError(f"X needs {estimator.n_static_} static features as in fit, got {static}")
    if estimator.time_units_ is not None:
        check_time_units(X, estimator.time_units_, f"{type(estimator).__name__} with features={estimator.features!r}")
    check_longer(X, estimator.horizon_)
    if estimator.horizon_:
        own = X if request.indices is None else X[request.indices]
        check_even(own, f"horizon={estimator.horizon_}", estimator.clock_)


def check_values(request: Outputs, pool: Pool, indices: Indices) -> None:
    """Refuse values that the network cannot be fed."""
    estimator = request.estimator
    if estimator.missing == "error" and pool.missing[indices].any():
        raise DataError('X needs every value with missing="error", got NaN')
    network = estimator.network_
    shift, scale = (network.state[name].cpu().numpy() for name in ("shift", "scale"))
    refuse_beyond(pool.X, indices, pool.extremes, shift, scale, numpy_dtype(network.dtype))


def reading_key_of(estimator: FittedEstimator) -> ReadingKey:
    """How a fitted estimator reads series."""
    return reading_key(estimator, (estimator.horizon_, tuple(estimator.known_)))


def learned_by(prepared: Prepared, trained: Trained) -> dict[str, Any]:
    """The attributes of a fitted estimator."""
    recipe, member = prepared.recipe, prepared.member
    state = trained.weights | {"shift": torch.from_numpy(member.shift), "scale": torch.from_numpy(member.scale)}
    return prepared.learned | {
        "network_": TrainedNetwork(prepared.net, member.dropout, member.noise, recipe.dtype, recipe.device, state),
        "history_": list(trained.history),
        "best_epoch_": trained.best_epoch,
        "n_iter_": len(trained.history),
    }


def fitted_as(estimator: E, learned: dict[str, Any]) -> E:
    """Copy an estimator, with what was learned."""
    fitted: E = clone(estimator)
    vars(fitted).update(learned)
    return fitted
