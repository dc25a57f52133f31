"""What the pieces are given, checked and made arrays: lists and masked arrays will do."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy import ndarray

from throughtime.data import Sequences, as_labels, unmasked
from throughtime.errors import DataError, ParameterError
from throughtime.shift.records import Embedding


def real_numbers(values: Any, what: str, n_axes: int) -> ndarray:
    """Finite numbers in float64, at least one along each of so many axes.

    Raises
    ------
    DataError
        "<what> needs ...", for anything else.
    """
    found = as_array(values, what)
    if found.ndim != n_axes or not found.size:
        raise DataError(f"{what} needs {n_axes} axes of at least one value, got shape {found.shape}")
    return _finite(found, what, "values")


def fractions_summing_to_one(values: Any, what: str, n_axes: int = 1) -> ndarray:
    """Numbers of at least 0, and sum 1 along the last axis.

    Raises
    ------
    DataError
        For anything else.
    """
    found = real_numbers(values, what, n_axes)
    if found.min() < 0:
        raise DataError(f"{what} needs values of at least 0, got {found.min():g}")
    sums = np.atleast_1d(found.sum(-1))
    wrong = np.abs(sums - 1) > 1e-4  # what float32 leaves of a sum over thousands of classes
    if wrong.any():
        raise DataError(f"{what} needs a sum of 1, got {sums[wrong][0]:g}")
    return found


def logits_of_classes(values: Any, what: str, n_classes: int | None = None) -> ndarray:
    """Logits, a row per series, of so many classes, or of two or more.

    Raises
    ------
    DataError
        For anything else.
    """
    found = as_array(values, what)
    if found.ndim != 2 or not len(found) or found.shape[1] < 2:
        raise DataError(f"{what} needs series with a logit of each of 2 classes or more, got {found.shape}")
    if n_classes is not None and found.shape[1] != n_classes:
        raise DataError(f"{what} needs a logit of each of {n_classes} classes, got {found.shape[1]} columns")
    return _finite(found, what, "logits")


def class_numbers(codes: Any, n_classes: int, what: str, n_series: int | None = None) -> ndarray:
    """Class codes, one for each of so many series, or of one or more.

    Raises
    ------
    DataError
        For anything else.
    """
    found = as_array(codes, what)
    if found.ndim != 1 or not len(found) or (n_series is not None and len(found) != n_series):
        of = "at least one" if n_series is None else f"each of {n_series}"
        raise DataError(f"{what} needs the class of {of} series, got shape {found.shape}")
    if found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= n_classes:
        raise DataError(f"{what} needs class codes from 0 to {n_classes - 1}, got {found[:5]}")
    return found.astype(np.int64)


def classes_of_labels(labels: Any, n_classes: int) -> ndarray | None:
    """The classes that labels name, in order, as many as there are; ``None`` where they are class codes, or neither."""
    found = as_array(labels, "the reference")
    if found.ndim != 1 or found.dtype.kind not in "biuUOT":
        return None
    found = as_labels(found, "the reference")
    if found.dtype.kind in "iu" and len(found) and found.min() >= 0 and found.max() < n_classes:
        return None
    classes: ndarray = np.unique(found)
    return classes if len(classes) == n_classes else None


def codes_of_labels(labels: ndarray, classes: ndarray, knows: str) -> ndarray:
    """Codes of the classes that labels name.

    Parameters
    ----------
    knows
        Who knows the classes, for the error: "the model knows".

    Raises
    ------
    DataError
        For a label that is none of the classes.
    """
    codes = {label: code for code, label in enumerate(classes.tolist())}
    strangers = [label for label in dict.fromkeys(labels.tolist()) if label not in codes]
    if strangers:
        known = ", ".join(map(repr, list(codes)[:12]))
        raise DataError(
            f"y needs the classes that {knows} ({known}), got {strangers[0]!r}; series of a new class are no shift "
            "between known ones: leave them out, and fit anew to learn it"
        )
    return np.array([codes[label] for label in labels.tolist()], np.int64)


def series_numbers(indices: Any, n_series: int, what: str) -> ndarray:
    """Numbers of series, at least one, from those or a mask of all.

    Raises
    ------
    DataError
        For anything else.
    """
    found = as_array(indices, what)
    if found.dtype == bool and found.shape == (n_series,):
        found = np.flatnonzero(found)
    sound = found.ndim == 1 and len(found) and found.dtype.kind in "iu"
    if not sound or found.min() < 0 or found.max() >= n_series:
        raise DataError(f"{what} needs numbers of series from 0 to {n_series - 1}, got {indices!r:.60}")
    return found.astype(np.int64)


def groups_of(groups: Any, n_series: int, what: str = "groups") -> ndarray | None:
    """Labels, one for each of so many series; ``None`` where each series is one.

    Raises
    ------
    DataError
        For another number of them, or missing ones.
    """
    return None if groups is None else as_labels(groups, what, n_series)


def check_chance(level: Any, what: str = "level") -> None:
    """Refuse what is no number between 0 and 1.

    Raises
    ------
    ParameterError
        For it.
    """
    if isinstance(level, bool) or not isinstance(level, Real) or not 0 < float(level) < 1:
        raise ParameterError(f"{what} needs a number between 0 and 1, got {level!r}")


def check_count(count: Any, what: str, least: int = 1) -> None:
    """Refuse what is no whole number, or one below the least.

    Raises
    ------
    ParameterError
        For it.
    """
    if isinstance(count, bool) or not isinstance(count, Integral) or count < least:
        raise ParameterError(f"{what} needs a whole number of at least {least}, got {count!r}")


def check_seed(random_state: Any) -> None:
    """Refuse what is neither a seed nor ``None``.

    Raises
    ------
    ParameterError
        For it.
    """
    whole = isinstance(random_state, Integral) and not isinstance(random_state, bool)
    if random_state is not None and not (whole and random_state >= 0):
        raise ParameterError(f"random_state needs a whole number of at least 0, or None, got {random_state!r}")
    if random_state is not None and random_state >= 2**32:  # the most that scikit-learn's splitters take
        raise ParameterError(f"random_state needs to stay below 2**32, got {random_state!r}")


def _finite(found: ndarray, what: str, of: str) -> ndarray:
    if found.dtype.kind not in "biuf":
        raise DataError(f"{what} needs real numbers, got {found.dtype}")
    found = found.astype(np.float64)
    if not np.isfinite(found).all():
        raise DataError(f"{what} needs finite {of}, got {found[~np.isfinite(found)][0]}")
    return found


def as_array(values: Any, what: str) -> ndarray:
    """Values of one shape as an array.

    Raises
    ------
    DataError
        For rows of several lengths, and for embeddings and series, which hold several arrays.
    """
    if isinstance(values, Embedding):
        raise DataError(f"{what} needs an array, got an Embedding; give one of those that it holds, such as .outputs")
    if isinstance(values, Sequences):
        raise DataError(f"{what} needs an array, got Sequences; summarize(X)[0] gives a row of numbers per series")
    try:
        return np.asarray(unmasked(values))
    except (TypeError, ValueError):  # rows of several lengths
        raise DataError(
            f"{what} needs a row of one length per series, got {type(values).__name__} of several lengths; of series "
            "summarize(X)[0] is such rows"
        ) from None
