"""The reference: series embedded by networks that did not train on them, and deployed series embedded alike."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray
from sklearn.utils.validation import check_is_fitted

from throughtime.data import Sequences, as_targets
from throughtime.errors import DataError, DataWarning, ParameterError, warn
from throughtime.estimators import SequenceEstimator, sequences_like
from throughtime.shift.arguments import check_seed
from throughtime.shift.embedding import embed_with, units_of
from throughtime.shift.records import Embedding, Reference
from throughtime.shift.summaries import STATISTICS, channel_names, filled

#: What float32 leaves of a number is within it, and the mean of equal numbers, relative to them.
_ROUNDED, _SUMMED = 1e-6, 1e-10


def reference_of(
    members: Sequence[SequenceEstimator],
    X: Any,
    y: Any,
    splits: Iterable[Any],
    *,
    groups: Any = None,
    block: int | None = None,
    random_state: int | None = 0,
) -> Reference:
    """Embed each series by a member that had it in its test fold.

    Parameters
    ----------
    members
        Fitted estimators of one configuration, one per split.
    X, y
        All series that the splits count, and their targets.
    splits
        Per member its training and test indices; or its test indices alone, so that whether it trained on them is not
        known.
    groups
        What moves together, one per series, such as subjects; ``X.groups`` by default, and of windows the series that
        they were cut from.
    block
        For windows of few long series: windows that begin within the same so many steps change sides as a whole. Take
        several times as many steps as the series remembers.
    random_state
        Seed of the draw among members, where a series is in several test folds.

    Returns
    -------
    Without the series that are in no test fold. Those that their member trained on are counted, with a warning: its
    outputs are too confident there, which false-alarms.

    Raises
    ------
    DataError, ParameterError
        For splits or targets that do not fit the members, members without a class that others have, no test series.
    """
    fitted = _checked_members(members)
    check_seed(random_state)
    series = sequences_like(fitted[0], X)
    if block is not None and (isinstance(block, bool) or not isinstance(block, int | np.integer) or block < 1):
        raise ParameterError(f"block needs a whole number of steps of at least 1, got {block!r}")
    targets = as_targets(y, series)
    trained, tested, all_known = _folds(splits, len(fitted), len(series))
    chance = np.random.default_rng(random_state).random(tested.shape)
    drawn = np.where(tested, chance, -1).argmax(0)
    indices = np.flatnonzero(tested.any(0))
    if not len(indices):
        raise DataError("a reference needs series in a test fold, got none")
    in_sample = int(trained[drawn[indices], indices].sum())
    if in_sample:
        warn(
            f"a reference needs series that its networks did not train on, got {in_sample} of {len(indices)} that "
            "theirs did: outputs are too confident there, and shift is found where none is; give fold members and "
            "their test folds",
            DataWarning,
        )
    units = units_of(series, groups, block, deployed=False)
    own_groups = None if units.groups is None else units.groups[indices]
    classes = _classes_of(fitted[0])
    embedding = embed_with(fitted, drawn[indices], series[indices], targets[indices], classes, own_groups, units.unit)
    return Reference(
        embedding=_filled(embedding, embedding),
        members=fitted,
        classes=classes,
        channel_names=channel_names(series),
        in_sample=in_sample if in_sample or all_known else None,
        indices=indices,
        block=block,
    )


def embed(
    reference: Reference,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    random_state: int | None = 0,
) -> Embedding:
    """Embed deployed series, each by one of the reference's members.

    Members are drawn as often as they had a series of the reference, one for a whole group. To average over them would
    give smoother outputs than the reference's, which false-alarms.

    Parameters
    ----------
    y
        Their targets, where these are known.
    groups
        What moves together, as in `reference_of`.
    random_state
        Seed of the draw.

    Raises
    ------
    DataError
        For channels other than the reference's, by number or name, and targets that its members do not know. Series
        or a reference without names are compared by place, with `predict`'s warning.
    ParameterError
        For what is no reference, and a seed that is no whole number.
    """
    check_reference(reference)
    check_seed(random_state)
    if isinstance(X, Sequences):
        _check_names(X, reference)  # before scikit-learn's lines on names
    series = sequences_like(reference.members[0], X)
    _check_names(series, reference)
    units = units_of(series, groups, reference.block, deployed=True)
    _, unit_of = np.unique(np.arange(len(series)) if units.groups is None else units.groups, return_inverse=True)
    member = _drawn(reference.embedding.member, int(unit_of.max()) + 1, random_state)[unit_of]
    embedding = embed_with(reference.members, member, series, y, reference.classes, units.groups, units.unit)
    # They are compared; what has no names goes by its place, as in `predict`.
    named = replace(embedding, summary_names=reference.embedding.summary_names)
    return _rounded_alike(_filled(named, reference.embedding), reference.embedding)


def check_reference(reference: Any) -> None:
    """Refuse what is no `Reference`.

    Raises
    ------
    ParameterError
        With what gives one.
    """
    if not isinstance(reference, Reference):
        cure = "; give its .reference()" if hasattr(reference, "reference") else ""
        raise ParameterError(
            f"reference needs what reference_of or a run's .reference() gives, got {type(reference).__name__}{cure}"
        )


def _drawn(member: Int[ndarray, "series"], n: int, random_state: int | None) -> Int[ndarray, "unit"]:
    """Members in random order, each as large a part of ``n`` as it is of the reference, to the nearest."""
    order = np.sort(member)
    spread: ndarray = order[((np.arange(n) + 0.5) / n * len(order)).astype(np.int64)]
    return np.random.default_rng(random_state).permutation(spread)


def _check_names(series: Sequences, reference: Reference) -> None:
    """Refuse channels and static features that have other names than the reference's, where both have names."""
    n = len(reference.channel_names)
    static = reference.embedding.summary_names[n * len(STATISTICS) + 1 :]  # after the length
    for what, own, known, word in (
        ("channels", series.channel_names, reference.channel_names, "x"),
        ("static features", series.static_names, static, "static"),
    ):
        is_named = known != tuple(f"{word}{number}" for number in range(len(known)))
        if own is not None and is_named and tuple(own) != known:
            raise DataError(
                f"X needs the {what} of the reference, in their order ({', '.join(known)}), got {', '.join(own)}"
            )


