"""``diagnose``: what it hands back of probes, units, weights and kinds of targets, and what racing spares."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from throughtime import SequenceClassifier, SequenceRegressor, diagnose
from throughtime.data import Sequences
from throughtime.findings import NotApplicable
from throughtime.generalization import Base, Diagnosis, Probe, Setting, Variant

# Shapes are checked by the packages' own tests, and take longer than the training.
pytestmark = pytest.mark.usefixtures("types_unchecked")

N, TIME = 60, 8
RNG = np.random.default_rng(0)
LABELS = np.arange(N) % 2
NOISE = RNG.normal(size=(N, TIME, 2)).astype(np.float32)


def signal(where: slice) -> Sequences:
    """Noise, and steps that tell the class."""
    x = NOISE.copy()
    x[:, where, 0] += 3 * (2 * LABELS[:, None] - 1)
    return Sequences.from_arrays(list(x))


X = signal(slice(5, 8))
NUMBERS = 10 + 2.0 * LABELS + 0.1 * RNG.normal(size=N)
FOLDS = [(np.flatnonzero(np.arange(N) % 3 != fold), np.flatnonzero(np.arange(N) % 3 == fold)) for fold in range(3)]
SLOW = {"hidden_size": 4, "max_epochs": 3, "lr": 0.002, "batch_size": 16}
FAST = {"hidden_size": 4, "max_epochs": 12, "lr": 0.05, "batch_size": 16}


def diagnosed(net: Any, y: Any = LABELS, data: Any = X, **others: Any) -> Diagnosis:
    return diagnose(net, data, y, **{"cv": 3, "probes": ["lr x4"], "repeats": 1} | others)


def effect(diagnosis: Diagnosis, probe: str) -> Any:
    (found,) = [one for one in diagnosis.effects if one.probe == probe]
    return found


def test_effects_are_those_of_the_probes_in_order_each_with_its_change_loss_and_cause() -> None:
    probes = ["max_epochs x3", "lr=0.1", "weight_decay up", "half of the data", "permuted targets"]
    # trained well enough that it beats the dummy: else, tempered, each size of the data would be as good
    one = diagnosed(SequenceClassifier(**FAST | {"max_epochs": 6}), probes=probes)
    assert [effect.probe for effect in one.effects] == [*probes, "twice the data"]
    assert [effect.cause for effect in one.effects] == [
        "not optimized", "not optimized", "over-fit", None, None, "data-limited",
    ]  # fmt: skip
    assert effect(one, "lr=0.1").parameters == {"lr": 0.1}
    assert effect(one, "lr=0.1").change == "lr 0.05 to 0.1"
    assert effect(one, "max_epochs x3").parameters == {"max_epochs": 18}
    assert not effect(one, "half of the data").parameters  # no setting
    for found in one.effects:
        assert found.low < found.gain < found.high
        assert found.repeats == 1
    assert effect(one, "max_epochs x3").loss == "tempered log loss"
    assert effect(one, "max_epochs x3").train_gain > 0
    assert effect(one, "permuted targets").gain < 0
    assert one.loss_name == "log loss"


def test_the_largest_gain_is_the_remedy_and_names_the_cause() -> None:
    one = diagnosed(SequenceClassifier(**SLOW), probes=["lr=0.05", "max_epochs x3", "weight_decay up"])
    best = max(one.effects, key=lambda effect: effect.gain)
    assert one.verdict == "not optimized"
    assert one.remedy is not None
    assert (one.remedy.probe, one.remedy.parameters) == ("lr=0.05", {"lr": 0.05})
    assert (one.remedy.gain, one.remedy.low, one.remedy.high) == (best.gain, best.low, best.high)
    assert best.gain > one.margin == pytest.approx(0.05 * one.chance)
    assert best.change in one.sentence
    assert not one.open_question


def test_a_diagnosis_follows_from_its_random_state() -> None:
    net = SequenceClassifier(**SLOW, random_state=3)
    one, again, other = (diagnosed(net, repeats=2, random_state=seed) for seed in (5, 5, 6))
    assert one.effects == again.effects
    assert (one.loss, one.sentence) == (again.loss, again.sentence)
    assert one.loss != other.loss
    assert net.random_state == 3


def test_by_default_intervals_are_over_series_and_with_groups_over_groups() -> None:
    alone = diagnosed(SequenceClassifier(**SLOW))
    assert (alone.units, alone.n_units) == ("series", N)
    groups = np.array([f"g{number // 4}" for number in range(N)])
    grouped = diagnosed(SequenceClassifier(**SLOW), groups=groups)
    assert (grouped.units, grouped.n_units) == ("groups", N // 4)
    carried = diagnosed(SequenceClassifier(**SLOW), data=X.replace(groups=groups))
    assert carried.effects == grouped.effects


def test_windows_belong_to_the_series_they_were_cut_from() -> None:
    windows = X.windows(4, stride=2)
    one = diagnosed(SequenceClassifier(**SLOW), y=LABELS[windows.source.series], data=windows)
    assert (one.units, one.n_units) == ("groups", N)


def test_chance_is_the_training_folds_class_frequencies_or_mean_and_counts_weights() -> None:
    weights = RNG.uniform(0.5, 2, N)
    labels = (np.arange(N) % 5 == 0).astype(int)
    losses, squares = np.empty(N), np.empty(N)
    for train, test in FOLDS:
        p = np.average(labels[train], weights=weights[train])
        losses[test] = -np.log(np.where(labels[test], p, 1 - p))
        squares[test] = (NUMBERS[test] - np.average(NUMBERS[train], weights=weights[train])) ** 2
    one = diagnosed(SequenceClassifier(**SLOW), labels, cv=FOLDS, sample_weight=weights)
    assert one.chance == pytest.approx(np.average(losses, weights=weights))
    two = diagnosed(SequenceRegressor(**SLOW), NUMBERS, cv=FOLDS, sample_weight=weights)
    assert two.chance == pytest.approx(np.average(squares, weights=weights))


def test_numbers_are_judged_by_squared_error_in_units_of_the_target() -> None:
    probes = ["max_epochs x3", "lr=0.05", "half of the data", "quarter of the data"]
    one = diagnosed(SequenceRegressor(**FAST), NUMBERS, probes=probes[2:], cv=FOLDS)
    larger = diagnosed(SequenceRegressor(**FAST), 1000 * NUMBERS - 7, probes=probes[2:], cv=FOLDS)
    assert one.loss_name == "squared error"
    assert one.effects[0].loss == "recalibrated squared error"
    np.testing.assert_allclose(larger.chance, 1e6 * one.chance, rtol=1e-6)
    np.testing.assert_allclose(larger.loss, 1e6 * one.loss, rtol=1e-2)  # of networks in float32
    assert larger.verdict == one.verdict
    assert diagnosed(SequenceRegressor(**SLOW), NUMBERS, probes=probes[:2]).verdict == "not optimized"


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_with_a_target_each_step_series_are_the_examples(kind: str) -> None:
    values = np.repeat(LABELS.astype(float), TIME)[:, None]
    values[np.arange(N * TIME) % TIME < TIME // 2] = np.nan  # pieces of a quarter's history have none
    net: Any = SequenceClassifier(**SLOW)
    if kind == "numbers":
        values += 0.1 * RNG.normal(size=values.shape)
        net = SequenceRegressor(**SLOW)
    one = diagnosed(net, Sequences(values, X.offsets), probes=["lr=0.05", "quarter of the history"])
    assert (one.units, one.n_units, one.verdict) == ("series", N, "not optimized")
    assert {found.probe for found in one.effects} == {"lr=0.05", "quarter of the history"}


@dataclass(frozen=True)
class Louder(Probe):
    """What a user may write: other series, as many."""

    name: str = "louder"
    cause: Any = "noise- or feature-limited"

    def variant(self, base: Base) -> Variant | NotApplicable:
        """The base with steps that tell all."""
        if base.by_step:
            return NotApplicable("one label per series is louder")
        return Variant("a channel more", X=signal(slice(0, 8)))


def test_a_probe_of_the_users_own_is_tried_and_may_win() -> None:
    silent = Sequences.from_arrays(list(NOISE))
    one = diagnosed(
        SequenceClassifier(**FAST), data=silent, probes=["lr /4", Louder(), Setting("wide", {"hidden_size": 9})]
    )
    found = effect(one, "louder")
    assert found.gain > found.low > one.margin
    assert found.parameters == {}
    assert effect(one, "wide").change == "hidden_size 4 to 9"


def test_what_is_not_applicable_or_diverges_is_not_measured_and_says_why() -> None:
    probes = ["lr=1e38", "no regularization", "whole groups", "lr x4", "cell=linear"]
    one = diagnosed(SequenceClassifier(**SLOW), probes=probes, repeats=2)
    assert set(one.not_measured) == {"lr=1e38", "no regularization", "whole groups"}
    assert "finite" in one.not_measured["lr=1e38"]
    assert [found.probe for found in one.effects] == ["lr x4", "cell=linear"]


class Means(nn.Module):
    """A network of the user's own."""

    def __init__(self, n_channels: int, n_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_channels, n_outputs)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        seen = torch.arange(x.shape[1]) < lengths[:, None]
        return self.linear((x * seen[..., None]).sum(1) / lengths[:, None])


