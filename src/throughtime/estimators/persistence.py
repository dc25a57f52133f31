"""A fitted estimator as arrays and plain values, and back."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, TypeVar, get_args

import numpy as np
import torch
from numpy import ndarray
from pydantic import ConfigDict, Field

from throughtime.augmentation_specs import augmentation_text
from throughtime.data import Clock
from throughtime.errors import ParameterError, StorageError
from throughtime.estimators.inits import init_from_plain
from throughtime.estimators.interface import FittedEstimator, n_channels_of, parameters_of
from throughtime.estimators.names import NAMES
from throughtime.estimators.targets import LARGEST
from throughtime.estimators.trained import TrainedNetwork
from throughtime.estimators.transformers import TimeUnits, added_widths
from throughtime.feature_specs import parse_features
from throughtime.kernels import CellSpec
from throughtime.nn import Architecture, FactoryNetwork, Net, plain_module, weight_shapes
from throughtime.parameters import CellName, Nonlinearity, check_values, declared, renamed
from throughtime.records import EpochRecord
from throughtime.storage import typed

E = TypeVar("E", bound=FittedEstimator)

_PLAIN = ("random_state_", "masked_", "by_step_", "n_static_", "n_steps_", "n_features_in_", "best_epoch_", "n_iter_",
          "horizon_", "known_")  # fmt: skip
_REGRESSOR = ("target_mean_", "target_scale_")

#: Float64, whatever the weights are.
_SCALING = ("shift", "scale")

#: Parameters that runs of earlier versions do not have, and what they were.
_ADDED = {
    "nonlinearity": "tanh",
    "init_lag": None,
    "forget_bias": None,
    "bptt": "full",
    "k1": None,
    "k2": None,
    "clip_value": None,
    "monitor": None,
    "input_noise": 0.0,
    "label_smoothing": 0.0,
    "augment": None,
    "features": None,
}
#: Fields of `EpochRecord` by what earlier versions called them.
_RENAMED = {"watched_loss": "eval_loss"}

_Natural = Annotated[int, Field(ge=0)]
_Positive = Annotated[int, Field(ge=1)]
_Rate = Annotated[float, Field(ge=0, lt=1)]
_Scalar = bool | int | float | str


@dataclass(frozen=True)
class _Learned:
    random_state_: Annotated[int, Field(ge=0, lt=2**32)]
    masked_: bool
    by_step_: bool
    n_static_: _Natural
    n_steps_: _Positive | None
    n_features_in_: _Positive
    best_epoch_: _Natural | None
    n_iter_: _Natural
    horizon_: _Natural
    known_: list[_Natural]
    # what a regressor accepts as targets, so that no score of its predictions overflows
    target_mean_: Annotated[float, Field(ge=-LARGEST, le=LARGEST)] | None = None
    target_scale_: Annotated[float, Field(gt=0, le=LARGEST)] | None = None


@dataclass(frozen=True)
class _Noise:
    __pydantic_config__ = ConfigDict(extra="forbid")

    variational_dropout: _Rate = 0.0
    recurrent_dropout: _Rate = 0.0
    candidate_dropout: _Rate = 0.0
    zoneout: _Rate = 0.0
    cell_zoneout: _Rate = 0.0


@dataclass(frozen=True)
class _Classes:
    values: Annotated[list[_Scalar], Field(min_length=1)]
    dtype: Annotated[str, Field(max_length=20)]


@dataclass(frozen=True)
class _Record:
    """An `EpochRecord`; a number that was not finite is null in JSON."""

    epoch: _Natural
    lr: float
    train_loss: float | None
    validation_loss: float | None
    eval_loss: float | None
    gradient_norm: float | None
    clipped: float | None


@dataclass(frozen=True)
class _Facts:
    """What ``model.json`` holds; a key that a later version adds is none of ours."""

    kind: Literal["classifier", "regressor"]
    parameters: dict[str, Any]
    architecture: dict[str, Any]
    noise: _Noise
    learned: _Learned
    history: list[_Record]
    classes: _Classes | None = None
    names: dict[Literal["feature_names_in_", "static_names_in_"], list[str]] = field(default_factory=dict)
    clock: Clock | None = None
    time_units: TimeUnits | None = None


@dataclass(frozen=True)
class _Shapes:
    """Of a factory's network."""

    n_inputs: _Positive
    n_outputs: _Positive
    pooling: Literal["last", "steps"]