def _filled(embedding: Embedding, reference: Embedding) -> Embedding:
    """The embedding with the reference's mean where a channel of a series has no value, of which no shift follows."""
    stretches = embedding.stretches
    if stretches is not None:
        stretches = None if reference.stretches is None else filled(stretches, reference.stretches)
    return replace(embedding, summaries=filled(embedding.summaries, reference.summaries), stretches=stretches)


def _rounded_alike(embedding: Embedding, reference: Embedding) -> Embedding:
    """The embedding with a constant of the reference in place of what another precision makes of the same number.

    A channel that is .1 throughout differs in float32 and float64, by many times the deviation that it has in neither.
    """
    stretches = embedding.stretches
    if stretches is not None and reference.stretches is not None:
        stretches = _with_constants(stretches, reference.stretches)
    return replace(embedding, summaries=_with_constants(embedding.summaries, reference.summaries), stretches=stretches)


def _with_constants(values: ndarray, reference: ndarray) -> ndarray:
    constant = reference[0]
    size = np.abs(constant)
    is_constant = np.abs(reference - constant).max(0) <= _SUMMED * size
    return np.where(is_constant & (np.abs(values - constant) <= _ROUNDED * size), constant, values)


def _checked_members(members: Any) -> tuple[SequenceEstimator, ...]:
    """Fitted estimators that mean the same by their outputs."""
    if not isinstance(members, Sequence):
        raise ParameterError(
            f"a reference needs its fitted estimators in a list, one per split, got {type(members).__name__}"
        )
    if not len(members):
        raise ParameterError("a reference needs at least one member, got none")
    for m, member in enumerate(members):
        if not isinstance(member, SequenceEstimator):
            raise ParameterError(f"a reference needs fitted estimators, got {type(member).__name__} for member {m}")
        check_is_fitted(member, "network_")
    first = members[0]
    for m, member in enumerate(members):
        if member.task is not first.task or member.by_step_ != first.by_step_:
            raise ParameterError(f"members need targets of one kind, got others in member {m} than in member 0")
        if member.task.name == "classification" and member.classes_.tolist() != first.classes_.tolist():
            raise DataError(
                f"members need the same classes, got {member.classes_.tolist()} in member {m} and "
                f"{first.classes_.tolist()} in member 0; stratified folds keep each class in every fold"
            )
    return tuple(members)


def _classes_of(member: Any) -> ndarray | None:
    return member.classes_ if member.task.name == "classification" and not member.by_step_ else None


def _folds(
    splits: Any, n_members: int, n_series: int
) -> tuple[Bool[ndarray, "member series"], Bool[ndarray, "member series"], bool]:
    """Which series each member trained on, which are in its test fold, and whether all splits say the former."""
    if not isinstance(splits, Iterable):
        raise ParameterError(
            f"a reference needs a list of splits, got {type(splits).__name__}; of a splitter give list(.split(X, y))"
        )
    splits = list(splits)
    if len(splits) != n_members:
        raise ParameterError(f"a reference needs a split for each of {n_members} members, got {len(splits)}")
    trained, tested = np.zeros((2, n_members, n_series), bool)
    all_known = True
    for m, split in enumerate(splits):
        pair = isinstance(split, tuple | list) and len(split) == 2 and np.ndim(split[0]) == 1
        all_known &= pair
        for mask, indices in zip((tested, trained), reversed(split) if pair else (split,), strict=False):
            mask[m, _checked_indices(indices, n_series)] = True
    return trained, tested, all_known


def _checked_indices(indices: Any, n: int) -> ndarray:
    found = np.asarray(indices)
    if found.dtype == bool and found.shape == (n,):
        found = np.flatnonzero(found)
    if not found.size:
        return found.astype(np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= n:
        raise DataError(f"splits need numbers of series among the {n} of X, or pairs of such, got {indices!r:.60}")
    return found
