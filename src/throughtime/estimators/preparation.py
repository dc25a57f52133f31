"""A member made ready to train on its own series."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from throughtime.data import Sequences, check_even
from throughtime.errors import DataError, ParameterError
from throughtime.estimators.augmentations import augmentations_for
from throughtime.estimators.devices import check_device
from throughtime.estimators.features import numpy_dtype, refuse_beyond, scaling
from throughtime.estimators.forecast import ForecastKey
from throughtime.estimators.inits import scheme_for
from throughtime.estimators.inner_split import inner_split
from throughtime.estimators.interface import parameters_of
from throughtime.estimators.networks import network_of, noise_of
from throughtime.estimators.pool import Pool, reading_key
from throughtime.estimators.problem import Indices, as_indices
from throughtime.estimators.requests import Fit
from throughtime.estimators.transformers import summary_by_step, time_units
from throughtime.estimators.truncation import truncation_steps
from throughtime.nn import Net
from throughtime.training import Member, Recipe, Sample, observed, row_by_row


@dataclass(frozen=True)
class Prepared:
    """A member ready to train, and what its fitted estimator will need."""

    net: Net
    recipe: Recipe
    masked: bool
    member: Member
    learned: dict[str, Any]
    monitor: str | None


def prepare(request: Fit, pool: Pool, places: Int[ndarray, "series"]) -> Prepared:
    """Everything of one member that comes from its own training series.

    Parameters
    ----------
    pool, places
        Where the series of the request's problem are.

    Raises
    ------
    DataError, ParameterError
        For what this member cannot be trained on; others may be.
    """
    estimator, problem = request.estimator, request.problem
    p = parameters_of(estimator)
    n = len(problem.X)
    indices = np.arange(n) if request.train_indices is None else as_indices(request.train_indices, n)
    evaluated = None if request.eval_indices is None else as_indices(request.eval_indices, n)
    check_device(p["device"])
    if problem.horizon and p["bidirectional"]:
        raise ParameterError("horizon needs bidirectional=False: reading back from the end is seeing the future")
    masked = bool(pool.missing[places[indices]].any())
    if masked and p["missing"] == "error":
        where = _where_missing(pool, places, indices, problem.forecast_key)
        raise DataError(f'X needs every value with missing="error", got NaN{where}')
    seed = p["random_state"] if p["random_state"] is not None else int(np.random.default_rng().integers(2**31))
    targets = problem.targets.take(indices)
    if targets.by_step and np.isnan(targets.values).all():
        raise DataError(
            f"y needs an observed target in the training series after their first {p['burn_in']} steps (burn_in), "
            "got none"
        )
    specs = reading_key(estimator, problem.forecast_key).features
    if targets.by_step and any(spec.name == "summary" for spec in specs):
        raise summary_by_step(f"features={p['features']!r}")
    clock = check_even(problem.X[indices], f"horizon={problem.horizon}") if problem.horizon else None
    coding = estimator.task.read(targets, p)
    train: Indices = indices
    validation: Indices | None = None
    if p["early_stopping"]:
        groups = None if problem.groups is None else problem.groups[indices]
        inner = inner_split(p, problem.X[indices], groups, coding.strata(targets), seed)
        train, validation = indices[inner[0]], indices[inner[1]]
        targets = problem.targets.take(train)

    weights = problem.weights[train]
    if not weights.any():
        raise DataError("sample_weight needs a weight above zero in the training series, got zero weights only")
    dtype = _train_dtype(p["dtype"], problem.X)
    features = pool.features(masked, dtype)
    shift, scale = np.zeros(features.n_inputs), np.ones(features.n_inputs)
    if p["normalize"] == "standard":
        shift, scale = scaling(features, places[train], weights)
    refuse_beyond(pool.X, places[train], pool.extremes, shift, scale, numpy_dtype(dtype))
    coding = coding.fitted(targets, weights)

    def sample_of(indices: Indices) -> Sample:
        numbers, weights = coding.encode(problem.targets.take(indices), problem.weights[indices])
        return Sample(places[indices], numbers, weights)

    sample = sample_of(train)
    by_target = sample.weights if targets.lengths is None else np.repeat(sample.weights, targets.lengths)
    if not by_target[observed(sample.targets)].sum() > 0:
        raise DataError("training needs an observed target of weight above zero, got none")

    net = network_of(p, features.n_inputs, coding.n_outputs, targets.by_step)
    batch_size = int(p["batch_size"])
    longest = int(pool.X.lengths[places[train]].max())
    k1, k2 = truncation_steps(p, longest, targets.by_step)
    recipe = Recipe(
        loss=estimator.task.loss,
        optimizer=p["optimizer"],
        lr_schedule=p["lr_schedule"],
        batch_size=batch_size,
        dtype=dtype,
        device=p["device"],
        masks_state=p["recurrent_dropout"] > 0,
        # A member's own: how sums are taken may not depend on its neighbors.
        padded_rows=None
        if row_by_row(net, torch.empty(0, dtype=dtype, device=p["device"]))
        else min(batch_size, len(train)),
        bptt=p["bptt"],
        k1=k1,
        k2=k2,
    )
    member = Member(
        seed=int(seed),
        train=sample,
        shift=shift,
        scale=scale,
        lr=float(p["lr"]),
        weight_decay=float(p["weight_decay"]),
        input_noise=float(p["input_noise"]),
        label_smoothing=float(p.get("label_smoothing", 0.0)),
        momentum=float(p["momentum"]),
        dropout=float(p["dropout"]),
        clip_norm=math.inf if p["clip_norm"] is None else float(p["clip_norm"]),
        clip_value=math.inf if p["clip_value"] is None else float(p["clip_value"]),
        max_epochs=int(p["max_epochs"]),
        patience=int(p["patience"]) if p["early_stopping"] else None,
        validation=None if validation is None else sample_of(validation),
        eval=None if evaluated is None else sample_of(evaluated),
        noise=noise_of(p, net),
        perturbations=(*augmentations_for(p), *request.perturbations),
        init=scheme_for(p, net, int(pool.X.lengths[places[indices]].max()), longest),
    )
    learned = {
        "random_state_": int(seed),
        "masked_": masked,
        "by_step_": targets.by_step,
        "horizon_": problem.horizon,
        "known_": problem.known,
        "clock_": clock,
        "time_units_": time_units(problem.X) if any(spec.name == "fourier" for spec in specs) else None,
        "n_static_": 0 if problem.X.static is None else problem.X.static.shape[1],
        "n_steps_": problem.n_steps,
        "n_features_in_": problem.X.n_channels if problem.n_steps is None else problem.n_steps,
    }
    return Prepared(net, recipe, masked, member, learned | coding.learned | problem.names, p["monitor"])


def _where_missing(pool: Pool, places: Int[ndarray, "series"], indices: Indices, forecast_key: ForecastKey) -> str:
    horizon, known = forecast_key
    for index in indices:
        steps, channels = np.nonzero(np.isnan(pool.X[int(places[index])]))
        if len(steps):
            step = steps[0] + (horizon if channels[0] in known else 0)
            return f" at series {index}, step {step}, channel {channels[0]}"
    return " in the static features"


def _train_dtype(dtype: str, X: Sequences) -> torch.dtype:
    """The precision to train in: the one named, or with ``auto`` what the series ask for."""
    found: torch.dtype = getattr(torch, X.train_dtype.name if dtype == "auto" else dtype)
    return found
