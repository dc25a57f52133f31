"""throughtime: recurrent networks that generalize; folds, settings and seeds train in lockstep.

Everything here is loaded when it is first asked for: importing torch takes a second, and ``--help`` must not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from throughtime.data import Dataset, Sequences, load, read
    from throughtime.estimators import SequenceClassifier, SequenceRegressor, fit_members
    from throughtime.generalization import (
        LockstepSearchCV,
        cross_val_predict,
        cross_val_score,
        cross_validate,
        learning_curve,
        nested_cross_validate,
        one_standard_error,
        permutation_test_score,
        validation_curve,
    )

_HOMES = {
    "Dataset": "data",
    "Sequences": "data",
    "load": "data",
    "read": "data",
    "SequenceClassifier": "estimators",
    "SequenceRegressor": "estimators",
    "fit_members": "estimators",
    "LockstepSearchCV": "generalization",
    "cross_val_predict": "generalization",
    "cross_val_score": "generalization",
    "cross_validate": "generalization",
    "learning_curve": "generalization",
    "nested_cross_validate": "generalization",
    "one_standard_error": "generalization",
    "permutation_test_score": "generalization",
    "validation_curve": "generalization",
}

__all__ = [
    "Dataset",
    "LockstepSearchCV",
    "SequenceClassifier",
    "SequenceRegressor",
    "Sequences",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "fit_members",
    "learning_curve",
    "load",
    "nested_cross_validate",
    "one_standard_error",
    "permutation_test_score",
    "read",
    "validation_curve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
