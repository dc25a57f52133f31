"""A model corrected for a shift, where labels of deployed series show that it helps; else the same model, and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy import ndarray
from scipy import stats
from sklearn.utils.validation import check_is_fitted

from throughtime.data import Sequences, as_labels, as_targets
from throughtime.errors import DataError, DataWarning, DivergenceError, ParameterError, warn
from throughtime.estimators import NAMES, SequenceEstimator, can_recalibrate, recalibrate, sequences_like
from throughtime.records import Record, Records, Row
from throughtime.shift.arguments import check_seed
from throughtime.shift.calibration import Calibration
from throughtime.shift.candidates import (
    Attempt,
    Folds,
    Samples,
    attempted,
    class_names,
    indices_of,
    losses_of,
    reference_losses,
    refitted,
    reweighted,
    weighted,
    weighted_fit,
    weighted_gains,
    weights_of,
    with_priors,
)
from throughtime.shift.embedding import target_of
from throughtime.shift.joining import join_sides
from throughtime.shift.losses import class_codes
from throughtime.shift.priors import PriorEstimate, estimate_priors, floored
from throughtime.shift.records import Reference, ShiftDiagnosis
from throughtime.shift.reference import embed
from throughtime.shift.repeated_warnings import each_warning_once
from throughtime.shift.sides import warn_of_groups
from throughtime.shift.summaries import summarize
from throughtime.shift.weighted_validation import WeightedMean, weighted_mean

CorrectionMethod = Literal["auto", "refit", "priors", "weights"]

#: Fewer labels are none: neither a gain nor its error can be told.
LEAST_LABELS = 30
#: Of the gate: its lower end is mean - 1.645 standard errors, a chance of .05 to pass without a gain.
_LEVEL = 0.9
#: With which a gain is to be found, when labels are asked for.
_POWER = 0.8
#: Of fractions that are said to have moved when none did, over all classes.
_FALSE_MOVES = 0.05
#: Of the loss: the gain that labels are asked for to find.
_WORTHWHILE = 0.25
#: Times the labels there are: a gain that takes more of them to be seen is none.
_MOST_LABELS = 5
_FOLDS = 5

_CONCEPT = "a concept shift cannot be corrected, nor seen, without labels"
_DANGER_OF_PRIORS = (
    "priors without labels suppose that only the fractions of the classes moved: where the series of a class changed "
    "too, they cost up to 7 points of accuracy, and nothing but labels shows it"
)
_DANGER_OF_WEIGHTS = (
    "weights without labels suppose that p(y given x) stayed: where it moved, they cost accuracy, and nothing but "
    "labels shows it"
)


@dataclass(frozen=True, repr=False)
class Candidate(Row):
    """A correction that was tried, or why not.

    Attributes
    ----------
    gain, low, high
        By how much it lowers the mean loss of deployed series that it was not fitted on, with an interval of 90 %; NaN
        where it was not tried.
    passed
        Whether ``low`` is above 0.
    note
        What was done, or why not.
    """

    method: str
    gain: float
    low: float
    high: float
    passed: bool
    note: str

    title: ClassVar[str] = "corrections tried"

    def _cells(self) -> dict[str, str]:
        return {
            "method": self.method,
            "gain": f"{self.gain:.3g}",
            "low": f"{self.low:.3g}",
            "high": f"{self.high:.3g}",
            "passed": "yes" if self.passed else "no",
            "note": self.note,
        }


@dataclass(frozen=True, repr=False, eq=False)
class Correction(Record):
    """What became of a model.

    Attributes
    ----------
    estimator
        The corrected one, or the same.
    method
        "refit", "priors" or "weights"; "none" where it is the same.
    applied
        Whether it was corrected.
    reason
        Why, in a sentence.
    gain, low, high
        By how much the mean loss of deployed series falls, with an interval of 90 %; NaN where nothing was corrected,
        or no labels tell.
    unit
        "nats" of log loss, or "squared error".
    candidates
        All that were tried.
    labels_needed
        How many labeled deployed series would show with a chance of .8 a gain of a quarter of the loss, or, with
        labels, the largest gain that did not pass; ``None`` where none are asked for.
    """

    estimator: SequenceEstimator
    method: str
    applied: bool
    reason: str
    gain: float
    low: float
    high: float
    unit: str
    candidates: Records[Candidate]
    labels_needed: int | None

    def __str__(self) -> str:
        return f"{self.reason}\n{self.candidates!r}" if self.candidates else self.reason


def correct(
    model: SequenceEstimator,
    diagnosis: ShiftDiagnosis,
    *,
    reference: tuple[Any, Any],
    deployed: tuple[Any, Any],
    method: CorrectionMethod = "auto",
    groups: Any = None,
    random_state: int | None = 0,
) -> Correction:
    """Correct a model for a shift, if labels of deployed series show that it helps.

    With 30 labels or more it tries a refit on reference and deployed series, recalibrated where targets are classes;
    the model's probabilities reweighted by the labels' fractions (one class per series); and a refit on weighted
    reference series. Each must lower the loss of deployed series that it was not fitted on by more than 1.645 standard
    errors; the one that lowers it most is taken. Without labels nothing is done unless ``method`` says so.

    Parameters
    ----------
    model
        The fitted estimator that is deployed.
    diagnosis
        Of `diagnose_shift`; with its reference, the networks that did not train on their series.
    reference
        X and y that the model was trained on, those of the diagnosis' reference in their order.
    deployed
        X and y, or ``None`` without labels. They may be other series than those of the diagnosis, such as the part of
        them that got labels.
    method
        One candidate alone. Without labels, "priors" reweights probabilities by fractions that EM or BBSE estimates,
        and "weights" refits where weighted cross-validation on the reference gains; both warn of what they suppose.
    groups
        What moves together among the deployed series; ``X.groups`` by default.
    random_state
        Seed of the folds. Refits begin from the seed that the model had.

    Raises
    ------
    DataError
        For series or targets that are not the diagnosis' reference, deployed series that are among them, channels
        other than the model's, classes it does not know; for a refit of a model that reads times, where one side alone
        has them or both have others.
    ParameterError
        For a model that is no estimator, a diagnosis that is none, "refit" without labels, "priors" without one class
        per series.
    """
    if not isinstance(model, SequenceEstimator):
        raise ParameterError(f"model needs a fitted estimator, such as a run's .estimator, got {type(model).__name__}")
    check_is_fitted(model, "network_")
    if not isinstance(diagnosis, ShiftDiagnosis):
        raise ParameterError(
            f"diagnosis needs what diagnose_shift(run.reference(), X, y) gives, got {type(diagnosis).__name__}"
        )
    check_seed(random_state)
    if method not in get_args(CorrectionMethod):
        raise ParameterError(f"method needs to be one of {', '.join(get_args(CorrectionMethod))}, got {method!r}")
    if method == "priors" and not _has_priors(model):
        raise ParameterError("method='priors' needs one class per series, got a model of other targets")
    if method == "refit" and deployed[1] is None:
        raise ParameterError("method='refit' needs labels of the deployed series, got none")
    with each_warning_once():  # the model, the members and each fold would say the same
        samples = _checked_samples(model, diagnosis, reference, deployed, groups, random_state)
        return _corrected_by(method, model, diagnosis, samples, random_state)


def _corrected_by(
    method: CorrectionMethod,
    model: SequenceEstimator,
    diagnosis: ShiftDiagnosis,
    samples: Samples,
    random_state: int | None,
) -> Correction:
    if diagnosis.verdict == "insufficient" and method == "auto":
        why = f"nothing is corrected where the series are insufficient to tell: {diagnosis.sentence}"
        return _unchanged(model, why)
    n_labels = 0 if samples.deployed_y is None else len(samples.deployed)
    if n_labels >= LEAST_LABELS:
        return _with_labels(model, samples, method, random_state)
    if n_labels == 0 and method in ("priors", "weights"):
        try:
            without_labels = _priors_without_labels if method == "priors" else _weights_without_labels
            return without_labels(model, samples)
        except (DataError, DivergenceError) as error:
            return _unchanged(model, f"nothing is corrected: {method} failed: {error}")
    needed, gain = _labels_to_ask_for(samples)
    count = "1 label is" if n_labels == 1 else f"{n_labels} labels are"
    few = f"{count} too few, at least {LEAST_LABELS}:" if n_labels else "without labels"
    why = (
        f"{few} nothing is corrected: {needed} labeled deployed series would show a gain of {gain:.2g} {_unit(model)}, "
        f"a quarter of the reference's loss, with a chance of {_POWER:g}"
    )
    return _unchanged(model, why if n_labels else f"{why}; {_CONCEPT}", labels_needed=needed)


def _with_labels(
    model: SequenceEstimator, samples: Samples, method: CorrectionMethod, random_state: int | None
) -> Correction:
    units = samples.embedding.groups
    n = len(samples.deployed)
    if len(np.unique(np.arange(n) if units is None else units)) < 2:
        why = "nothing is corrected: with all deployed series of one group no gain can be told from chance"
        return _unchanged(model, why)
    folds = _folds(n, units, random_state)
    attempts = []
    if method in ("auto", "refit"):
        # Sides that do not fit together are the caller's to mend, no attempt that failed.
        both = join_sides(model, (samples.reference, samples.reference_y), (samples.deployed, samples.deployed_y))
        attempts.append(attempted("refit", lambda: refitted(model, samples, both, folds)))
    if method in ("auto", "priors") and _has_priors(model):
        attempts.append(attempted("priors", lambda: reweighted(model, samples, folds)))
    if method in ("auto", "weights"):
        attempts.append(attempted("weights", lambda: weighted(model, samples)))
    before = losses_of(model, samples.deployed, samples.deployed_y)
    candidates = [
        _candidate(one, None if one.losses is None else weighted_mean(before - one.losses, groups=units, level=_LEVEL))
        for one in attempts
    ]
    passed = [pair for pair in zip(candidates, attempts, strict=True) if pair[0].passed]
    broken = "".join(f"; {one.method} {one.note}" for one in attempts if one.failed)
    if not passed:
        return _no_gain(model, candidates, n, broken)
    best, attempt = max(passed, key=lambda pair: pair[0].gain)
    assert attempt.estimator is not None
    reason = (
        f"{best.note}: lowers the loss of deployed series that it was not fitted on by {best.gain:.3g} {_unit(model)} "
        f"({best.low:.3g} to {best.high:.3g}){broken}"
    )
    return _corrected(attempt.estimator, best, reason, candidates)


def _priors_without_labels(model: SequenceEstimator, samples: Samples) -> Correction:
    warn(_DANGER_OF_PRIORS, DataWarning)
    embedding = samples.diagnosed.embedding
    assert embedding.target is not None
    if not can_recalibrate(model):
        raise ParameterError("method='priors' needs an output layer of ours, got a network of another kind")
    found = estimate_priors(
        embedding.outputs,
        embedding.target,
        samples.embedding.outputs,
        groups=embedding.groups,
        deployed_groups=samples.embedding.groups,
        level=1 - _FALSE_MOVES / embedding.outputs.shape[1],
    )
    if found.method == "none":
        return _unchanged(model, f"nothing is corrected: {found.reason}")
    if not _moved(found, len(embedding)):
        return _unchanged(model, f"nothing is corrected: by {found.method} no class's fraction moved beyond chance")
    # BBSE stands in where calibration failed, which leaves the probabilities as they are.
    own = found.calibration if found.method == "EM" else None
    own = own or Calibration(1.0, np.zeros(len(found.deployed)), np.nan, np.nan, 0)
    moved = with_priors(own, floored(found.reference, len(embedding)), found.deployed)
    corrected = recalibrate(model, moved.temperature, moved.bias)
    most = int(np.abs(found.deployed - found.reference).argmax())
    reason = (
        f"probabilities reweighted by the fractions that {found.method} estimates, for class "
        f"{class_names(model).tolist()[most]!r} {found.deployed[most]:.2f} in place of {found.reference[most]:.2f}; "
        "without labels no gain was measured"
    )
    nan = float("nan")
    return _corrected(corrected, Candidate("priors", nan, nan, nan, False, "no labels"), reason, [])


def _moved(found: PriorEstimate, n_reference: int) -> bool:
    """Whether a fraction left the reference's by more than the errors of both allow, at the level of ``found``."""
    before = floored(found.reference, n_reference)
    moved = found.deployed - before
    error = np.where(moved > 0, found.deployed - found.low, found.high - found.deployed)
    own = stats.norm.ppf((1 + found.level) / 2) * np.sqrt(before * (1 - before) / n_reference)
    return bool((np.abs(moved) > np.hypot(error, own)).any())


