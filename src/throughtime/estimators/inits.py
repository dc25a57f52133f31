"""How the weights of an estimator's network start, as its parameters or a file say it."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from throughtime.errors import DataError, DataWarning, ParameterError, warn
from throughtime.nn import Architecture, Net, Scheme, misplaced_init, scheme_of


def scheme_for(p: Mapping[str, Any], net: Net, longest: int, longest_trained: int) -> Scheme:
    """The scheme that the parameters ask for, chrono's with a lag; a module of the user's own has no use for it.

    Parameters
    ----------
    longest
        Steps of the longest of a member's own series, as the network reads it: no lag is longer.
    longest_trained
        The same without its inner validation series: chrono's lag where none is given.

    Raises
    ------
    ParameterError
        For parameters that contradict each other or ask for what the cell does not have.
    DataError
        For a lag that no series has.
    """
    init, lag, forget_bias = p["init"], p["init_lag"], p["forget_bias"]
    for name, value, part in (("init_lag", lag, "lag"), ("forget_bias", forget_bias, "forget_bias")):
        if isinstance(init, Scheme) and value is not None:
            raise ParameterError(
                f"{name} needs an init that is a name, got {name}={value!r} beside a Scheme: set {part} in the Scheme"
            )
    try:
        scheme = scheme_of(init)
        if forget_bias is not None:
            scheme = replace(scheme, forget_bias=float(forget_bias))
    except ValueError as error:
        raise ParameterError(f"{error}, with init={init!r}") from error
    if lag is not None and scheme.biases != "chrono":
        raise ParameterError(
            f"init_lag needs init='chrono', which alone has a use for it, got init_lag={lag!r} with init={init!r}"
        )
    if isinstance(net, Architecture) and (rule := misplaced_init(scheme, net.spec)):
        raise ParameterError(f"{rule}, got cell={p['cell']!r} with init={init!r}")
    if scheme.biases != "chrono":
        return scheme
    lag = scheme.lag if lag is None else lag
    steps = longest_trained if lag is None else longest
    if steps < 2:
        raise DataError(f"chrono needs a training series of at least 2 steps, got {steps}")
    if lag is not None and lag > steps:
        name = "init_lag" if isinstance(init, str) else "lag of the Scheme"
        warn(
            f"{name} is {lag!r}, beyond the {steps} steps of the longest training series: no gradient comes from so "
            "far back; none takes their number",
            DataWarning,
        )
    return replace(scheme, lag=longest_trained if lag is None else float(lag))


def init_from_plain(value: Any) -> Any:
    """An ``init`` as JSON holds it, which has a Scheme as the mapping of its fields, as it was given.

    Raises
    ------
    ParameterError
        For a mapping of which no Scheme is made.
    """
    if not isinstance(value, Mapping):
        return value
    names = [field.name for field in fields(Scheme)]
    if value.keys() != set(names):
        raise ParameterError(f"init needs a Scheme's {', '.join(names)}, got {', '.join(map(repr, value)) or 'none'}")
    try:
        return Scheme(**value)
    except ValueError as error:
        raise ParameterError(f"init needs to be a Scheme, but {error}") from error
