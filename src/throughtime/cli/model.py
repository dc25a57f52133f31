"""The estimator that a target asks for, with the parameters that were given."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from throughtime.cli.options import Task
from throughtime.data import Dataset, Sequences, is_labels
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import SequenceClassifier, SequenceEstimator, SequenceRegressor
from throughtime.parameters import SCHEMAS, check_values, declared


def estimator_for(data: Dataset, task: Task | None, parameters: Mapping[str, Any]) -> SequenceEstimator:
    """The estimator for a target, unfitted.

    Raises
    ------
    ParameterError
        For a parameter of the other estimator.
    """
    if data.y is None:
        raise DataError(f"{data.source} needs a target; --target names its column")
    if task is None:
        task = "classification" if isinstance(data.y, ndarray) and is_labels(data.y) else "regression"
    values = data.y.values[:, 0] if isinstance(data.y, Sequences) else data.y
    if task == "regression" and values.dtype.kind not in "biuf":
        raise ParameterError(f"--task regression needs a target of numbers, got {values[:1].tolist()[0]!r}")
    if task == "classification" and values.dtype.kind == "f":
        odd = values[~np.isnan(values) & (values != np.round(values))]
        if len(odd):
            raise ParameterError(f"--task classification needs classes, text or whole numbers, got {odd[0]:g}")
    schema = SCHEMAS[task]
    other = [name for name in parameters if name not in declared(schema)]
    if other:
        raise ParameterError(f"{other[0]} is not a parameter for {task}; --task says which the target is")
    parameters = dict(parameters)
    if isinstance(parameters.get("class_weight"), Mapping):
        parameters["class_weight"] = by_class(parameters["class_weight"], np.unique(values[values == values]))
    check_values(schema, parameters)
    return SequenceClassifier(**parameters) if task == "classification" else SequenceRegressor(**parameters)


def by_class(weights: Mapping[str, float], classes: ndarray) -> dict[Any, float]:
    """Weights by the classes themselves, from what they are called on the command line or in TOML."""
    called = {str(name): name for name in classes.tolist()}
    if classes.dtype.kind == "f":
        called = {str(int(name)): name for name in classes.tolist()} | called
    for name, weight in weights.items():
        if name not in called:
            raise ParameterError(f"class_weight needs classes among {', '.join(called)}, got {name}")
        if not isinstance(weight, int | float):
            raise ParameterError(f"class_weight needs a number for class {name}, got {weight!r}")
    return {called[name]: weight for name, weight in weights.items()}
