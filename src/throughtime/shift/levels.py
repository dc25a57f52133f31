"""The level of a test: a chance of a false alarm, and the permutations without which nothing is rejected at it."""

from math import ceil
from numbers import Real
from typing import Any

from throughtime.errors import ParameterError


def check_level(level: Any) -> None:
    """Refuse a level that is no chance below a half.

    Raises
    ------
    ParameterError
        For that.
    """
    if isinstance(level, bool) or not isinstance(level, Real) or not 0 < float(level) < 0.5:
        raise ParameterError(f"level needs a chance between 0 and .5, got {level!r}")


def check_permutations(permutations: int, level: float, n_tests: int) -> None:
    """Refuse permutations so few that Holm's procedure could reject none of the tests, whatever their series.

    Raises
    ------
    ParameterError
        For fewer than ``n_tests / level``, the measured sides counted as one.
    """
    if n_tests * (1 / (1 + permutations)) > level:
        among = "one test" if n_tests == 1 else f"the smallest p of {n_tests} tests"
        raise ParameterError(
            f"permutations needs at least {ceil(n_tests / level)} for {among} to be significant at level {level:g}, "
            f"got {permutations}"
        )
