"""A fitted estimator as arrays and plain values, and back: what ``save`` and a run keep of it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from throughtime import storage
from throughtime.errors import StorageError
from throughtime.estimators.base import SequenceEstimator
from throughtime.estimators.classifier import SequenceClassifier
from throughtime.estimators.regressor import SequenceRegressor
from throughtime.nn import Architecture, SequenceNetwork
from throughtime.parameters import check_values, declared
from throughtime.records import EpochRecord

#: Nothing else is ever made from a file's name for it.
_KINDS: dict[str, type[SequenceEstimator]] = {"classifier": SequenceClassifier, "regressor": SequenceRegressor}
_PLAIN = ("random_state_", "masked_", "by_step_", "n_static_", "n_steps_", "n_features_in_", "best_epoch_", "n_iter_")
_REGRESSOR = ("target_mean_", "target_scale_")

FACTS, WEIGHTS = "model.json", "model.safetensors"


def save(estimator: SequenceEstimator, directory: Path) -> None:
    """Write a fitted estimator as a run of two files."""
    facts, arrays = to_plain(estimator)
    files = {FACTS: storage.json_to_bytes(facts), WEIGHTS: storage.arrays_to_bytes(arrays)}
    storage.write_run(directory, files, {"kind": "estimator"})


def load(directory: Path) -> SequenceEstimator:
    """Read a fitted estimator, from ``save`` or from a run of the command line (its refit)."""
    run = storage.read_run(directory)
    return from_plain(run.json(FACTS), run.arrays(WEIGHTS), str(directory))


def to_plain(estimator: SequenceEstimator) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Everything of a fitted estimator: values for JSON, and its arrays by name."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(estimator, cls))
    parameters = estimator.get_params(deep=False)
    if isinstance(parameters.get("class_weight"), dict):  # JSON's keys are text, classes may be numbers
        parameters["class_weight"] = [[_plain(key), value] for key, value in parameters["class_weight"].items()]
    facts = {
        "kind": kind,
        "parameters": parameters,
        "architecture": asdict(estimator.module_.net),
        "learned": {name: getattr(estimator, name) for name in _PLAIN + (_REGRESSOR if kind == "regressor" else ())},
        "history": estimator.history_,
    }
    if isinstance(estimator, SequenceClassifier):
        facts["classes"] = {"values": estimator.classes_.tolist(), "dtype": estimator.classes_.dtype.str}
    arrays = {name: value.detach().cpu().numpy() for name, value in estimator.module_.state_dict().items()}
    return facts, arrays


def from_plain(facts: Any, arrays: dict[str, ndarray], source: str) -> SequenceEstimator:
    """Make the estimator again.

    Raises
    ------
    StorageError
        When the values are not those of an estimator, or the arrays not of its shapes.
    """
    try:
        cls = _KINDS[facts["kind"]]
        parameters = dict(facts["parameters"])
        if isinstance(parameters.get("class_weight"), list):
            parameters["class_weight"] = dict(parameters["class_weight"])
        check_values(cls.schema, parameters)
        if parameters.keys() != declared(cls.schema).keys():
            raise ValueError("its parameters are not those of this version")
        estimator = cls(**parameters)
        for name in _PLAIN + (_REGRESSOR if cls is SequenceRegressor else ()):
            setattr(estimator, name, facts["learned"][name])
        if isinstance(estimator, SequenceClassifier):
            estimator.classes_ = np.array(facts["classes"]["values"], dtype=np.dtype(facts["classes"]["dtype"]))
        module = SequenceNetwork(
            Architecture(**facts["architecture"]),
            parameters["dropout"],
            torch.from_numpy(arrays["shift"]).dtype,
        )
        module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in arrays.items()})
        estimator.module_ = module.eval()
        estimator.history_ = [EpochRecord(**record) for record in facts["history"]]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StorageError(f"{source} needs to hold a saved estimator, got {type(error).__name__}: {error}") from error
    return estimator


def _plain(key: Any) -> Any:
    return key.item() if isinstance(key, np.generic) else key
