"""``augment``: what trains with it, what is kept in a file, and what is refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from estimator_data import N, classes, ragged, series, steps, values
from sklearn.base import clone
from sklearn.model_selection import KFold

from throughtime import LockstepSearchCV, cross_validate, fit_members
from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.data import Sequences
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceClassifier, SequenceRegressor
from throughtime.training import Jitter, Observer, StepRecord, WindowSlice

SMALL: dict[str, Any] = {"hidden_size": 5, "max_epochs": 2, "batch_size": 9, "random_state": 0}
EVERY = ",".join(AUGMENTATIONS)
TEXT = "jitter:0.3@0.5,window_slice:0.6"
OBJECTS = [Jitter(0.3, 0.5), WindowSlice(0.6)]


def learned(fitted: Any) -> dict[str, bytes]:
    return {name: weight.numpy().tobytes() for name, weight in fitted.module_.state_dict().items()}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_augmentation_changes_what_is_learned_and_its_identity_no_bit(name: str) -> None:
    strong = {"window_slice": 0.5}.get(name, AUGMENTATIONS[name].default)
    augments = [None, f"{name}:{AUGMENTATIONS[name].identity}", f"{name}:{strong}"]
    plain, identity, augmented = fit_members(
        [SequenceClassifier(**SMALL, augment=text) for text in augments], ragged(), classes()
    )
    assert learned(identity) == learned(plain)
    assert identity.history_ == plain.history_
    assert learned(augmented) != learned(plain)


def test_text_and_objects_are_one_thing() -> None:
    text, objects = fit_members(
        [SequenceClassifier(**SMALL, augment=augment) for augment in (TEXT, OBJECTS)], ragged(), classes()
    )
    assert learned(text) == learned(objects)
    assert clone(objects).augment == OBJECTS
    # one after the other, in the order given
    other = SequenceClassifier(**SMALL, augment=OBJECTS[::-1]).fit(ragged(), classes())
    assert learned(other) != learned(text)


def test_an_augmentation_draws_the_same_whatever_stands_beside_it() -> None:
    class Noted(Observer):
        def __init__(self) -> None:
            self.lengths: list[list[int]] = []

        def on_step(self, record: StepRecord) -> None:
            self.lengths.append(record.lengths.flatten().tolist())

    seen = []
    for augment in ("window_slice:0.6", "scaling,window_slice:0.6"):
        noted = Noted()
        fit_members([SequenceClassifier(**SMALL, augment=augment)], ragged(), classes(), observers=[noted])
        seen.append(noted.lengths)
    assert seen[0] == seen[1]
    assert len(set(map(str, seen[0]))) == 8  # each pass anew


@pytest.mark.parametrize("augment", [TEXT, OBJECTS])
def test_a_file_keeps_the_canonical_text(augment: Any, tmp_path: Path) -> None:
    fitted = SequenceClassifier(**SMALL, augment=augment).fit(ragged(), classes())
    fitted.save(tmp_path / "net")
    loaded = SequenceClassifier.load(tmp_path / "net")
    assert loaded.augment == TEXT
    assert learned(clone(loaded).fit(ragged(), classes())) == learned(fitted)
    np.testing.assert_array_equal(loaded.predict_proba(ragged()), fitted.predict_proba(ragged()))


def test_losses_and_predictions_are_of_the_series_as_they_are() -> None:
    frozen = SMALL | {"lr": 1e-100, "max_epochs": 1}
    rows = np.arange(N)
    plain, augmented = fit_members(
        [SequenceClassifier(**frozen, early_stopping=True, augment=text) for text in (None, EVERY)],
        ragged(),
        classes(),
        eval_indices=[rows, rows],
    )
    one, other = plain.history_[0], augmented.history_[0]
    assert one.train_loss != other.train_loss
    assert (one.validation_loss, one.eval_loss) == (other.validation_loss, other.eval_loss)
    np.testing.assert_array_equal(plain.predict_proba(ragged()), augmented.predict_proba(ragged()))


def test_a_search_over_augmentations_is_the_fits_of_its_folds() -> None:
    augments = [None, "jitter:0.2", TEXT, [Jitter(0.5)]]
    folds = KFold(2)
    search = LockstepSearchCV(SequenceClassifier(**SMALL), {"augment": augments}, cv=folds, refit=False)
    search.fit(series(), classes())
    for place, augment in enumerate(augments):
        for number, (train, test) in enumerate(folds.split(ragged())):
            alone = SequenceClassifier(**SMALL, augment=augment).fit(series()[train], classes()[train])
            score = alone.score(series()[test], classes()[test])
            assert search.cv_results_[f"split{number}_test_score"][place] == score
    scores = cross_validate(SequenceClassifier(**SMALL, augment=TEXT), series(), classes(), cv=folds)
    assert scores["test_score"].mean() == search.cv_results_["mean_test_score"][2]


@pytest.mark.parametrize(
    "options",
    [
        {"bptt": "truncated", "k1": 2, "k2": 3},
        {"bptt": "checkpointed", "num_layers": 2, "bidirectional": True},
        {"zoneout": 0.2, "dropout": 0.3},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_step_has_its_own_target_along_with_every_other_option(options: dict[str, Any]) -> None:
    for estimator, of_classes in ((SequenceRegressor, False), (SequenceClassifier, True)):
        members = [estimator(**SMALL, **options, augment=text) for text in (None, EVERY)]
        together = fit_members(members, ragged(), steps(of_classes))
        alone = estimator(**SMALL, **options, augment=EVERY).fit(ragged(), steps(of_classes))
        assert learned(alone) == learned(together[1]) != learned(together[0])


def test_truncated_bptt_and_a_network_of_ones_own_take_augmented_series() -> None:
    class Sums(torch.nn.Module):
        def __init__(self, channels: int, outputs: int) -> None:
            super().__init__()
            self.readout = torch.nn.Linear(channels, outputs)

        def forward(self, x: torch.Tensor, _lengths: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.readout(x.sum(1))
            return out

    for options in ({"bptt": "truncated", "k2": 3}, {"module": Sums, "hidden_size": 64}):
        plain, augmented = (SequenceRegressor(**SMALL | options, augment=text) for text in (None, EVERY))
        assert learned(plain.fit(ragged(), values())) != learned(augmented.fit(ragged(), values()))


def test_a_forecast_takes_what_keeps_its_clock() -> None:
    keeps = "jitter,scaling,magnitude_warp,window_slice,channel_dropout"
    fitted = SequenceRegressor(**SMALL, horizon=1, augment=keeps).fit(ragged(), steps())
    assert learned(fitted) != learned(SequenceRegressor(**SMALL, horizon=1).fit(ragged(), steps()))
    for name in set(AUGMENTATIONS) - set(keeps.split(",")):
        with pytest.raises(ParameterError, match=f"augment={name} needs horizon=0, got horizon=1"):
            SequenceRegressor(**SMALL, horizon=1, augment=f"jitter,{name}").fit(ragged(), steps())


@pytest.mark.parametrize("name", ["window_slice", "permutation"])
def test_a_burn_in_needs_series_that_begin_where_they_began(name: str) -> None:
    with pytest.raises(ParameterError, match=f"augment={name} needs burn_in=0, got burn_in=1"):
        SequenceRegressor(**SMALL, burn_in=1, augment=name).fit(ragged(), steps())
    SequenceRegressor(**SMALL, burn_in=1, augment="time_warp,jitter").fit(ragged(), steps())


@dataclass(frozen=True)
class Louder(Jitter):
    """One of a user's own."""

    name: ClassVar[str] = "jitter"


