"""Corrected estimators to choose from, each with the loss of deployed series that it was not fitted on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import log_softmax
from sklearn.base import clone

from throughtime.data import Sequences
from throughtime.errors import DataError, DivergenceError
from throughtime.estimators import NAMES, SequenceEstimator, can_recalibrate, fit_members, predict_members, recalibrate
from throughtime.shift.calibration import Calibration, calibrate
from throughtime.shift.losses import class_codes, losses_by_members, observed_targets, series_losses
from throughtime.shift.priors import floored
from throughtime.shift.records import Embedding, Reference
from throughtime.shift.weighted_validation import weighted_cross_validation
from throughtime.shift.weights import CovariateWeights, covariate_weights

Folds = Sequence[Int[ndarray, "_"]]


@dataclass(frozen=True, eq=False)
class Samples:
    """Series and targets of the two sides.

    Attributes
    ----------
    reference, reference_y
        What the model was trained on.
    deployed, deployed_y
        ``None`` in place of unknown targets.
    diagnosed
        The reference's embedding, and the networks that did not train on it.
    embedding
        Of the deployed series.
    """

    reference: Sequences
    reference_y: Any
    deployed: Sequences
    deployed_y: Any
    diagnosed: Reference
    embedding: Embedding


@dataclass(frozen=True, eq=False)
class Attempt:
    """One way to correct: what came of it, or why nothing did.

    Attributes
    ----------
    estimator
        Corrected; ``None`` where it failed.
    losses
        Of the deployed series, each by an estimator that was fitted without its target; ``None`` where it failed.
    note
        What was done, or why it failed.
    failed
        Whether something broke, such as training that diverged, where another way would have found no use for it.
    """

    method: str
    estimator: SequenceEstimator | None
    losses: Float[ndarray, "series"] | None
    note: str
    failed: bool = False


def refitted(model: SequenceEstimator, samples: Samples, joined: tuple[Sequences, Any], folds: Folds) -> Attempt:
    """A fit on reference and deployed series, its probabilities recalibrated on deployed ones out of fold.

    The members of all folds and the final fit train in lockstep. The final one is bit for bit a fit on the joined
    series, before its output layer is recalibrated.

    Parameters
    ----------
    joined
        Series and targets of both sides.
    folds
        Of the deployed series, each in increasing order.
    """
    X, y = joined
    n = len(samples.reference)
    everything = np.arange(len(X))
    trains = [np.setdiff1d(everything, n + fold) for fold in folds]
    again = unfitted(model)
    results = fit_members([again] * (len(folds) + 1), X, y, train_indices=[*trains, everything])
    members: list[SequenceEstimator] = []
    for result in results:
        if isinstance(result, Exception):
            return failed("refit", result)
        members.append(_read_alike(model, result))
    final = members.pop()
    if not can_recalibrate(model):
        losses = losses_by_members(members, samples.deployed, samples.deployed_y, folds)
        return Attempt("refit", final, losses, "fitted on reference and deployed series")
    targets = observed_targets(model, samples.deployed, samples.deployed_y)
    codes = class_codes(model, targets.values)
    logits = _out_of_fold(members, samples.deployed, folds)[targets.row]
    weights = 1 / np.bincount(targets.series)[targets.series]  # a series counts once, however many steps it has
    losses = np.empty(len(codes))
    for fold in folds:
        own = np.isin(targets.series, fold)
        calibration = calibrate(logits[~own], codes[~own], weights=weights[~own])
        losses[own] = _log_losses(logits[own], calibration, codes[own])
    calibration = calibrate(logits, codes, weights=weights)
    corrected = recalibrate(final, calibration.temperature, calibration.bias)
    note = "fitted on reference and deployed series, recalibrated on deployed ones"
    return Attempt("refit", corrected, targets.mean_of_each_series(losses), note)


def _out_of_fold(members: Sequence[SequenceEstimator], X: Sequences, folds: Folds) -> Float[ndarray, "row class"]:
    """What the member of its fold makes of each series, a row each, or one per step."""
    series = np.repeat(np.arange(len(X)), X.lengths if members[0].by_step_ else 1)
    found = np.empty((len(series), len(class_names(members[0]))))
    for fold, outputs in zip(folds, predict_members(members, X, folds), strict=True):
        found[np.isin(series, fold)] = outputs
    return found


def reweighted(model: SequenceEstimator, samples: Samples, folds: Folds) -> Attempt:
    """The model itself with probabilities for the fractions that the classes have among deployed series.

    They are calibrated on the reference's series, out of fold, and multiplied by ``q / p`` of each class.
    """
    if not can_recalibrate(model):
        return Attempt("priors", None, None, "the output layer of this network is not known")
    embedding = samples.diagnosed.embedding
    assert embedding.target is not None
    calibration = calibrate(embedding.outputs, embedding.target)
    (logits,) = predict_members([model], samples.deployed, [np.arange(len(samples.deployed))])
    codes = class_codes(model, np.asarray(samples.deployed_y))
    before = fractions_of(embedding.target, logits.shape[1])

    def moved(own: Int[ndarray, "_"]) -> Calibration:
        return with_priors(calibration, before, fractions_of(codes[own], logits.shape[1]))

    losses = np.empty(len(codes))
    for fold in folds:
        losses[fold] = _log_losses(logits[fold], moved(np.setdiff1d(np.arange(len(codes)), fold)), codes[fold])
    final = moved(np.arange(len(codes)))
    corrected = recalibrate(model, final.temperature, final.bias)
    return Attempt("priors", corrected, losses, "probabilities reweighted by the fractions of the labels")


def attempted(method: str, make: Callable[[], Attempt]) -> Attempt:
    """What is made, or an attempt that failed where the samples or the training do not allow it, with the reason."""
    try:
        return make()
    except (DataError, DivergenceError) as error:
        return failed(method, error)


def failed(method: str, error: Exception) -> Attempt:
    """An attempt of which nothing came."""
    return Attempt(method, None, None, f"failed: {error}", failed=True)


def weighted(model: SequenceEstimator, samples: Samples) -> Attempt:
    """A fit on the reference's series, weighted as if they were deployed ones, of which it sees no labels."""
    found = weights_of(samples)
    if not found.usable:
        return Attempt("weights", None, None, found.reason)
    if found.effective_fraction == 1:
        return Attempt("weights", None, None, "a classifier does not tell reference from deployed series")
    result = weighted_fit(model, samples, found)
    if isinstance(result, Exception):
        return failed("weights", result)
    losses = losses_of(result, samples.deployed, samples.deployed_y) if samples.deployed_y is not None else None
    return Attempt("weights", result, losses, f"fitted on weighted reference series; {found.reason}")


