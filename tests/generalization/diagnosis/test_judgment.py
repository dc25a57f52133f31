"""What has to be certain for the verdict that nothing helps: that each remedy does not, not that the best does not."""

import numpy as np
import pytest
from numpy import ndarray

from throughtime.generalization.diagnosis.evidence import Evidence, Measured
from throughtime.generalization.diagnosis.gains import Units
from throughtime.generalization.diagnosis.losses import ClassLosses, OutOfFold
from throughtime.generalization.diagnosis.probes import Setting, Variant
from throughtime.generalization.diagnosis.records import VerdictName
from throughtime.generalization.diagnosis.verdict import Judgment, judge

N, MARGIN = 100, 0.05
#: Of mean 0 and standard error 1.
NOISE = np.resize([1.0, -1.0], N) * np.sqrt(N - 1)
CAUSES: tuple[VerdictName, ...] = ("not optimized", "under-fit", "over-fit")


def out_of_fold(losses: ndarray) -> OutOfFold:
    """Of a dummy that loses 1 for each series."""
    one = np.ones(N)
    return OutOfFold(losses, losses, losses, one, one, train=0.1)


def judged(gain: float, error: float, n_probes: int, loss: float = 0.6, margin: float = MARGIN) -> Judgment:
    """Of as many remedies as there are, each of them as good and as certain, and independent of the others."""
    base = np.full(N, loss)
    probes = {}
    for number in range(n_probes):
        probe = Setting(str(number), {"lr": 1.0}, CAUSES[number % len(CAUSES)])
        noise = np.random.default_rng(number).permutation(NOISE)
        probes[probe.name] = Measured(probe, Variant("", {"lr": 1.0}), [out_of_fold(base - gain - error * noise)])
    units = Units(np.arange(N), np.ones(N))
    evidence = Evidence(
        Measured(None, Variant(""), [out_of_fold(base)]), probes, ClassLosses(N, np.ones(N)), units, 0.95
    )
    return judge(evidence, evidence.effects(), margin, complete=True)


@pytest.mark.parametrize("n_probes", [3, 12])
def test_how_many_were_tried_does_not_open_a_verdict_that_none_helps(n_probes: int) -> None:
    # with that error, the interval for all at once of twelve reaches beyond twice the margin, that of one alone not
    found = judged(0.01, 0.045, n_probes)
    assert found.verdicts == ("noise- or feature-limited",)
    assert judged(0.01, 0.06, n_probes).verdicts == ("inconclusive",)


@pytest.mark.parametrize(("gain", "verdict"), [(0.045, "noise- or feature-limited"), (0.052, "inconclusive")])
def test_nothing_helps_is_not_said_where_a_remedy_seems_to_by_more_than_the_margin(gain: float, verdict: str) -> None:
    assert judged(gain, 0.02, 3).verdicts == (verdict,)


@pytest.mark.parametrize(("margin", "verdict"), [(0.05, "noise- or feature-limited"), (0.03, "inconclusive")])
def test_what_may_still_be_gained_is_measured_in_margins(margin: float, verdict: str) -> None:
    assert judged(0.0, 0.045, 3, margin=margin).verdicts == (verdict,)


def test_no_remedy_gains_more_than_there_is_to_lose() -> None:
    assert judged(0.0, 0.1, 3, loss=0.06).verdicts == ("healthy",)
    assert judged(0.0, 0.1, 3, loss=0.2).verdicts == ("inconclusive",)