def _weights_without_labels(model: SequenceEstimator, samples: Samples) -> Correction:
    warn(_DANGER_OF_WEIGHTS, DataWarning)
    weights = weights_of(samples)
    if not weights.usable:
        return _unchanged(model, f"nothing is corrected: {weights.reason}")
    gains = weighted_gains(model, samples, weights)
    gain = weighted_mean(gains, weights.weights, groups=samples.diagnosed.embedding.groups, level=_LEVEL)
    attempt = Attempt("weights", None, None, f"weighted cross-validation on the reference; {weights.reason}")
    candidate = _candidate(attempt, gain)
    if not candidate.passed:
        return _unchanged(
            model, "nothing is corrected: weighted cross-validation shows no gain beyond chance", [candidate]
        )
    fitted = weighted_fit(model, samples, weights)
    if isinstance(fitted, Exception):
        return _unchanged(model, f"nothing is corrected: the refit failed: {fitted}", [candidate])
    reason = f"refitted on weighted reference series: weighted cross-validation gains {gain.mean:.3g} {_unit(model)}"
    return _corrected(fitted, candidate, reason, [candidate])


def _candidate(attempt: Attempt, gain: WeightedMean | None) -> Candidate:
    if gain is None:
        nan = float("nan")
        return Candidate(attempt.method, nan, nan, nan, False, attempt.note)
    return Candidate(attempt.method, gain.mean, gain.low, gain.high, gain.low > 0, attempt.note)


