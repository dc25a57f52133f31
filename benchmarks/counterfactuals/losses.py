"""Losses of fitted networks on fresh series, raw, tempered and bounded; one row per network, one column per series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from verdict_cases import Case

from throughtime.data import Sequences
from throughtime.estimators import predict_members

#: Series that a temperature is fitted on: one number needs no more.
TEMPERED_ON = 500


@dataclass(frozen=True, eq=False)
class Losses:
    """Log loss or squared error; the same after outputs were drawn toward the prior; Brier score or squared error."""

    raw: Float64[ndarray, "network series"]
    tempered: Float64[ndarray, "network series"]
    bounded: Float64[ndarray, "network series"]


def losses_of(case: Case, fitted: Sequence[Any], X: Sequences, y: Any) -> Losses:
    """Losses of networks fitted on a case's series, on other series.

    Outputs are drawn toward the prior by the factor from 0 to 1 that is best here, one for all the networks: no more
    than one number is fitted on what it is scored on.
    """
    outputs = np.stack(predict_members(fitted, X, [np.arange(len(X))] * len(fitted))).astype(np.float64)
    if isinstance(y, Sequences):
        outputs = outputs[:, ~np.isnan(y.values[:, 0])]
    truth, series = observed(y)
    known, _ = observed(case.drawn.y)
    few = series < TEMPERED_ON
    if case.plan.regression:
        means, scales = (
            np.array([[getattr(one, name)] for one in fitted]) for name in ("target_mean_", "target_scale_")
        )
        away, from_mean = outputs[..., 0] * scales + means - known.mean(), truth - known.mean()
        slope = np.clip((away[:, few] * from_mean[few]).sum() / np.square(away[:, few]).sum(), 0, 1)
        raw = _by_series(np.square(away - from_mean), series)
        return Losses(raw, _by_series(np.square(slope * away - from_mean), series), raw)
    labels = np.unique(known)
    number = np.searchsorted(labels, truth)
    prior = np.log([np.mean(known == label) for label in labels])
    logs = log_softmax(outputs, -1)

    def loss(factor: float, chosen: ndarray) -> ndarray:
        drawn = log_softmax(prior + factor * (logs[:, chosen] - prior), -1)
        return np.asarray(-drawn[:, np.arange(len(chosen)), number[chosen]])

    everything = np.arange(len(truth))
    best = minimize_scalar(
        lambda factor: loss(factor, everything[few]).mean(), bounds=(0, 1), method="bounded", options={"xatol": 0.01}
    ).x
    brier = np.square(np.exp(logs) - np.eye(len(labels))[number]).sum(-1)
    return Losses(*(_by_series(one, series) for one in (loss(1, everything), loss(best, everything), brier)))


def dummy_losses(case: Case, y: Any) -> Losses:
    """Those of who knows the case's targets without their series; a single row."""
    known, of = observed(case.drawn.y)
    weights = 1 / np.bincount(of)[of]
    truth, series = observed(y)
    if case.plan.regression:
        raw = _by_series(np.square(truth - np.average(known, weights=weights))[None], series)
        return Losses(raw, raw, raw)
    labels = np.unique(known)
    prior = np.array([np.average(known == label, weights=weights) for label in labels])
    number = np.searchsorted(labels, truth)
    raw = _by_series(-np.log(prior)[number][None], series)
    return Losses(raw, raw, _by_series(np.square(prior - np.eye(len(labels))[number]).sum(1)[None], series))


def observed(y: Any) -> tuple[ndarray, ndarray]:
    """Observed targets in a row, and the series of each."""
    if not isinstance(y, Sequences):
        return np.asarray(y), np.arange(len(y))
    values = y.values[:, 0]
    seen = ~np.isnan(values)
    return values[seen], np.repeat(np.arange(len(y)), y.lengths)[seen]


def _by_series(losses: ndarray, series: ndarray) -> Float64[ndarray, "network series"]:
    """Means over each series' observed steps."""
    counts = np.bincount(series)
    return np.stack([np.bincount(series, row) for row in losses]) / counts
