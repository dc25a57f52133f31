"""What a fitted estimator computes, as plain values and arrays: all that a model exported elsewhere is built from.

A series of raw values (time, channel) becomes a prediction in seven steps:

1. **horizon**: of a forecast, read step s has the ``known`` channels of step s + ``horizon`` and the other channels of
   step s; the last ``horizon`` steps are read by nobody.
2. **features**: channels made of those read, behind them in the order of ``features``; a summary gives static features.
3. **missing** (``masked``): behind all channels 1 where each is NaN, and behind these the steps since each was seen: 0
   where it is there; before its first value s + 1 at step s, as if it had been seen just before the series.
4. **static**: the series' static features, then those of a summary, repeated at each step.
5. **scaling**: ``(value - shift) / scale`` in the wider of the series' and the network's precision; NaN becomes 0.
6. **network**: recurrent layers, ``pooling`` over the steps of the series' own length, linear output layer.
7. **decoding**: a softmax over ``classes``; or ``output * scale + mean`` and the inverse of the target's transform, in
   float64. Of a forecast, the output of read step s is at step s + ``horizon``; the first ``horizon`` are NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.utils.validation import check_is_fitted

from throughtime.errors import ParameterError
from throughtime.estimators import SequenceClassifier, SequenceEstimator, SequenceRegressor, n_channels_of
from throughtime.feature_specs import FeatureSpec, parse_features
from throughtime.kernels import CELLS
from throughtime.nn import Architecture, weight_shapes

Cell = Literal["rnn_tanh", "rnn_relu", "gru", "lstm", "linear", "peephole_lstm"]
Label = bool | int | float | str


@dataclass(frozen=True)
class TargetScale:
    """How a regressor's output becomes a number in the target's own unit.

    Attributes
    ----------
    mean, scale
        Of the transformed targets of training.
    transform
        ``none``, ``log``, ``log1p`` or ``sqrt``, to be inverted; for ``sqrt`` what is below 0 becomes 0 first.
    """

    mean: float
    scale: float
    transform: Literal["none", "log", "log1p", "sqrt"]


@dataclass(frozen=True)
class Contents:
    """A trained model, ready to be built with other means; see the module for what it computes.

    Attributes
    ----------
    cell, hidden_size, num_layers, bidirectional
        The recurrent layers, with torch's order of gates.
    pooling
        ``steps`` for an output at each step.
    zoneout, cell_zoneout
        The fraction of h, and of c, that each step keeps of the one before: ``z * old + (1 - z) * new``, as prediction
        takes zoneout. ``c`` is kept after h was made of the new one.
    weights
        By torch's names (``recurrent.weight_ih_l0``, ``readout.bias``); a peephole LSTM's ``weight_ci``, ``weight_cf``
        and ``weight_co`` beside them. Of one dtype, that which the network computes in.
    shift, scale
        One number per input of the network, float64.
    channels, static
        Names of what is fed, in order: those of ``fit``, or ``x0``, ``x1``, ... and ``static0``, ``static1``, ...
    features
        What is made of the channels.
    clock
        What a Fourier feature counts: ``days`` since 1970 (UTC), ``numbers`` (the series' own times), ``steps`` from
        the series' first; ``None`` without one. Of a forecast it is that of the step which is predicted.
    masked, refuses_missing
        Whether missing values are flagged, and whether there may be none.
    horizon, known
        Steps that a forecast is ahead, and the numbers of the channels known up to the step that is predicted.
    classes
        Sorted, an output each, dates as ISO text; ``None`` of a regressor.
    target
        ``None`` of a classifier.
    """

    cell: Cell
    hidden_size: int
    num_layers: int
    bidirectional: bool
    pooling: Literal["last", "mean", "max", "steps"]
    zoneout: float
    cell_zoneout: float
    weights: Mapping[str, ndarray]
    shift: Float[ndarray, "input"]
    scale: Float[ndarray, "input"]
    channels: tuple[str, ...]
    static: tuple[str, ...]
    features: tuple[FeatureSpec, ...]
    clock: Literal["days", "numbers", "steps"] | None
    masked: bool
    refuses_missing: bool
    horizon: int
    known: tuple[int, ...]
    classes: tuple[Label, ...] | None
    target: TargetScale | None

    @property
    def n_inputs(self) -> int:
        """Numbers that the network is fed at each step."""
        return len(self.shift)

    @property
    def n_outputs(self) -> int:
        """Numbers that the output layer gives."""
        return len(self.weights["readout.bias"])

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.float64]:
        """The precision that the network computes in."""
        return self.weights["readout.bias"].dtype

    @property
    def torch_layer(self) -> Literal["RNN", "GRU", "LSTM"] | None:
        """The layer of torch that computes the same; ``None`` where none does: another cell, or zoneout."""
        if self.zoneout or self.cell_zoneout:
            return None
        layers: dict[str, Literal["RNN", "GRU", "LSTM"]]
        layers = {"rnn_tanh": "RNN", "rnn_relu": "RNN", "gru": "GRU", "lstm": "LSTM"}
        return layers.get(self.cell)


def contents_of(estimator: SequenceEstimator) -> Contents:
    """Take a fitted estimator apart.

    Raises
    ------
    ParameterError
        For what is the user's own code (``module``, a ``CellSpec``), weights that are not those of the estimator's
        network, and the statistic catch22.
    """
    if not isinstance(estimator, SequenceEstimator):
        raise ParameterError(
            f"export needs a fitted SequenceClassifier or SequenceRegressor, got {type(estimator).__name__}"
        )
    check_is_fitted(estimator, "network_")
    network = estimator.network_
    net = network.net
    if not isinstance(net, Architecture):
        raise ParameterError(
            "export needs a built-in network, got module=, whose code is your own; export that as it is: "
            "torch.save(estimator.module_.state_dict(), path) holds its weights, shift and scale"
        )
    if CELLS.get(net.spec.name) != net.spec:
        raise ParameterError(
            f"export needs a cell of the package ({', '.join(CELLS)}), got {net.spec}, whose code is your own; "
            "torch.save(estimator.module_.state_dict(), path) holds its weights, shift and scale"
        )
    features = parse_features(estimator.features)
    if any("catch22" in spec.words for spec in features):
        raise ParameterError(
            f"export needs features that torch can compute, got catch22 in features={estimator.features!r}; "
            "train with summary:mean:std:min:max:slope, or compute catch22 yourself and give it as static features"
        )
    state = {name: tensor.detach().cpu().numpy() for name, tensor in network.state.items()}
    shift, scale = (state.pop(name).astype(np.float64) for name in ("shift", "scale"))
    if {name: weight.shape for name, weight in state.items()} != weight_shapes(net):
        raise ParameterError(
            f"export needs the network that was trained, {net}, got a module_ of other weights: {', '.join(state)}"
        )
    return Contents(
        cell=net.spec.name,  # type: ignore[arg-type]
        hidden_size=net.hidden_size,
        num_layers=net.num_layers,
        bidirectional=net.bidirectional,
        pooling=net.pooling,
        zoneout=network.noise.get("zoneout", 0.0),
        cell_zoneout=network.noise.get("cell_zoneout", 0.0),
        weights=state,
        shift=shift,
        scale=scale,
        channels=_names(estimator, "feature_names_in_" if estimator.n_steps_ is None else None, "x"),
        static=_names(estimator, "static_names_in_", "static"),
        features=features,
        clock=estimator.time_units_,  # type: ignore[arg-type]
        masked=estimator.masked_,
        refuses_missing=estimator.missing == "error",
        horizon=estimator.horizon_,
        known=tuple(estimator.known_),
        classes=_classes(estimator) if isinstance(estimator, SequenceClassifier) else None,
        target=_target_scale(estimator) if isinstance(estimator, SequenceRegressor) else None,
    )


def refuse_streaming(contents: Contents) -> None:
    """Refuse a model whose output at a step needs later ones.

    Raises
    ------
    ParameterError
        With the cure.
    """
    if contents.bidirectional:
        raise ParameterError(
            "streaming needs a network that reads forward, got bidirectional=True: its second direction begins at the "
            "end of a series; train with bidirectional=False, or export without streaming"
        )
    if any(spec.name == "summary" for spec in contents.features):
        raise ParameterError(
            "streaming needs features of a step and those before it, got a summary, which is of a whole series; train "
            "without it, or export without streaming"
        )


def _names(estimator: SequenceEstimator, attribute: str | None, prefix: str) -> tuple[str, ...]:
    """What channels or static features are called; two-dimensional X names its steps, which are no channels."""
    count = n_channels_of(estimator) if prefix == "x" else estimator.n_static_
    if attribute is not None and hasattr(estimator, attribute):
        return tuple(map(str, getattr(estimator, attribute)))
    return tuple(f"{prefix}{number}" for number in range(count))


def _classes(estimator: SequenceClassifier) -> tuple[Label, ...]:
    """Dates as text: neither JSON nor ONNX has them, and as numbers they would lose their unit."""
    classes = estimator.classes_
    return tuple((np.datetime_as_string(classes) if classes.dtype.kind == "M" else classes).tolist())


def _target_scale(estimator: SequenceRegressor) -> TargetScale:
    return TargetScale(estimator.target_mean_, estimator.target_scale_, estimator.target_transform)