@dataclass(frozen=True)
class _BuiltIn:
    """Of an ``Architecture``, its cell by name."""

    cell: str
    n_inputs: _Positive
    hidden_size: _Positive
    num_layers: _Positive
    bidirectional: bool
    pooling: Literal["last", "mean", "max", "steps"]
    n_outputs: _Positive
    nonlinearity: Nonlinearity = "tanh"


def to_plain(estimator: FittedEstimator) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Everything of a fitted estimator: values for JSON, and its arrays by name."""
    kind = estimator.task.kind
    parameters = parameters_of(estimator)
    del parameters["module"]  # code: who loads it brings it
    parameters["cell"] = _name(parameters["cell"])
    if isinstance(parameters.get("class_weight"), dict):  # JSON's keys are text, classes may be numbers
        parameters["class_weight"] = [[_plain(key), value] for key, value in parameters["class_weight"].items()]
    if parameters["augment"] is not None:
        parameters["augment"] = augmentation_text(parameters["augment"])
    facts = {
        "kind": kind,
        "parameters": parameters,
        "architecture": _architecture(estimator.network_.net),
        "noise": estimator.network_.noise,
        "learned": {name: getattr(estimator, name) for name in _PLAIN + (_REGRESSOR if kind == "regressor" else ())},
        "names": {name: getattr(estimator, name).tolist() for name in NAMES if hasattr(estimator, name)},
        "history": estimator.history_,
        "clock": estimator.clock_,
        "time_units": estimator.time_units_,
    }
    if kind == "classifier":
        classes: ndarray = getattr(estimator, "classes_")  # noqa: B009
        facts["classes"] = {"values": classes.tolist(), "dtype": classes.dtype.str}
    arrays = {name: value.detach().cpu().numpy() for name, value in estimator.network_.state.items()}
    return facts, arrays


def restore(
    facts: Any,
    arrays: dict[str, ndarray],
    source: str,
    class_of: Callable[[str], type[E]],
    module: Any = None,
    cell: Any = None,
) -> E:
    """Make the estimator again.

    Parameters
    ----------
    class_of
        The class of each kind; nothing else is ever made from a file's name for it.

    Raises
    ------
    StorageError
        When the values are not those of an estimator, or the arrays not of its shapes.
    ParameterError
        When ``module`` or ``cell`` is missing where the estimator was given one, or given where it was not.
    """
    facts = _of_this_version(facts)
    _check_module(facts, source, module)
    typed(facts, _Facts, source, "a saved estimator")
    typed(facts["architecture"], _BuiltIn if module is None else _Shapes, source, "a saved estimator")
    _check_cell(facts, source, cell)
    cls = class_of(facts["kind"])
    try:
        added = {name: value for name, value in _ADDED.items() if name in declared(cls.schema)}
        parameters = added | renamed(facts["parameters"]) | {"module": module}
        shapes = dict(facts["architecture"])
        if cell is not None:
            parameters["cell"] = shapes["cell"] = cell
        if isinstance(parameters.get("class_weight"), list):
            parameters["class_weight"] = dict(parameters["class_weight"])
        parameters["init"] = init_from_plain(parameters["init"])
        check_values(cls.schema, parameters)
        if parameters.keys() != declared(cls.schema).keys():
            raise ValueError("its parameters are not those of this version")
        estimator = cls(**parameters)
        for name in _PLAIN + (_REGRESSOR if facts["kind"] == "regressor" else ()):
            setattr(estimator, name, facts["learned"][name])
            if name in _REGRESSOR and facts["learned"][name] is None:
                raise ValueError(f"{name} needs a number, got none")
        if facts["kind"] == "classifier":
            setattr(estimator, "classes_", _classes(**facts["classes"]))  # noqa: B010
        estimator.time_units_ = facts.get("time_units")  # files of earlier versions have none
        for name, names in facts.get("names", {}).items():  # files of earlier versions have none
            setattr(estimator, name, np.array(names, dtype=object))
        net: Net = Architecture(**shapes) if module is None else FactoryNetwork(module, **shapes)
        _check_shapes(estimator, net, facts["noise"], arrays)
        weight = next(value for name, value in arrays.items() if name not in _SCALING)
        dtype = torch.from_numpy(weight[:0]).dtype
        network = plain_module(net, parameters["dropout"], facts["noise"], dtype)
        weights = {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
        for name, own in network.state_dict().items():
            if name in weights and weights[name].dtype != own.dtype:  # which torch would convert
                raise ValueError(f"{name} needs to be {own.dtype}, got {weights[name].dtype}")
        network.load_state_dict(weights)
        estimator.network_ = TrainedNetwork(net, parameters["dropout"], facts["noise"], dtype, "cpu", weights)
        clock = facts.get("clock")  # runs before times were looked at have none
        estimator.clock_ = None if clock is None else Clock(**clock)
        estimator.history_ = [EpochRecord(**record) for record in facts["history"]]
        if len(estimator.history_) != estimator.n_iter_:
            raise ValueError(f"history needs {estimator.n_iter_} epochs, got {len(estimator.history_)}")
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise StorageError(f"{source} needs to hold a saved estimator, got {type(error).__name__}: {error}") from error
    return estimator


def _of_this_version(facts: Any) -> Any:
    """What earlier versions wrote, under the names of this one."""
    history = facts.get("history") if isinstance(facts, dict) else None
    if not isinstance(history, list) or not all(isinstance(record, dict) for record in history):
        return facts
    return facts | {
        "history": [{_RENAMED.get(name, name): value for name, value in record.items()} for record in history]
    }


def _classes(values: list[Any], dtype: str) -> ndarray:
    """The classes, whose type must hold them as they are: text is neither cut nor made of numbers."""
    kind = np.dtype(dtype)
    longest = max(len(str(value)) for value in values)
    if kind.itemsize > 1024 + 64 * longest:  # bytes; the array would be what an edited file says
        raise ValueError(f"classes of at most {longest} letters need a type of their size, got {dtype!r}")
    if kind.kind == "O" and not all(isinstance(value, str) for value in values):
        raise ValueError("classes held as objects need to be text, got others")
    classes = np.array(values, dtype=kind)
    if classes.tolist() != values or [type(value) for value in classes.tolist()] != [type(value) for value in values]:
        raise ValueError(f"classes need a type that holds them as they are, got {dtype!r}")
    if len(set(values)) != len(values):
        raise ValueError("classes need to differ, got some twice")
    return classes


def _check_shapes(estimator: FittedEstimator, net: Net, noise: dict[str, float], arrays: dict[str, ndarray]) -> None:
    """Refuse a network that is not of the parameters and of what was learned, before memory is taken for it."""
    built_in = isinstance(net, Architecture)
    parameters = parameters_of(estimator)
    channels = n_channels_of(estimator)
    specs = parse_features(parameters["features"])
    new_channels, new_static = added_widths(specs, channels)
    expected: dict[str, Any] = {
        "n_inputs": (channels + new_channels) * (3 if estimator.masked_ else 1) + estimator.n_static_ + new_static,
        "n_outputs": estimator.task.coding_of(estimator).n_outputs,
        "pooling": "steps" if estimator.by_step_ else parameters["pooling"] if built_in else "last",
    }
    if built_in:
        names = ("cell", "nonlinearity", "hidden_size", "num_layers", "bidirectional")
        expected |= {name: parameters[name] for name in names}
    for name, value in expected.items():
        if getattr(net, name) != value:
            raise ValueError(f"{name} needs to be {value}, as its parameters and data say, got {getattr(net, name)}")
    for name, rate in noise.items():
        if rate != parameters[name]:
            raise ValueError(f"the network's {name} needs to be {parameters[name]}, got {rate}")
    if any(channel >= channels for channel in estimator.known_):
        raise ValueError(f"known channels need numbers below {channels}, got {estimator.known_}")
    if (estimator.time_units_ is None) == any(spec.name == "fourier" for spec in specs):
        raise ValueError(f"time_units needs to be those of a Fourier feature, got {estimator.time_units_!r}")
    if estimator.horizon_ != estimator.horizon:
        raise ValueError(f"horizon_ needs to be the parameter, got {estimator.horizon_}")
    for name, count in zip(NAMES, (estimator.n_features_in_, estimator.n_static_), strict=True):
        if len(getattr(estimator, name, [0] * count)) != count:
            raise ValueError(f"{name} needs {count} names, got {len(getattr(estimator, name))}")
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_SCALING, (net.n_inputs,))
    if built_in:
        shapes |= weight_shapes(net)
        if surplus := arrays.keys() - shapes.keys():
            raise ValueError(f"its weights need to be those of its network, got {sorted(surplus)[0]!r} too")
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape:
            raise ValueError(f"{name} needs shape {shape}, got {array.shape}")
        if array.dtype not in (np.float32, np.float64):
            raise ValueError(f"{name} needs to be float32 or float64, got {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} needs finite numbers, got some that are not")
    if not (arrays["scale"] > 0).all():
        raise ValueError("scale needs numbers above 0, got others")


def _architecture(net: Net) -> dict[str, Any]:
    """The shapes of a network as plain values; of a factory's, what is not code."""
    if isinstance(net, Architecture):
        return {field.name: getattr(net, field.name) for field in fields(net)} | {"cell": _name(net.cell)}
    return {name: getattr(net, name) for name in ("n_inputs", "n_outputs", "pooling")}