def test_of_a_users_own_network_the_probes_that_it_decides_itself_are_left_out() -> None:
    net = SequenceClassifier(module=Means, max_epochs=3, lr=0.001)
    one = diagnosed(net, probes=["hidden_size x2", "lr x4", "lr=0.1", "half of the data"])
    assert set(one.not_measured) == {"hidden_size x2"}
    assert "module" in one.not_measured["hidden_size x2"]
    assert effect(one, "lr=0.1").gain > one.margin


RACED = ["weight_decay up", "hidden_size x2", "hidden_size /4", "max_epochs /3", "lr /4"]


@pytest.mark.parametrize("net", [SLOW, FAST])
def test_racing_spares_members_and_leaves_the_verdict(net: dict[str, Any]) -> None:
    raced, full = (
        diagnosed(SequenceClassifier(**net), probes=RACED, repeats=3, racing=racing) for racing in (True, False)
    )
    assert raced.verdict == full.verdict
    assert full.members_saved == 0
    assert raced.members + raced.members_saved == full.members
    assert raced.members_saved >= 0.2 * full.members
    assert (raced.loss, raced.chance) == (full.loss, full.chance)  # the base is in every repeat
    for one, other in zip(raced.effects, full.effects, strict=False):
        assert one.probe == other.probe
        assert one.repeats in (1, 2, 3)
        assert one.repeats < 3 or (one.gain, one.error) == (other.gain, other.error)