def _no_gain(model: SequenceEstimator, candidates: Sequence[Candidate], n_labels: int, broken: str) -> Correction:
    """Why no candidate passed, which failed, and how many labels the largest gain takes to be seen."""
    tried = [candidate for candidate in candidates if not np.isnan(candidate.gain)]
    if not tried:
        notes = "; ".join(f"{candidate.method}: {candidate.note}" for candidate in candidates)
        return _unchanged(model, f"nothing is corrected: {notes}", candidates)
    best = max(tried, key=lambda candidate: candidate.gain)
    reason = (
        f"nothing is corrected: no correction lowers the loss of deployed series beyond chance, {best.method} by "
        f"{best.gain:.3g} {_unit(model)} ({best.low:.3g} to {best.high:.3g})"
    )
    deviation = (best.gain - best.low) / stats.norm.ppf((1 + _LEVEL) / 2) * np.sqrt(n_labels)
    needed = _labels_for(best.gain, float(deviation)) if best.gain > 0 else None
    if needed is None or needed > _MOST_LABELS * n_labels:
        return _unchanged(model, reason + broken, candidates)
    reason += f"; {needed} labels would show a gain of that size with a chance of {_POWER:g}{broken}"
    return _unchanged(model, reason, candidates, needed)


def _corrected(
    estimator: SequenceEstimator, chosen: Candidate, reason: str, candidates: Sequence[Candidate]
) -> Correction:
    gain = chosen.gain, chosen.low, chosen.high
    return Correction(estimator, chosen.method, True, reason, *gain, _unit(estimator), Records(candidates), None)


