"""What `fit_members` hands through to training, and who is who in it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from estimator_data import classes, ragged

from throughtime import SequenceClassifier, SequenceRegressor, fit_members
from throughtime.errors import ParameterError
from throughtime.training import GroupState, Observer, Perturbation, Series

SMALL: dict[str, Any] = {"max_epochs": 2, "batch_size": 16}
NETS = [SequenceClassifier(hidden_size=2 + m % 2, random_state=m, **SMALL) for m in range(5)]


class Seen(Observer):
    """The epochs that each member ended."""

    def __init__(self) -> None:
        self.losses: dict[int, list[float]] = {}

    def on_epoch(self, state: GroupState) -> None:
        for member in state.members:
            self.losses[member.place] = [record.train_loss for record in member.history]


class Doubled(Perturbation):
    """Inputs twice as large while training."""

    key = 0

    def transform(self, series: Series, generator: Any) -> Series:  # noqa: ARG002
        return replace(series, x=2 * series.x)


def weights_of(estimator: Any) -> dict[str, torch.Tensor]:
    return dict(estimator.module_.state_dict())


def assert_same(one: Any, other: Any) -> None:
    assert one.history_ == other.history_
    assert all(torch.equal(value, weights_of(other)[name]) for name, value in weights_of(one).items())


def test_observers_know_members_by_their_place_whatever_their_shape() -> None:
    seen = Seen()
    fitted = fit_members(NETS, ragged(), classes(), observers=[seen], memory_budget=1)
    assert seen.losses == {m: [record.train_loss for record in one.history_] for m, one in enumerate(fitted)}


def test_an_executor_with_threads_gives_what_one_after_the_other_gives() -> None:
    alone = fit_members(NETS, ragged(), classes(), memory_budget=1)
    with ThreadPoolExecutor(2) as executor:
        aside = fit_members(NETS, ragged(), classes(), memory_budget=1, executor=executor)
    for one, other in zip(alone, aside, strict=True):
        assert_same(one, other)


def test_a_perturbation_disturbs_its_own_member_and_no_other() -> None:
    plain = fit_members(NETS, ragged(), classes())
    disturbed = fit_members(NETS, ragged(), classes(), perturbations=[(), (), (Doubled(),), (), ()])
    for m in (0, 1, 3, 4):
        assert_same(plain[m], disturbed[m])
    assert plain[2].history_ != disturbed[2].history_
    with pytest.raises(ParameterError, match=r"^fit_members needs perturbations for each of 5 members, got 1$"):
        fit_members(NETS, ragged(), classes(), perturbations=[()])


@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize("m", [0, 1, 4])
def test_a_perturbation_without_its_tuple_is_refused(m: int) -> None:
    perturbations: list[Any] = [() for _ in NETS]
    perturbations[m] = Doubled()
    with pytest.raises(
        ParameterError, match=rf"a tuple of them for each member, got Doubled for member {m}; a tuple of one"
    ):
        fit_members(NETS, ragged(), classes(), perturbations=perturbations)


def test_classifiers_and_regressors_of_one_data_set_train_in_one_call() -> None:
    models = [cls(hidden_size=3, random_state=0, **SMALL) for cls in (SequenceClassifier, SequenceRegressor)]
    together = fit_members(models, ragged(), classes())
    for model, fitted in zip(models, together, strict=True):
        assert_same(model.fit(ragged(), classes()), fitted)
    assert [one.task.name for one in together] == ["classification", "regression"]


@pytest.mark.parametrize("touched", [False, True])
def test_predictions_are_those_of_the_module_as_it_is_now(touched: bool) -> None:
    (fitted,) = fit_members(NETS[:1], ragged(), classes())
    before = fitted.predict_proba(ragged())
    if touched:
        with torch.no_grad():
            fitted.module_.readout.bias += torch.tensor([9.0, 0.0, 0.0])
        assert fitted.module_ is fitted.module_
        assert (fitted.predict(ragged()) == 0).all()
        return
    assert not fitted.module_.training
    np.testing.assert_array_equal(fitted.predict_proba(ragged()), before)
