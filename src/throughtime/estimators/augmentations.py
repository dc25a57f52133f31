"""The augmentations of an estimator's training series, from the parameter that asks for them."""

from collections.abc import Mapping
from typing import Any

from throughtime.augmentation_specs import parse_augmentations
from throughtime.errors import ParameterError
from throughtime.training import AUGMENTATION_CLASSES, Augmentation


def augmentations_of(augment: Any) -> tuple[Augmentation, ...]:
    """The augmentations that a checked value of ``augment`` asks for.

    Raises
    ------
    ParameterError
        For one of the user's own, which has no text that a saved estimator could hold.
    """
    if augment is None:
        return ()
    if isinstance(augment, str):
        specs = parse_augmentations(augment)
        return tuple(AUGMENTATION_CLASSES[name](strength, probability) for name, strength, probability in specs)
    for one in augment:
        if type(one) is not AUGMENTATION_CLASSES[one.name]:
            raise ParameterError(
                f"augment needs throughtime's own augmentations, which can be written as text, got {one!r}; "
                "fit_members(perturbations=...) takes others"
            )
    return tuple(augment)


def augmentations_for(p: Mapping[str, Any]) -> tuple[Augmentation, ...]:
    """The augmentations that an estimator's parameters ask for.

    Raises
    ------
    ParameterError
        For one that would break a forecast's clock, or a burn-in.
    """
    augmentations = augmentations_of(p["augment"])
    for one in augmentations:
        if p.get("horizon") and one.changes_clock:
            raise ParameterError(
                f"augment={one.name} needs horizon=0, got horizon={p['horizon']}: a forecast is made on an even clock, "
                "and its steps would be moved; jitter, scaling, magnitude_warp, window_slice and channel_dropout keep "
                "the clock"
            )
        if p["burn_in"] and one.moves_start:
            raise ParameterError(
                f"augment={one.name} needs burn_in=0, got burn_in={p['burn_in']}: series would begin at other steps, "
                "whose targets count in the loss"
            )
    return augmentations