def _unchanged(
    model: SequenceEstimator, reason: str, candidates: Sequence[Candidate] = (), labels_needed: int | None = None
) -> Correction:
    nan = float("nan")
    return Correction(model, "none", False, reason, nan, nan, nan, _unit(model), Records(candidates), labels_needed)


def _has_priors(model: SequenceEstimator) -> bool:
    return model.task.name == "classification" and not model.by_step_


def _unit(model: SequenceEstimator) -> str:
    return "nats" if model.task.name == "classification" else "squared error"


def _labels_to_ask_for(samples: Samples) -> tuple[int, float]:
    """How many labels show a gain of a quarter of the reference's loss, and that gain.

    The gains of single series are taken to vary as their losses do, which is more than they do where corrected and
    uncorrected losses go together.
    """
    losses = reference_losses(samples)[indices_of(samples.diagnosed)]
    gain = _WORTHWHILE * float(losses.mean())
    return (LEAST_LABELS, gain) if gain == 0 else (_labels_for(gain, float(losses.std(ddof=1))), gain)


def _labels_for(gain: float, deviation: float) -> int:
    """How many differences of this deviation pass the gate with the power wanted, when their mean is the gain."""
    z = stats.norm.ppf((1 + _LEVEL) / 2) + stats.norm.ppf(_POWER)
    return max(LEAST_LABELS, ceil(float(z * deviation / gain) ** 2))


def _folds(n: int, units: ndarray | None, random_state: int | None) -> Folds:
    """Series in random parts that keep groups whole."""
    _, unit = np.unique(np.arange(n) if units is None else units, return_inverse=True)
    n_units = int(unit.max()) + 1
    place = np.random.default_rng(random_state).permutation(n_units) % min(_FOLDS, n_units)
    return [np.flatnonzero(place[unit] == fold) for fold in range(min(_FOLDS, n_units))]