def weights_of(samples: Samples) -> CovariateWeights:
    """Weights of the series of the diagnosis' reference."""
    one, other = samples.diagnosed.embedding, samples.embedding
    return covariate_weights(
        np.column_stack([one.summaries, one.outputs]),
        np.column_stack([other.summaries, other.outputs]),
        groups=one.groups,
        deployed_groups=other.groups,
    )


def weighted_fit(
    model: SequenceEstimator, samples: Samples, weights: CovariateWeights
) -> SequenceEstimator | Exception:
    """Fit on the series of the diagnosis' reference, weighted."""
    indices = indices_of(samples.diagnosed)
    (result,) = fit_members(
        [unfitted(model)],
        samples.reference,
        samples.reference_y,
        train_indices=[indices],
        sample_weight=_spread(weights.weights, samples),
    )
    if isinstance(result, Exception):
        return result
    if model.task.name == "classification" and class_names(result).tolist() != class_names(model).tolist():
        missing = np.setdiff1d(class_names(model), class_names(result)).tolist()[0]
        return DataError(f"the diagnosis' reference needs series of each class, got none of {missing!r}")
    return _read_alike(model, result)


def weighted_gains(model: SequenceEstimator, samples: Samples, weights: CovariateWeights) -> Float[ndarray, "series"]:
    """By how much weighted fits lower the out-of-fold loss of each of the diagnosis' reference series."""
    folds = folds_of(samples.diagnosed)
    indices = indices_of(samples.diagnosed)
    (losses,) = weighted_cross_validation(
        [unfitted(model)],
        samples.reference,
        samples.reference_y,
        _spread(weights.weights, samples),
        [(np.setdiff1d(indices, fold), fold) for fold in folds],
    )
    gains: ndarray = (reference_losses(samples) - losses)[indices]
    return gains