def _check_module(facts: Any, source: str, module: Any) -> None:
    shapes = facts.get("architecture") if isinstance(facts, dict) else None
    if not isinstance(shapes, dict):
        return  # no estimator at all, which is refused elsewhere
    if module is None and shapes.keys() == {"n_inputs", "n_outputs", "pooling"}:
        raise ParameterError(
            f"{source} holds the weights of a network of its owner's, not its code, and needs the factory again: "
            "load(directory, module=factory)"
        )
    if module is not None and "cell" in shapes:
        raise ParameterError(f"{source} holds a built-in network and needs no module, got {module!r}")


def _check_cell(facts: Any, source: str, cell: Any) -> None:
    """See to it that a cell is given where one of the user's own was saved, and that it is the one."""
    name = facts["architecture"].get("cell")
    # what the two places do not agree on was edited, and is refused elsewhere
    own = name is not None and name == facts["parameters"].get("cell") and name not in get_args(CellName)
    if cell is None and own:
        raise ParameterError(
            f"{source} holds the weights of {name!r}, a cell of its owner's, not its code, and needs the cell again: "
            "load(directory, cell=spec)"
        )
    if cell is None:
        return
    if not isinstance(cell, CellSpec):
        raise ParameterError(f"cell needs a CellSpec, got {cell!r}")
    if not own:
        raise ParameterError(f"{source} was not trained with a cell of its owner's and needs none, got {cell!r}")
    if cell.name != name:
        raise ParameterError(f"{source} needs its cell {name!r}, got {cell!r}")


def _name(cell: str | CellSpec) -> str:
    return cell.name if isinstance(cell, CellSpec) else cell


def _plain(key: Any) -> Any:
    return key.item() if isinstance(key, np.generic) else key
