"""Corrected estimators to choose from, each with the loss of deployed series that it was not fitted on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import log_softmax
from sklearn.base import clone

from throughtime.data import Sequences, concatenate
from throughtime.errors import DataError, DivergenceError
from throughtime.estimators import SequenceEstimator, can_recalibrate, fit_members, predict_members, recalibrate
from throughtime.shift.calibration import Calibration, calibrate
from throughtime.shift.losses import class_codes, losses_by_members, series_losses
from throughtime.shift.priors import floored
from throughtime.shift.records import Embedding, Reference, ShiftTest
from throughtime.shift.weighted_validation import weighted_cross_validation
from throughtime.shift.weights import CovariateWeights, covariate_weights
from throughtime.shift.within_targets import series_given_target_test

Folds = Sequence[Int[ndarray, "_"]]

#: The p-value of p(x given y) above which it is taken for what it was (docs/decisions/0018-gate-of-corrections.md).
_STAYED = 0.3


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


class Evidence(NamedTuple):
    """That the fractions of the classes moved, of each series: where they did not, the means are alike.

    That of a deployed series is by fractions that were counted without its target.
    """

    deployed: Float[ndarray, "series"]
    reference: Float[ndarray, "series"]


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
    evidence
        That the fractions of the classes moved as the correction says; ``None`` of other corrections, and where p(x
        given y) moved too.
    """

    method: str
    estimator: SequenceEstimator | None
    losses: Float[ndarray, "series"] | None
    note: str
    evidence: Evidence | None = None


def refitted(model: SequenceEstimator, samples: Samples, folds: Folds) -> Attempt:
    """A fit on reference and deployed series, its probabilities recalibrated on deployed ones out of fold.

    The members of all folds and the final fit train in lockstep. The final one is bit for bit a fit on the joined
    series, before its output layer is recalibrated.
    """
    X, y = joined(samples)
    n = len(samples.reference)
    everything = np.arange(len(X))
    trains = [np.setdiff1d(everything, n + fold) for fold in folds]
    again = unfitted(model)
    results = fit_members([again] * (len(folds) + 1), X, y, train_indices=[*trains, everything])
    members: list[SequenceEstimator] = []
    for result in results:
        if isinstance(result, Exception):
            return Attempt("refit", None, None, f"failed: {result}")
        members.append(_read_alike(model, result))
    final = members.pop()
    if model.by_step_ or not can_recalibrate(model):
        losses = losses_by_members(members, samples.deployed, samples.deployed_y, folds)
        return Attempt("refit", final, losses, "fitted on reference and deployed series")
    logits = np.empty((len(samples.deployed), len(class_names(model))))
    for fold, outputs in zip(folds, predict_members(members, samples.deployed, folds), strict=True):
        logits[fold] = outputs
    codes = class_codes(model, np.asarray(samples.deployed_y))
    losses = np.empty(len(codes))
    for fold in folds:
        others = np.setdiff1d(np.arange(len(codes)), fold)
        losses[fold] = _log_losses(logits[fold], calibrate(logits[others], codes[others]), codes[fold])
    calibration = calibrate(logits, codes)
    corrected = recalibrate(final, calibration.temperature, calibration.bias)
    return Attempt("refit", corrected, losses, "fitted on reference and deployed series, recalibrated on deployed ones")


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

    losses, evidence = np.empty((2, len(codes)))
    for fold in folds:
        others = moved(np.setdiff1d(np.arange(len(codes)), fold))
        losses[fold] = _log_losses(logits[fold], others, codes[fold])
        evidence[fold] = _surplus(logits[fold], calibration, others, codes[fold])
    final = moved(np.arange(len(codes)))
    found = Evidence(evidence, _surplus(embedding.outputs, calibration, final, embedding.target))
    corrected = recalibrate(model, final.temperature, final.bias)
    note = "probabilities reweighted by the fractions of the labels"
    return Attempt("priors", corrected, losses, note, found if _series_stayed(samples) else None)