@dataclass(frozen=True)
class Unheard(Jitter):
    """One that has no name of ours; what it may be is not known."""

    name: ClassVar[str] = "louder"

    def __post_init__(self) -> None:
        pass


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ("jitter:-1", "augment needs for jitter a number of at least 0"),
        ([], "augment needs text such as 'jitter:0.05,window_slice:0.9@0.5', or a list of augmentations or None, got"),
        ([Jitter, Jitter], "or a list of augmentations or None, got"),
        (Jitter(), "or a list of augmentations or None, got Jitter"),
        (["jitter"], "or a list of augmentations or None, got"),
        (3, "or a list of augmentations or None, got 3"),
        ([Jitter(), Jitter(0.2)], "augment needs each augmentation once, got jitter 2 times"),
        ([Unheard()], "augment needs augmentations among jitter, .*, got 'louder'"),
        ([Louder()], "augment needs throughtime's own augmentations, .*, got Louder"),
    ],
)
@pytest.mark.usefixtures("types_unchecked")
def test_what_is_no_augmentation_is_refused(augment: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SequenceClassifier(**SMALL, augment=augment).fit(ragged(), classes())


def test_missing_values_stay_missing_in_training() -> None:
    holes = [x.copy() for x in ragged()]
    for x in holes[::2]:
        x[1, 0] = np.nan
    X = Sequences.from_arrays(holes, static=np.random.default_rng(0).normal(size=(N, 2)))
    members = [SequenceClassifier(**SMALL, augment=text) for text in (None, EVERY, "window_slice:0.5")]
    together = fit_members(members, X, classes())
    assert all(one.masked_ for one in together)
    for member, found in zip(members, together, strict=True):
        assert learned(clone(member).fit(X, classes())) == learned(found)
