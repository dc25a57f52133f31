"""A budget of seconds is kept, on a clock that each epoch of a condition moves on by one."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from throughtime import SequenceClassifier, diagnose
from throughtime.errors import ParameterError
from throughtime.estimators import fit_requests
from throughtime.generalization import Diagnosis
from throughtime.generalization.diagnosis import experiment, time_budget, trial
from throughtime.records import EpochProgress

# Shapes are checked by the packages' own tests, and take longer than the training.
pytestmark = pytest.mark.usefixtures("types_unchecked")

N = 30
Y = np.arange(N) % 2
X = np.random.default_rng(0).normal(size=(N, 5, 2)).astype(np.float32) + Y[:, None, None]
#: Epochs, which are seconds: base 4, then 12, 4, 8, 1, 4.
PROBES = ["max_epochs x3", "lr x4", "max_epochs=8", "max_epochs /3", "weight_decay up"]
ONCE = 4 + 12 + 4 + 8 + 1 + 4


class Clock:
    """Seconds that pass with the epochs alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of all that is fitted."""
    clock = Clock()

    def timed(requests: Any, *, on_epoch: Any = None, **others: Any) -> Any:
        def passed(progress: EpochProgress) -> None:
            clock.now += 1
            if on_epoch is not None:
                on_epoch(progress)

        return fit_requests(requests, on_epoch=passed, **others)

    for module in (time_budget, trial):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    monkeypatch.setattr(experiment, "fit_requests", timed)
    return clock


def diagnosed(budget: float | None, **others: Any) -> Diagnosis:
    net = SequenceClassifier(hidden_size=3, max_epochs=4, lr=0.002, batch_size=16)
    return diagnose(net, X, Y, **{"cv": 3, "repeats": 2, "racing": False, "probes": PROBES, "budget": budget} | others)


def test_time_enough_changes_nothing() -> None:
    with_time, without = diagnosed(1000), diagnosed(None)
    assert with_time.effects == without.effects
    assert with_time.members == without.members
    assert not with_time.out_of_time
    assert with_time.verdict == without.verdict


@pytest.mark.parametrize("budget", [9, 17, 25, ONCE, ONCE + 10, 2 * ONCE - 3])
def test_it_is_over_in_time_with_what_there_is(budget: int, clock: Clock) -> None:
    one = diagnosed(budget)
    assert clock.now <= 1.1 * budget
    assert one.seconds == clock.now
    assert one.out_of_time
    assert one.effects
    late = {name for name, reason in one.not_measured.items() if "time" in reason}
    asked = {effect.probe for effect in one.effects if " and " not in effect.probe}  # of what is tried further
    assert late | asked == set(PROBES)
    assert bool(late) == (budget < ONCE)
    assert all(name in one.open_question for name in late)
    if late:  # that nothing helps cannot be said
        assert one.verdict not in ("healthy", "noise- or feature-limited")


def test_what_was_measured_is_bitwise_what_it_is_with_all_the_time() -> None:
    full = {effect.probe: effect for effect in diagnosed(None, repeats=1).effects}
    few = diagnosed(25, repeats=1, level=0.95).effects
    assert 0 < len(few) < len(full)
    for effect in few:
        assert (effect.gain, effect.error) == (full[effect.probe].gain, full[effect.probe].error)


@pytest.mark.parametrize("budget", [1.5, 4.5])
def test_a_budget_too_small_for_a_single_probe_is_refused(budget: float, clock: Clock) -> None:
    with pytest.raises(ParameterError, match="budget needs time for the base and a probe"):
        diagnosed(budget, probes=["max_epochs x3"])
    assert clock.now <= 1.1 * budget + 1


@pytest.mark.parametrize("budget", [0, -1.0, float("nan"), float("inf")])
def test_a_budget_is_a_number_of_seconds(budget: float) -> None:
    with pytest.raises(ParameterError, match="budget needs a number of seconds above 0"):
        diagnosed(budget)
