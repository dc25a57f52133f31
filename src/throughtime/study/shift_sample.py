"""What a run keeps for shift tests: its series as their fold members see them, a sample of them, and no raw series."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from pydantic import Field

from throughtime.data import Dataset, Sequences
from throughtime.errors import DataError, DataWarning, StorageError
from throughtime.estimators import SequenceEstimator, targets_of
from throughtime.generalization import Split, divided_in_time
from throughtime.shift import Embedding, Reference, reference_of
from throughtime.storage import arrays_to_bytes, json_to_bytes, typed

#: Arrays of the sample, and what they are of.
SAMPLE, SAMPLE_FACTS = "shift.safetensors", "shift.json"
#: Of more series a random sample is kept: tests of so many find what matters, in seconds.
MOST_SERIES = 2000
#: Windows of one series that begin within so many windows' lengths change sides together, since they are much alike.
BLOCK = 2

#: What a sample has, and what it may have: targets, means of stretches, and which of the training series are its own,
#: which early versions do not say.
_ARRAYS, _OPTIONAL = {"summaries", "outputs", "states", "member"}, {"target", "stretches", "indices"}

_Natural = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class _Facts:
    """What ``shift.json`` holds: why there is no sample, or what its arrays are of."""

    reason: str | None = None
    #: the fold of each of the reference's members, all of the first seed
    folds: list[_Natural] | None = None
    summary_names: list[str] | None = None
    channel_names: list[str] | None = None
    groups: list[int] | list[float] | list[str] | None = None
    unit: Literal["series", "group", "block"] = "series"
    block: int | None = None
    has_logits: bool = True
    in_sample: _Natural = 0


def sampled_reference(
    members: Sequence[SequenceEstimator | None],
    data: Dataset,
    splits: Sequence[Split],
    random_state: int,
    *,
    most: int = MOST_SERIES,
) -> Reference:
    """Embed series by the fold members that did not train on them, at most so many, drawn at random.

    Parameters
    ----------
    members
        One per split, ``None`` where it failed.
    data
        The series that the splits count.

    Raises
    ------
    DataError
        When all members failed, or do not know the same classes.
    """
    pairs = [(member, split) for member, split in zip(members, splits, strict=True) if member is not None]
    if not pairs:
        raise DataError("a reference needs a network of a fold, but all failed")
    tested = np.zeros(len(data.X), bool)
    for _, (_, test) in pairs:
        tested[test] = True
    candidates = np.flatnonzero(tested & has_target(pairs[0][0], data.X, data.y))
    kept = np.random.default_rng(random_state).permutation(candidates)[:most]
    in_time = divided_in_time(data.X, data.groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # said when the folds were predicted
        return reference_of(
            [member for member, _ in pairs],
            data.X,
            data.y,
            [(train, np.intersect1d(test, kept)) for _, (train, test) in pairs],
            groups=None if in_time else data.groups,
            block=block_of(data.X) if in_time else None,
            random_state=random_state,
        )


def has_target(model: SequenceEstimator, X: Sequences, y: Any) -> Bool[ndarray, "series"]:
    """Which series have a target that is observed: each but those whose steps have none after the burn-in."""
    targets = targets_of(y, X, model.burn_in if model.by_step_ else 0, model.horizon_)
    if targets.lengths is None:
        return np.ones(len(X), bool)
    starts = np.cumsum(targets.lengths) - targets.lengths
    return np.asarray(np.logical_or.reduceat(~np.isnan(targets.values), starts))


def block_of(X: Sequences) -> int:
    """Steps of the blocks that windows of one series are permuted in."""
    return BLOCK * int(X.lengths.max())


def absence_files(reason: DataError) -> dict[str, bytes]:
    """The file of a run that has no sample, for a reason."""
    return {SAMPLE_FACTS: json_to_bytes({"reason": str(reason)})}


def sample_files(reference: Reference, members: Sequence[SequenceEstimator | None]) -> dict[str, bytes]:
    """The files of a reference.

    Parameters
    ----------
    members
        Those of the first seed's folds, ``None`` where one failed: the others are the reference's.
    """
    sample = reference.embedding
    arrays = {name: _short(getattr(sample, name)) for name in ("summaries", "outputs", "states")}
    arrays |= {"member": sample.member} | ({} if sample.target is None else {"target": sample.target})
    if sample.stretches is not None:
        arrays["stretches"] = _short(sample.stretches)
    if reference.indices is not None:
        arrays["indices"] = reference.indices
    facts = {
        "folds": [fold for fold, member in enumerate(members) if member is not None],
        "summary_names": sample.summary_names,
        "channel_names": reference.channel_names,
        "groups": None if sample.groups is None else sample.groups.tolist(),
        "unit": sample.unit,
        "block": reference.block,
        "has_logits": sample.has_logits,
        "in_sample": reference.in_sample,
    }
    return {SAMPLE: arrays_to_bytes(arrays), SAMPLE_FACTS: json_to_bytes(facts)}


def reference_from(
    value: Any, arrays: Mapping[str, ndarray] | None, members: Mapping[int, SequenceEstimator | None], source: str
) -> Reference:
    """The reference that a run keeps.

    Parameters
    ----------
    value, arrays
        What `SAMPLE_FACTS` and `SAMPLE` hold; no arrays where a reason says why.
    members
        The networks of the first seed, by fold.
    source
        What an error calls the facts.

    Raises
    ------
    DataError
        When the run has none, with the reason.
    StorageError
        When the files are not such as `sample_files` writes, or a network is missing.
    """
    facts: _Facts = typed(value, _Facts, source, "the facts of a shift sample")
    if facts.reason is not None:
        raise DataError(f"{source} says that there is no sample for shift tests: {facts.reason}")
    if arrays is None or facts.folds is None or facts.summary_names is None or facts.channel_names is None:
        raise StorageError(f"{source} needs to hold what a shift sample is of, and {SAMPLE} beside it, got less")
    fitted = [members.get(fold) for fold in facts.folds]
    known = tuple(member for member in fitted if member is not None)
    if not known or len(known) < len(fitted):
        raise StorageError(f"{source} needs to name folds with a network in members.json, got {facts.folds}")
    _check_arrays(arrays, facts, source)
    first: Any = known[0]
    return Reference(
        embedding=Embedding(
            summaries=arrays["summaries"].astype(np.float64),
            summary_names=tuple(facts.summary_names),
            outputs=arrays["outputs"].astype(np.float64),
            states=arrays["states"].astype(np.float64),
            member=arrays["member"].astype(np.int64),
            target=arrays.get("target"),
            groups=None if facts.groups is None else np.array(facts.groups),
            has_logits=facts.has_logits,
            unit=facts.unit,
            stretches=arrays["stretches"].astype(np.float64) if "stretches" in arrays else None,
            class_labels=getattr(first, "classes_", None),
        ),
        members=known,
        classes=first.classes_ if facts.has_logits else None,
        channel_names=tuple(facts.channel_names),
        in_sample=facts.in_sample,
        indices=arrays["indices"].astype(np.int64) if "indices" in arrays else None,
        block=facts.block,
    )


def _check_arrays(arrays: Mapping[str, ndarray], facts: _Facts, source: str) -> None:
    """Refuse arrays that are not a row per series each, finite, and of the networks that there are."""
    assert facts.folds is not None
    assert facts.summary_names is not None
    file = source.removesuffix(SAMPLE_FACTS) + SAMPLE
    if not _ARRAYS <= set(arrays) <= _ARRAYS | _OPTIONAL:
        raise StorageError(f"{file} needs to hold a shift sample, got the arrays {', '.join(sorted(arrays))}")
    n = len(arrays["member"])
    tables = arrays["summaries"], arrays["outputs"], arrays["states"]
    stretches = arrays.get("stretches", np.zeros((n, 1, len(facts.channel_names or ()))))
    if (
        not n
        or any(table.ndim != 2 for table in tables)
        or any(len(array) != n for array in arrays.values())
        or tables[0].shape[1] != len(facts.summary_names)
        or stretches.shape[::2] != (n, len(facts.channel_names or ()))
        or (facts.groups is not None and len(facts.groups) != n)
    ):
        raise StorageError(f"{file} needs a row per series of what {SAMPLE_FACTS} names, got other shapes")
    member = arrays["member"]
    if member.ndim != 1 or member.dtype.kind not in "iu" or member.min() < 0 or member.max() >= len(facts.folds):
        raise StorageError(f"{file} needs a member from 0 to {len(facts.folds) - 1} for each series, got others")
    indices = arrays.get("indices", np.arange(n))
    if (
        indices.ndim != 1
        or indices.dtype.kind not in "iu"
        or indices[0] < 0
        or (np.diff(indices.astype(np.int64)) < 1).any()
    ):
        raise StorageError(f"{file} needs the numbers of its series in order, got others")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise StorageError(f"{file} needs finite numbers, got others")


def _short(array: ndarray) -> ndarray:
    """In float32 where that is the same."""
    short = array.astype(np.float32)
    return short if np.array_equal(short, array) else array
