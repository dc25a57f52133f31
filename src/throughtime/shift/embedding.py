"""Series as shift tests see them: summaries, and what one network each, which did not train on it, makes of it."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from throughtime.data import Sequences, as_labels
from throughtime.errors import DataError
from throughtime.estimators import SequenceEstimator, predict_members, states_of, targets_of
from throughtime.shift.arguments import codes_of_labels
from throughtime.shift.records import Embedding
from throughtime.shift.repeated_warnings import each_warning_once
from throughtime.shift.summaries import stretch_means, summarize

Unit = Literal["series", "group", "block"]


def embed_with(
    members: Sequence[SequenceEstimator],
    member: Int[ndarray, "series"],
    X: Sequences,
    y: Any,
    classes: Shaped[ndarray, "class"] | None,
    groups: ndarray | None,
    unit: Unit,
) -> Embedding:
    """Embed series, each by the member that is named for it; those of one shape run in lockstep.

    Parameters
    ----------
    classes
        Labels of the class codes; ``None`` for numbers and for targets per step.

    Raises
    ------
    DataError
        For channels other than in ``fit``, a target that is no class, and a series without an observed target.
    """
    used = np.unique(member)
    indices = [np.flatnonzero(member == m) for m in used]
    fitted = [members[m] for m in used]
    outputs: ndarray = np.zeros((0, 0))
    states: ndarray = np.zeros((0, 0))
    with each_warning_once():  # each member reads the series twice
        # said when X was taken for the first member
        warnings.filterwarnings("ignore", "X .* feature names", UserWarning)
        predicted, last_states = predict_members(fitted, X, indices), states_of(fitted, X, indices)
    for estimator, own, raw, last in zip(fitted, indices, predicted, last_states, strict=True):
        found = _outputs_of(estimator, X[own], raw)
        if not len(outputs):
            outputs, states = np.zeros((len(X), found.shape[1])), np.zeros((len(X), last.shape[1]))
        if found.shape[1] != outputs.shape[1] or last.shape[1] != states.shape[1]:
            raise DataError("members need networks of one width, got several; give those of one configuration")
        outputs[own], states[own] = found, last
    values, names = summarize(X)
    return Embedding(
        summaries=values,
        summary_names=names,
        outputs=outputs,
        states=states,
        member=member,
        target=None if y is None else target_of(members[0], X, y, classes),
        groups=groups,
        has_logits=classes is not None,
        unit=unit,
        stretches=stretch_means(X),
        class_labels=getattr(members[0], "classes_", None),
    )


def take(embedding: Embedding, rows: Shaped[ndarray, "_"]) -> Embedding:
    """Some of the series, by number or mask."""
    per_series = ("summaries", "outputs", "states", "member", "target", "groups", "stretches")
    own = {name: getattr(embedding, name) for name in per_series}
    return replace(embedding, **{name: values[rows] for name, values in own.items() if values is not None})


def check_embeddings(test: str, *samples: Any) -> None:
    """Refuse what is no embedding, for a test that looks at several of its parts.

    Raises
    ------
    DataError
        With what gives one, and with tests of arrays.
    """
    for sample in samples:
        if not isinstance(sample, Embedding):
            raise DataError(
                f"{test} needs embeddings on both sides, got {type(sample).__name__}; embed(reference, X, y) makes "
                "one, and reference.embedding is one; mean_shift_test, mmd_test and target_test take arrays"
            )


def check_summaries(reference: Embedding, deployed: Embedding) -> None:
    """Refuse embeddings with other summaries.

    Raises
    ------
    DataError
        With one that the other side lacks.
    """
    names = reference.summary_names, deployed.summary_names
    if names[0] != names[1]:
        strangers = sorted(set(names[0]) ^ set(names[1])) or ["another order"]
        raise DataError(f"shift tests need the same summaries on both sides, got {strangers[0]!r} on one of them")


class Units(NamedTuple):
    """What changes sides as a whole, one value per series, ``None`` where each series does; and what that is."""

    groups: ndarray | None
    unit: Unit


def units_of(X: Sequences, groups: Any, block: int | None, *, deployed: bool) -> Units:
    """Groups as given, or those of the series; or the blocks or series that windows are of.

    Windows' blocks and series get other labels on the deployed side: they are other series, or other stretches.
    """
    if block is not None:
        if X.source is None:
            raise DataError(
                "block needs windows, which know where in their series they are, got none; X.windows() cuts"
            )
        keys = np.column_stack([X.source.series, X.source.begins // block])
        return Units(_numbered(keys, deployed), "block")
    if groups is not None:
        return Units(as_labels(groups, "groups", len(X)), "group")
    if X.groups is not None:
        return Units(X.groups, "group")
    if X.source is not None:
        return Units(_numbered(X.source.series[:, None], deployed), "group")
    return Units(None, "series")


def _numbered(keys: Int[ndarray, "series part"], deployed: bool) -> Int[ndarray, "series"]:
    numbers = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    return -1 - numbers if deployed else numbers


def _outputs_of(estimator: Any, X: Sequences, raw: Float[ndarray, "row output"]) -> Float[ndarray, "series _"]:
    """What a network says of each series, on a scale that members have in common."""
    coding = estimator.task.coding_of(estimator)
    probabilities = coding.probabilities(raw)
    if not estimator.by_step_:
        if probabilities is None:
            return np.asarray(coding.decode(raw))[:, None]
        logits = raw.astype(np.float64)
        return np.asarray(logits - logits.mean(1, keepdims=True))
    values = coding.decode(raw)[:, None] if probabilities is None else probabilities
    return _over_steps(values, X.lengths - estimator.horizon_)


def _over_steps(values: Float[ndarray, "step column"], lengths: Int[ndarray, "series"]) -> Float[ndarray, "series _"]:
    """Mean and standard deviation over the observed steps of each series."""
    starts, series = np.cumsum(lengths) - lengths, np.repeat(np.arange(len(lengths)), lengths)
    seen = ~np.isnan(values)
    count = np.maximum(np.add.reduceat(seen, starts, dtype=np.float64), 1)
    mean = np.add.reduceat(np.where(seen, values, 0.0), starts) / count
    squares = np.square(np.where(seen, values - mean[series], 0.0))
    return np.column_stack([mean, np.sqrt(np.add.reduceat(squares, starts) / count)])


def target_of(estimator: Any, X: Sequences, y: Any, classes: ndarray | None) -> ndarray:
    """Class codes, numbers, or the summaries of targets per step: of classes each one's fraction and deviation."""
    targets = targets_of(y, X, estimator.burn_in if estimator.by_step_ else 0, estimator.horizon_)
    if targets.by_step != estimator.by_step_:
        one, other = ("step", "series") if estimator.by_step_ else ("series", "step")
        raise DataError(f"y needs a target per {one}, as the members were fitted on, got one per {other}")
    values = targets.values
    if classes is not None:
        return codes_of_labels(values, classes, "the members know")
    if values.dtype.kind not in "biuf":
        raise DataError(f"y needs numbers, as the members were fitted on, got {values.tolist()[0]!r}")
    values = values.astype(np.float64)
    if targets.lengths is None:
        return values
    observed = ~np.isnan(values)
    lacking = ~np.logical_or.reduceat(observed, np.cumsum(targets.lengths) - targets.lengths)
    if lacking.any():
        raise DataError(
            f"y needs an observed target in every series, got none in series {int(lacking.argmax())} after its first "
            f"{estimator.burn_in + estimator.horizon_} steps; leave such series out"
        )
    columns = values[:, None]
    if estimator.task.name == "classification":
        codes_of_labels(values[observed], estimator.classes_, "the members know")
        columns = np.where(observed[:, None], columns == estimator.classes_, np.nan)
    return _over_steps(columns, targets.lengths)