def test_of_one_repeat_racing_has_nothing_to_spare() -> None:
    one = diagnosed(SequenceClassifier(**SLOW), probes=RACED)
    assert one.members_saved == 0
    assert one.members >= 3 * (1 + len(RACED))


@pytest.mark.parametrize(("where", "needed"), [(slice(6, 8), 2), (slice(4, 6), 4), (slice(0, 2), 8)])
def test_as_much_history_is_needed_as_was_planted(where: slice, needed: int) -> None:
    probes = ["half of the history", "quarter of the history"]
    one = diagnosed(SequenceClassifier(**FAST | {"max_epochs": 24}), data=signal(where), probes=probes)
    assert one.history is not None
    assert one.history.steps == (2, 4, 8)
    assert one.history.needed == needed
    (finding,) = [finding for finding in one.findings if finding.code == "GEN019"]
    assert finding.verdict == ("found" if needed == 8 else "clear")


@pytest.mark.parametrize(("first", "needed"), [(False, 3), (True, 12)])
def test_as_much_history_is_needed_for_targets_each_step(first: bool, needed: int) -> None:
    length = 12
    x = np.random.default_rng(1).choice([-1.0, 1.0], size=(N, length, 1))
    data = Sequences.from_arrays(list(x.astype(np.float32)))
    # every target is the series' first step, or the present one
    told = np.broadcast_to(x[:, :1], x.shape) if first else x
    targets = Sequences((told.reshape(-1, 1) > 0).astype(float), data.offsets)
    net = SequenceClassifier(hidden_size=6, max_epochs=20, lr=0.05, batch_size=16)
    one = diagnosed(net, targets, data, probes=["quarter of the history"])
    assert one.history is not None
    assert one.history.steps == (3, 12)
    assert one.history.needed == needed


def test_the_learning_curve_is_of_a_quarter_half_and_all_of_a_training_fold() -> None:
    probes = ["half of the data", "quarter of the data"]
    one = diagnosed(SequenceClassifier(**FAST), data=signal(slice(7, 8)), probes=probes, cv=FOLDS)
    curve = one.learning_curve
    assert curve is not None
    assert curve.sizes == (10, 20, 40)
    doubling = effect(one, "twice the data")
    assert (curve.doubling, curve.low, curve.high) == (doubling.gain, doubling.low, doubling.high)
    gain = effect(one, "half of the data").gain
    assert curve.losses[2] - curve.losses[1] == pytest.approx(gain)
    without = diagnosed(SequenceClassifier(**SLOW))
    assert without.learning_curve is None
    assert without.history is None


def test_there_is_one_finding_of_each_code() -> None:
    one = diagnosed(SequenceClassifier(**SLOW))
    assert [finding.code for finding in one.findings] == [f"GEN{number:03d}" for number in range(10, 20)]
