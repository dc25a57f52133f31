"""A saved estimator read again as what it was, a classifier or a regressor."""

from pathlib import Path
from typing import Any

from numpy import ndarray

from throughtime.estimators.base import SequenceEstimator
from throughtime.estimators.classifier import SequenceClassifier
from throughtime.estimators.files import read_estimator
from throughtime.estimators.persistence import restore
from throughtime.estimators.regressor import SequenceRegressor

_CLASSES: dict[str, type[SequenceEstimator]] = {cls.task.kind: cls for cls in (SequenceClassifier, SequenceRegressor)}


def load_estimator(directory: Path, module: Any = None, cell: Any = None) -> SequenceEstimator:
    """Read a fitted estimator of any class; see ``SequenceEstimator.load``."""
    return read_estimator(directory, _CLASSES.__getitem__, module, cell)


def from_plain(
    facts: Any, arrays: dict[str, ndarray], source: str, module: Any = None, cell: Any = None
) -> SequenceEstimator:
    """Make an estimator again from what `to_plain` gave.

    Raises
    ------
    StorageError
        When the values are not those of an estimator, or the arrays not of its shapes.
    ParameterError
        When ``module`` or ``cell`` is missing where the estimator was given one, or given where it was not.
    """
    return restore(facts, arrays, source, _CLASSES.__getitem__, module, cell)
