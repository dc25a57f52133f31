"""How the weights of an estimator's network start, as its parameters ask for it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from jaxtyping import Int
from numpy import ndarray

from throughtime.errors import DataError, ParameterError
from throughtime.nn import Architecture, Init, Net, misplaced_init, scheme_of


def init_of(p: Mapping[str, Any], net: Net) -> Init:
    """How the weights start; a name where nothing was asked beside it."""
    if not isinstance(net, Architecture):
        return cast(Init, p["init"])
    try:
        scheme = scheme_of(p["init"])
        if p["forget_bias"] is not None:
            scheme = replace(scheme, forget_bias=float(p["forget_bias"]))
    except ValueError as error:
        raise ParameterError(f"{error}, with init={p['init']!r}") from error
    if rule := misplaced_init(scheme, net.spec):
        raise ParameterError(f"{rule}, got cell={p['cell']!r} with init={p['init']!r}")
    return cast(Init, p["init"]) if p["forget_bias"] is None else scheme


def init_lag_of(p: Mapping[str, Any], lengths: Int[ndarray, "series"]) -> float | None:
    """Steps that chrono has memories for: as given, or those of the longest of a member's own series."""
    if p["init"] != "chrono":
        return None
    lag = int(lengths.max()) if p["init_lag"] is None else int(p["init_lag"])
    if lag < 2:
        raise DataError(f"init='chrono' needs a training series of at least 2 steps, got {lag}; init_lag gives a lag")
    return lag
