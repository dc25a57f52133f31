"""What ``diagnose_shift`` finds: each check fires on its planted shift or fault and is silent on the control."""

from collections.abc import Callable

import numpy as np
import pytest
from shift_cases import Drawn, case
from shift_references import reference_for

from throughtime.data import Sequences
from throughtime.errors import DataWarning
from throughtime.shift import Reference, diagnose_shift, reference_of

SEED = 3


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_for(SEED)


def found(reference: Reference, drawn: Drawn, X: Sequences | None = None) -> set[str]:
    diagnosis = diagnose_shift(reference, drawn.series if X is None else X, drawn.y, permutations=199)
    return {finding.code for finding in diagnosis.findings if finding.verdict == "found"}


def control() -> Drawn:
    return case("none", SEED).deployed


def changed(change: Callable[[np.ndarray], np.ndarray]) -> Sequences:
    """The control's series with another last channel."""
    drawn = control()
    x = drawn.x.copy()
    x[:, :, -1] = change(x[:, :, -1])
    return Drawn(x, drawn.lengths, drawn.y, drawn.known).series


def test_nothing_is_found_where_nothing_is_planted(reference: Reference) -> None:
    assert found(reference, control()) == set()


@pytest.mark.parametrize(
    ("code", "kind"),
    [("SHF006", "covariate, irrelevant"), ("SHF007", "label"), ("SHF008", "concept")],
)
def test_what_moved_is_found(reference: Reference, code: str, kind: str) -> None:
    codes = found(reference, case(kind, SEED, 3.0).deployed)
    assert code in codes
    if kind != "label":  # which moves the series too
        assert codes == {code}


def test_few_series_are_found(reference: Reference) -> None:
    assert "SHF001" in found(reference, control().take(np.arange(5)))


def test_tests_of_few_series_are_weak(reference: Reference) -> None:
    assert found(reference, control().take(np.arange(12))) == {"SHF011"}


def test_a_channel_that_is_no_longer_observed_is_found(reference: Reference) -> None:
    with pytest.warns(DataWarning):
        assert "SHF002" in found(reference, control(), changed(lambda channel: np.full_like(channel, np.nan)))


def test_a_dead_sensor_is_found(reference: Reference) -> None:
    assert "SHF003" in found(reference, control(), changed(np.zeros_like))


def test_series_of_other_lengths_are_found(reference: Reference) -> None:
    series = control().series
    longer = Sequences.from_arrays([np.concatenate([x, x, x]) for x in series])
    assert "SHF004" in found(reference, control(), longer)


def test_a_channel_in_another_unit_is_found(reference: Reference) -> None:
    assert "SHF005" in found(reference, control(), changed(lambda channel: channel + 100))


def test_a_reference_that_was_trained_on_is_found() -> None:
    drawn, fitted = case("none", SEED).reference, reference_for(SEED).members[:1]
    everything = np.arange(len(drawn.y))
    with pytest.warns(DataWarning, match="did not train on"):
        seen = reference_of(fitted, drawn.series, drawn.y, [(everything, everything)])
    assert "SHF009" in found(seen, control())


def test_an_absent_class_is_found(reference: Reference) -> None:
    drawn = control()
    assert "SHF010" in found(reference, drawn.take(np.flatnonzero(drawn.y != 0)))
