"""A test told by the largest of several effects: its interval and what it could have found, both by permutation."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.shift.levels import check_level
from throughtime.shift.permutations import p_values
from throughtime.shift.records import ShiftTest
from throughtime.shift.sides import Sides

#: The chance that an interval misses, and that a test by itself alarms.
LEVEL = 0.05
#: The normal quantile of a chance of .8.
POWER = 0.84


def largest_effect_test(
    name: str,
    statistics: Float[ndarray, "permutation"],
    effects: Float[ndarray, "permutation column"],
    unit: str,
    sides: Sides,
    columns: Sequence[str] = (),
    *,
    level: float = LEVEL,
    n_tests: int = 1,
    none: float = 0.0,
    lowest: float = -np.inf,
    highest: float = np.inf,
) -> ShiftTest:
    """The test of a statistic, with the effect of the column where it is the largest.

    The interval reaches as far as the largest effect of any column does by chance, so that it holds for all columns;
    what is detectable exceeds what chance reaches at the level with a chance of .8, in the normal approximation with
    the permutations' deviation.

    Parameters
    ----------
    level
        At which an effect is detected; the interval is one of 95 %.
    n_tests
        Tests of which the smallest p-value counts: either level is divided by them, which the joint one is at most.
    none
        The effect where nothing moved.
    lowest, highest
        What effects can be.
    """
    check_level(level)
    distances = np.abs(effects - none)
    most = int(distances[0].argmax())
    reach, exceeded = np.quantile(distances[1:].max(1), 1 - np.array([LEVEL, level]) / n_tests).tolist()
    effect = float(effects[0, most])
    detectable = none + exceeded + POWER * float(effects[1:, most].std())
    return ShiftTest(
        name=name,
        statistic=float(statistics[0]),
        p_value=float(p_values(statistics[:, None])[0]),
        effect=effect,
        low=max(lowest, effect - reach),
        high=min(highest, effect + reach),
        effect_unit=unit,
        detectable=min(highest, detectable),
        unit=sides.unit,
        n_reference=sides.n_reference,
        n_deployed=sides.n_deployed,
        permutations=len(statistics) - 1,
        most=columns[most] if columns else "",
    )
