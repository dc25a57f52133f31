"""throughtime: recurrent networks that generalize; folds, settings and seeds train in lockstep.

Everything here is loaded when it is first asked for: importing torch takes a second, and ``--help`` must not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from throughtime.data import Dataset, Sequences, load, read
    from throughtime.estimators import SequenceClassifier, SequenceRegressor, fit_members
    from throughtime.generalization import cross_validate

_HOMES = {
    "Dataset": "data",
    "Sequences": "data",
    "load": "data",
    "read": "data",
    "SequenceClassifier": "estimators",
    "SequenceRegressor": "estimators",
    "fit_members": "estimators",
    "cross_validate": "generalization",
}

__all__ = [
    "Dataset",
    "SequenceClassifier",
    "SequenceRegressor",
    "Sequences",
    "cross_validate",
    "fit_members",
    "load",
    "read",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