def reference_losses(samples: Samples) -> Float[ndarray, "series"]:
    """Out-of-fold losses of the series given as reference, by the diagnosis' members; NaN in no fold of theirs."""
    members = [samples.diagnosed.members[m] for m in np.unique(samples.diagnosed.embedding.member)]
    return losses_by_members(members, samples.reference, samples.reference_y, folds_of(samples.diagnosed))


def losses_of(model: SequenceEstimator, X: Sequences, y: Any) -> Float[ndarray, "series"]:
    """The loss of each series."""
    (outputs,) = predict_members([model], X, [np.arange(len(X))])
    return series_losses(model, X, y, outputs)


def with_priors(
    calibration: Calibration, before: Float[ndarray, "class"], after: Float[ndarray, "class"]
) -> Calibration:
    """A calibration for other fractions of the classes than those where it was fitted: its bias and ``log(q / p)``."""
    bias = calibration.bias + np.log(after / before)
    return Calibration(calibration.temperature, bias, np.nan, np.nan, calibration.n_series)


def fractions_of(codes: Int[ndarray, "series"], n_classes: int) -> Float[ndarray, "class"]:
    """Fractions of the classes, of one series more of each."""
    return floored(np.bincount(codes, minlength=n_classes) / len(codes), len(codes))


def indices_of(reference: Reference) -> Int[ndarray, "series"]:
    """Which of the series given the reference's are."""
    return np.arange(len(reference.embedding)) if reference.indices is None else reference.indices


def folds_of(reference: Reference) -> Folds:
    """The series given that each member, in order of their numbers, did not train on."""
    member = reference.embedding.member
    return [indices_of(reference)[member == m] for m in np.unique(member)]


def unfitted(model: SequenceEstimator) -> SequenceEstimator:
    """The same estimator to be fitted anew, from the seed that it had."""
    again: SequenceEstimator = clone(model).set_params(random_state=model.random_state_)
    return again


def class_names(model: Any) -> ndarray:
    """The classes of a fitted classifier."""
    known: ndarray = model.classes_
    return known


def _read_alike(model: SequenceEstimator, refitted: SequenceEstimator) -> SequenceEstimator:
    """With the names of the model's X, and the width that two-dimensional X must have: `Sequences` may not tell."""
    refitted.n_steps_, refitted.n_features_in_ = model.n_steps_, model.n_features_in_
    for names in NAMES:
        if hasattr(model, names):
            setattr(refitted, names, getattr(model, names))
        elif hasattr(refitted, names):
            delattr(refitted, names)
    return refitted


def _spread(weights: Float[ndarray, "series"], samples: Samples) -> Float[ndarray, "given"]:
    """Weights of all series given, 0 for those that are not in the diagnosis' reference."""
    found = np.zeros(len(samples.reference))
    found[indices_of(samples.diagnosed)] = weights
    return found


def _log_losses(
    logits: Float[ndarray, "series class"], calibration: Calibration, codes: Int[ndarray, "series"]
) -> Float[ndarray, "series"]:
    log_p = log_softmax(logits / calibration.temperature + calibration.bias, axis=1)
    return np.asarray(-log_p[np.arange(len(codes)), codes])
