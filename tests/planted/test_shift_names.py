"""Each planted kind of shift is named, at twice the size that the oracle finds; no shift is silent.

A sample of what ``benchmarks/shift.py`` measures.
"""

import pytest
from shift_cases import KINDS, case
from shift_references import embedded, reference_for

from throughtime.shift import diagnose_shift

SEED = 0


def test_each_kind_is_named() -> None:
    """But for one: even at that size it is a matter of chance."""
    reference, right = reference_for(SEED), {}
    for kind in KINDS:
        one = case(kind, SEED, 2.0)
        found = diagnose_shift(reference, embedded(reference, one.deployed, SEED), permutations=199)
        right[kind] = found.verdict == one.verdict
    assert sum(right.values()) >= len(KINDS) - 1, right


@pytest.mark.parametrize(("phi", "channels"), [(0.9, 1), (0.0, 20)])
def test_no_shift_is_silent(phi: float, channels: int) -> None:
    reference = reference_for(SEED, phi=phi, channels=channels)
    one = case("none", SEED, phi=phi, channels=channels)
    found = diagnose_shift(reference, embedded(reference, one.deployed, SEED), permutations=199)
    assert found.verdict == "none detected"
