"""Augmentations as text, ``"jitter:0.05,window_slice:0.9@0.5"``: name, strength and probability of each.

Free of torch: the command line, the config file and JSON have them in this form.
"""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from throughtime.errors import ParameterError

__all__ = ["AUGMENTATIONS", "AugmentationSpec", "Strength", "augmentation_text", "checked_spec", "parse_augmentations"]


@dataclass(frozen=True)
class Strength:
    """What the one number of an augmentation means.

    Parameters
    ----------
    meaning
        In words.
    default
        Where none is given, from the augmentation's source.
    identity
        The strength that changes nothing.
    rule, allows
        Which numbers it may be, in words and as a test.
    """

    meaning: str
    default: float
    identity: float
    rule: str
    allows: Callable[[float], bool]


def _deviation(what: str, default: float, most: float = math.inf) -> Strength:
    rule = "a number of at least 0" + ("" if most == math.inf else f" and at most {most:g}")
    return Strength(f"standard deviation of {what}", default, 0, rule, lambda value: 0 <= value <= most)


#: Every augmentation by name, in the order of the guide.
AUGMENTATIONS: Mapping[str, Strength] = MappingProxyType(
    {
        "jitter": _deviation("the noise on each standardized value", 0.05),
        "scaling": _deviation("the factor of each channel", 0.1),
        "magnitude_warp": _deviation("the smooth curve that each channel is multiplied by", 0.2),
        # e**1 is a speed of three times the others: beyond it most of a series is skipped
        "time_warp": _deviation("the logarithm of the speed at which a series is read", 0.2, 1),
        "window_slice": Strength(
            "fraction of the steps that are kept", 0.9, 1, "a number above 0 and of at most 1", lambda v: 0 < v <= 1
        ),
        "permutation": Strength(
            "segments that change places", 4, 1, "a whole number of at least 1", lambda v: v >= 1 and v == int(v)
        ),
        "channel_dropout": Strength(
            "probability that a channel is set to its mean",
            0.1,
            0,
            "a number of at least 0 and below 1",
            lambda v: 0 <= v < 1,
        ),
        "mixup": Strength(
            "alpha of the Beta(alpha, alpha) that the weights of two series are drawn from",
            0.2,
            0,
            "a number of at least 0",
            lambda v: v >= 0,
        ),
    }
)


class AugmentationSpec(NamedTuple):
    """One augmentation: how strong, and with which probability each series is augmented."""

    name: str
    strength: float
    probability: float = 1.0


def parse_augmentations(text: str) -> tuple[AugmentationSpec, ...]:
    """Read ``"name:strength@probability,..."``; strength and probability may be left out.

    Raises
    ------
    ParameterError
        For what is no augmentation, or numbers that it cannot have.

    Examples
    --------
    >>> parse_augmentations("jitter, window_slice:0.8@0.5")
    (AugmentationSpec(name='jitter', strength=0.05, probability=1.0), \
AugmentationSpec(name='window_slice', strength=0.8, probability=0.5))
    """
    return _all_different(map(_parsed, text.split(",")))


def augmentation_text(augmentations: Any) -> str:
    """The canonical text of augmentations, from a text or from objects with name, strength and probability.

    Raises
    ------
    ParameterError
        As `parse_augmentations`.

    Examples
    --------
    >>> augmentation_text("jitter, permutation:4@0.50")
    'jitter:0.05,permutation:4@0.5'
    """
    specs = parse_augmentations(augmentations) if isinstance(augmentations, str) else map(checked_spec, augmentations)
    return ",".join(
        f"{name}:{_number_text(strength)}" + ("" if probability == 1 else f"@{_number_text(probability)}")
        for name, strength, probability in _all_different(specs)
    )


def checked_spec(augmentation: Any) -> AugmentationSpec:
    """Name, strength and probability of an augmentation, checked.

    Raises
    ------
    ParameterError
        For a name that there is not, or numbers that it cannot have.
    """
    name, strength, probability = augmentation.name, augmentation.strength, augmentation.probability
    if name not in AUGMENTATIONS:
        close = difflib.get_close_matches(str(name), AUGMENTATIONS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ParameterError(f"augment needs augmentations among {', '.join(AUGMENTATIONS)}, got {name!r}{hint}")
    known = AUGMENTATIONS[name]
    if not (_is_number(strength) and known.allows(float(strength))):
        raise ParameterError(f"augment needs for {name} {known.rule}, the {known.meaning}, got {strength!r}")
    if not (_is_number(probability) and 0 < float(probability) <= 1):
        raise ParameterError(
            f"augment needs for {name} a probability above 0 and of at most 1 behind its @, got {probability!r}"
        )
    return AugmentationSpec(name, float(strength), float(probability))


def _parsed(part: str) -> AugmentationSpec:
    rest, at, probability = part.strip().partition("@")
    name, colon, strength = (piece.strip() for piece in rest.partition(":"))
    if not name:
        raise ParameterError(
            "augment needs augmentations as name:strength@probability with commas between them, such as "
            f"'jitter:0.05,window_slice:0.9@0.5', got {part!r}"
        )
    default = AUGMENTATIONS[name].default if name in AUGMENTATIONS else 0
    spec = AugmentationSpec(name, _number(strength) if colon else default, _number(probability) if at else 1)
    return checked_spec(spec)


def _all_different(specs: Iterable[AugmentationSpec]) -> tuple[AugmentationSpec, ...]:
    specs = tuple(specs)
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(f"augment needs each augmentation once, got {name} {names.count(name)} times")
    return specs


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text  # `checked_spec` says what is wrong with it


def _is_number(value: Any) -> bool:
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        return False
    try:
        return math.isfinite(value)
    except (TypeError, ValueError, OverflowError):  # an array, or an int larger than any float
        return False


def _number_text(value: float) -> str:
    return repr(int(value) if value == int(value) and abs(value) < 1e15 else value)
