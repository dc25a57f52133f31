"""The network that an estimator's parameters ask for."""

from collections.abc import Mapping
from typing import Any, cast

from throughtime.errors import ParameterError
from throughtime.nn import Architecture, FactoryNetwork, Net, NoiseRates, misplaced_noise
from throughtime.parameters import BUILT_IN_ONLY, NetworkParameters, declared


def network_of(p: Mapping[str, Any], n_inputs: int, n_outputs: int, by_step: bool) -> Net:
    """The shapes of the network, with an output per step or per series.

    Raises
    ------
    ParameterError
        Where a module of the user's own is to have what only the built-in network has.
    """
    if p["module"] is not None:
        defaults = declared(NetworkParameters)
        if ignored := [name for name in BUILT_IN_ONLY if p[name] != defaults[name].option.default]:
            raise ParameterError(
                f"module brings a network of its own and needs {ignored[0]} at its default, got {p[ignored[0]]!r}"
            )
        return FactoryNetwork(p["module"], n_inputs, n_outputs, "steps" if by_step else "last")
    return Architecture(
        cell=p["cell"],
        n_inputs=n_inputs,
        hidden_size=int(p["hidden_size"]),
        num_layers=int(p["num_layers"]),
        bidirectional=bool(p["bidirectional"]),
        pooling="steps" if by_step else p["pooling"],
        n_outputs=n_outputs,
        nonlinearity=p["nonlinearity"],
    )


def noise_of(p: Mapping[str, Any], net: Net) -> NoiseRates:
    """The rates above zero of noise in the layers.

    Raises
    ------
    ParameterError
        Where the cell has no place for one.
    """
    if isinstance(net, Architecture) and (rule := misplaced_noise(net.spec, p)):
        raise ParameterError(f"{rule}, got cell={p['cell']!r}")
    return cast(NoiseRates, {name: float(p[name]) for name in NoiseRates.__annotations__ if p[name]})
