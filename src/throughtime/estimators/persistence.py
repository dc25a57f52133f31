"""A fitted estimator as arrays and plain values, and back: what ``save`` and a run keep of it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from throughtime import storage
from throughtime.data import Clock
from throughtime.errors import ParameterError, StorageError
from throughtime.estimators.base import SequenceEstimator, parameters_of
from throughtime.estimators.classifier import SequenceClassifier
from throughtime.estimators.names import NAMES
from throughtime.estimators.regressor import SequenceRegressor
from throughtime.nn import Architecture, FactoryNetwork, Net, plain_module
from throughtime.parameters import check_values, declared
from throughtime.records import EpochRecord

#: Nothing else is ever made from a file's name for it.
_KINDS: dict[str, type[SequenceEstimator]] = {"classifier": SequenceClassifier, "regressor": SequenceRegressor}
_PLAIN = ("random_state_", "masked_", "by_step_", "n_static_", "n_steps_", "n_features_in_", "best_epoch_", "n_iter_",
          "horizon_", "known_")  # fmt: skip
_REGRESSOR = ("target_mean_", "target_scale_")

FACTS, WEIGHTS = "model.json", "model.safetensors"


def save(estimator: SequenceEstimator, directory: Path) -> None:
    """Write a fitted estimator as a run of two files."""
    facts, arrays = to_plain(estimator)
    files = {FACTS: storage.json_to_bytes(facts), WEIGHTS: storage.arrays_to_bytes(arrays)}
    storage.write_run(directory, files, {"kind": "estimator"})


def load(directory: Path, module: Any = None) -> SequenceEstimator:
    """Read a fitted estimator, from ``save`` or from a run of the command line (its refit)."""
    run = storage.read_run(directory)
    return from_plain(run.json(FACTS), run.arrays(WEIGHTS), str(directory), module)


def to_plain(estimator: SequenceEstimator) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Everything of a fitted estimator: values for JSON, and its arrays by name."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(estimator, cls))
    parameters = parameters_of(estimator)
    del parameters["module"]  # code: who loads it brings it
    if isinstance(parameters.get("class_weight"), dict):  # JSON's keys are text, classes may be numbers
        parameters["class_weight"] = [[_plain(key), value] for key, value in parameters["class_weight"].items()]
    facts = {
        "kind": kind,
        "parameters": parameters,
        "architecture": _architecture(estimator.module_.net),
        "noise": estimator.module_.noise,
        "learned": {name: getattr(estimator, name) for name in _PLAIN + (_REGRESSOR if kind == "regressor" else ())},
        "names": {name: getattr(estimator, name).tolist() for name in NAMES if hasattr(estimator, name)},
        "history": estimator.history_,
        "clock": estimator.clock_,
    }
    if isinstance(estimator, SequenceClassifier):
        facts["classes"] = {"values": estimator.classes_.tolist(), "dtype": estimator.classes_.dtype.str}
    arrays = {name: value.detach().cpu().numpy() for name, value in estimator.module_.state_dict().items()}
    return facts, arrays


def from_plain(facts: Any, arrays: dict[str, ndarray], source: str, module: Any = None) -> SequenceEstimator:
    """Make the estimator again.

    Raises
    ------
    StorageError
        When the values are not those of an estimator, or the arrays not of its shapes.
    ParameterError
        When ``module`` is missing where the estimator was given one, or given where it was not.
    """
    _check_module(facts, source, module)
    try:
        cls = _KINDS[facts["kind"]]
        parameters = dict(facts["parameters"]) | {"module": module}
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
        for name, names in dict(facts.get("names", {})).items():  # files of earlier versions have none
            setattr(estimator, name, _as_names(name, names))
        shapes = facts["architecture"]
        net: Net = Architecture(**shapes) if module is None else FactoryNetwork(module, **shapes)
        weight = next(value for name, value in arrays.items() if name not in ("shift", "scale"))
        network = plain_module(net, parameters["dropout"], facts["noise"], torch.from_numpy(weight[:0]).dtype)
        network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in arrays.items()})
        estimator.module_ = network.eval()  # type: ignore[assignment]
        clock = facts.get("clock")  # runs before times were looked at have none
        estimator.clock_ = None if clock is None else Clock(**clock)
        estimator.history_ = [EpochRecord(**record) for record in facts["history"]]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StorageError(f"{source} needs to hold a saved estimator, got {type(error).__name__}: {error}") from error
    return estimator


def _architecture(net: Net) -> dict[str, Any]:
    """The shapes of a network as plain values; of a factory's, what is not code."""
    if isinstance(net, Architecture):
        return asdict(net)
    return {name: getattr(net, name) for name in ("n_inputs", "n_outputs", "pooling")}


def _check_module(facts: Any, source: str, module: Any) -> None:
    shapes = facts.get("architecture") if isinstance(facts, dict) else None
    if not isinstance(shapes, dict):
        return  # no estimator at all, which is told elsewhere
    if module is None and shapes.keys() == {"n_inputs", "n_outputs", "pooling"}:
        raise ParameterError(
            f"{source} holds the weights of a network of its owner's, not its code, and needs the factory again: "
            "load(directory, module=factory)"
        )
    if module is not None and "cell" in shapes:
        raise ParameterError(f"{source} holds a built-in network and needs no module, got {module!r}")


def _as_names(attribute: str, names: Any) -> ndarray:
    if attribute not in NAMES or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{attribute} is not a list of names")
    return np.array(names, dtype=object)


def _plain(key: Any) -> Any:
    return key.item() if isinstance(key, np.generic) else key
