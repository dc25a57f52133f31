"""The steps of truncated BPTT, from the parameters that ask for it."""

from collections.abc import Mapping
from typing import Any

from throughtime.errors import ParameterError


def truncation_steps(p: Mapping[str, Any], longest: int, by_step: bool) -> tuple[int | None, int | None]:
    """k1 and k2 as `throughtime.training.Recipe` takes them; none without truncation.

    Parameters
    ----------
    p
        An estimator's parameters.
    longest
        Steps of the longest training series, as the network reads it.
    by_step
        Whether each step has a target, so that there is an update every k1 steps.

    Raises
    ------
    ParameterError
        For steps that contradict each other, the series or the rest of the parameters.
    """
    k1, k2 = p["k1"], p["k2"]
    if p["bptt"] != "truncated":
        for name, value in (("k1", k1), ("k2", k2)):
            if value is not None:
                raise ParameterError(f"{name} needs bptt='truncated', got {name}={value} with bptt={p['bptt']!r}")
        return None, None
    if p["bidirectional"]:
        raise ParameterError(
            "bptt='truncated' needs bidirectional=False, got True: what is read back from the end has no state to "
            "carry on; bptt='checkpointed' saves memory in both directions"
        )
    if not by_step and k1 is not None:
        raise ParameterError(
            f"k1 needs a target at each step, got one per series and k1={k1}: there is one update per batch, and k2 "
            "says how far its gradient reaches back"
        )
    k2 = k1 if k2 is None else k2
    if k2 is None:
        raise ParameterError("bptt='truncated' needs k2, the steps that the gradient reaches back, got none")
    k1 = k2 if k1 is None else k1
    if k1 > k2:
        raise ParameterError(
            f"k2 needs to be at least k1, got k1={k1} and k2={k2}: the losses of the first steps would reach no state"
        )
    if k2 >= longest:
        raise ParameterError(
            f"k2 needs to be below the {longest} steps of the longest training series, got {k2}: that is full BPTT, "
            "bptt='full'"
        )
    return (int(k1) if by_step else None), int(k2)