def _surplus(
    logits: Float[ndarray, "series class"], before: Calibration, after: Calibration, codes: Int[ndarray, "series"]
) -> Float[ndarray, "series"]:
    """The log ratio of the class' probability after and before, less what those before expect of it.

    Its mean is 0 where those before hold. Where those after do, it is about twice the mean of the log ratio, which is
    what is gained, in as much noise.
    """
    log_p = _log_probabilities(logits, before)
    ratios = _log_probabilities(logits, after) - log_p
    return np.asarray(ratios[np.arange(len(codes)), codes] - (np.exp(log_p) * ratios).sum(1))


def _series_stayed(samples: Samples) -> bool:
    """Whether nothing speaks against a label shift: the series of each class are what they were."""
    try:
        found = series_given_target_test(samples.diagnosed.embedding, samples.embedding)
    except DataError:  # such as a group on both sides
        return False
    return isinstance(found, ShiftTest) and found.p_value > _STAYED


def attempted(method: str, make: Callable[[], Attempt]) -> Attempt:
    """What is made, or an attempt that failed where the samples or the training do not allow it, with the reason."""
    try:
        return make()
    except (DataError, DivergenceError) as error:
        return Attempt(method, None, None, f"failed: {error}")


def weighted(model: SequenceEstimator, samples: Samples) -> Attempt:
    """A fit on the reference's series, weighted as if they were deployed ones, of which it sees no labels."""
    found = weights_of(samples)
    if not found.usable:
        return Attempt("weights", None, None, found.reason)
    if found.effective_fraction == 1:
        return Attempt("weights", None, None, "a classifier does not tell reference from deployed series")
    result = weighted_fit(model, samples, found)
    if isinstance(result, Exception):
        return Attempt("weights", None, None, f"failed: {result}")
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


def joined(samples: Samples) -> tuple[Sequences, Any]:
    """Reference and deployed series as one, and their targets."""
    one, other = samples.reference, samples.deployed.to_train_in(samples.reference.train_dtype)
    if (one.groups is None) != (other.groups is None):  # then those without are groups of their own
        parts = [
            -1 - np.arange(len(part)) if part.groups is None else np.unique(part.groups, return_inverse=True)[1]
            for part in (one, other)
        ]
        one, other = one.replace(groups=parts[0]), other.replace(groups=parts[1])
    other = other.replace(channel_names=one.channel_names or (), static_names=one.static_names or ())
    return concatenate([one, other]), _joined_targets(samples.reference_y, samples.deployed_y)


def _joined_targets(one: Any, other: Any) -> Any:
    """Of steps the values alone: names, times and groups are those of the series."""
    if not isinstance(one, Sequences):
        return np.concatenate([one, other])
    offsets = np.append(0, np.cumsum(np.append(one.lengths, other.lengths)))
    # Labels that are all known may be held in another type than those of which some are missing.
    return Sequences(np.concatenate([one.values, other.values]), offsets, train_dtype=one.train_dtype)


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
    """With the width that two-dimensional X must have, which `Sequences` do not tell."""
    refitted.n_steps_, refitted.n_features_in_ = model.n_steps_, model.n_features_in_
    return refitted


def _spread(weights: Float[ndarray, "series"], samples: Samples) -> Float[ndarray, "given"]:
    """Weights of all series given, 0 for those that are not in the diagnosis' reference."""
    found = np.zeros(len(samples.reference))
    found[indices_of(samples.diagnosed)] = weights
    return found


def _log_losses(
    logits: Float[ndarray, "series class"], calibration: Calibration, codes: Int[ndarray, "series"]
) -> Float[ndarray, "series"]:
    return np.asarray(-_log_probabilities(logits, calibration)[np.arange(len(codes)), codes])


def _log_probabilities(
    logits: Float[ndarray, "series class"], calibration: Calibration
) -> Float[ndarray, "series class"]:
    return np.asarray(log_softmax(logits / calibration.temperature + calibration.bias, axis=1))