def _checked_samples(
    model: SequenceEstimator,
    diagnosis: ShiftDiagnosis,
    reference: tuple[Any, Any],
    deployed: tuple[Any, Any],
    groups: Any,
    random_state: int | None,
) -> Samples:
    for name, pair in (("reference", reference), ("deployed", deployed)):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ParameterError(f"{name} needs a pair (X, y), got {type(pair).__name__}")
    diagnosed = diagnosis.reference
    classes = diagnosed.classes
    if classes is not None and classes.tolist() != class_names(model).tolist():
        raise DataError(
            f"the model needs the classes of the diagnosis' reference, {classes.tolist()}, got "
            f"{class_names(model).tolist()}"
        )
    X, X_deployed = (_named_as_in_fit(model, sequences_like(model, given)) for given, _ in (reference, deployed))
    y = as_targets(reference[1], X)
    if classes is not None and np.unique(y).tolist() != classes.tolist():
        raise DataError(
            f"reference needs series of the model's classes, {classes.tolist()}, got {np.unique(y).tolist()}"
        )
    y_deployed = None if deployed[1] is None else as_targets(deployed[1], X_deployed)
    for targets in (y, y_deployed):
        if targets is not None and isinstance(targets, Sequences) != model.by_step_:
            one, other = ("step", "series") if model.by_step_ else ("series", "step")
            raise DataError(f"y needs a target per {one}, as the model was fitted on, got one per {other}")
    _check_reference(X, y, diagnosed)
    _check_apart(X, X_deployed)
    if groups is not None:
        X_deployed = X_deployed.replace(groups=as_labels(groups, "groups", len(X_deployed)))
    embedding = embed(diagnosed, X_deployed, y_deployed, random_state=random_state)
    warn_of_groups(diagnosed.embedding, embedding)
    if _has_priors(model):
        y, y_deployed = (_labels_as_in_fit(model, labels) for labels in (y, y_deployed))
    return Samples(X, y, X_deployed, y_deployed, diagnosed, embedding)


def _labels_as_in_fit(model: SequenceEstimator, labels: Any) -> Any:
    """In the type of the model's classes: 1.0 in place of 1 would make those of a refit others."""
    return None if labels is None else class_names(model)[class_codes(model, labels)]


def _named_as_in_fit(model: SequenceEstimator, X: Sequences) -> Sequences:
    """With the model's names, if it has some: series without go by place, as is said when they are first read."""
    channels, static = (getattr(model, names, None) for names in NAMES)
    # of two-dimensional X they would be those of its steps
    return X.replace(channel_names=channels if model.n_steps_ is None else None, static_names=static)


def _check_reference(X: Sequences, y: Any, diagnosed: Reference) -> None:
    """Refuse series or targets other than those whose embedding the diagnosis has."""
    indices = indices_of(diagnosed)
    if len(X) <= indices.max():
        raise DataError(
            f"reference needs the series of the diagnosis' reference, at least {indices.max() + 1}, got {len(X)}"
        )
    values, _ = summarize(X[indices])
    known = diagnosed.embedding
    same = values.shape == known.summaries.shape  # names may be lacking on one side
    if not same or not np.allclose(np.where(np.isnan(values), known.summaries, values), known.summaries):
        raise DataError("reference needs the series of the diagnosis' reference in their order, got others")
    if known.target is not None:
        target = target_of(diagnosed.members[0], X[indices], y[indices], diagnosed.classes)
        if target.shape != known.target.shape or not np.allclose(target, known.target):
            raise DataError("reference needs the targets of the diagnosis' reference in their order, got others")


def _check_apart(X: Sequences, deployed: Sequences) -> None:
    """Refuse deployed series that the model was trained on, of which no gain could be told from what it remembers.

    Series of few values may be equal by chance: that is taken for granted as often as it happens within the reference.
    """
    own = _contents(X, X.train_dtype)
    known = Counter(own)
    shared = np.array([content in known for content in _contents(deployed, X.train_dtype)])
    by_chance = np.mean([known[content] > 1 for content in own])
    if shared.mean() > by_chance:
        raise DataError(
            f"deployed needs series that are not among the reference's, got {int(shared.sum())} of {len(deployed)} "
            f"that are, the first of them series {int(shared.argmax())}; leave them out"
        )


def _contents(X: Sequences, dtype: np.dtype[Any]) -> list[bytes]:
    """What each series holds, as a network reads it."""
    static = np.zeros((len(X), 0)) if X.static is None else np.asarray(X.static)
    found = []
    for values, features in zip(X, static, strict=True):
        content = blake2b(digest_size=16)
        for part in (values, features):
            with np.errstate(over="ignore"):
                read = part.astype(dtype) + dtype.type(0.0)  # 0.0 in place of -0.0, which equals it
            content.update(read.tobytes())
        found.append(content.digest())
    return found
