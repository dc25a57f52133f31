"""``augmentation_findings``: what is measured, what is not applicable, and what is refused."""

from typing import Any

import numpy as np
import pytest

from throughtime import SequenceClassifier, SequenceRegressor, augment_series, augmentation_findings, fit_members
from throughtime.data import Sequences
from throughtime.errors import DataError, ParameterError
from throughtime.training import Jitter

N = 40
FOLDS = [np.flatnonzero(np.arange(N) // 2 % 4 != fold) for fold in range(4)]
LEVELS = np.arange(N) % 2


def leveled(noise: float = 0.3) -> Sequences:
    """Series whose level tells their class; ragged."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 9, N)
    return Sequences.from_arrays(
        [rng.normal(0, noise, (n, 1)) + 2 * level - 1 for n, level in zip(lengths, LEVELS, strict=True)]
    )


def fits(
    estimator: Any, y: Any, X: Sequences | None = None, train: list[np.ndarray] | None = None, **changed: Any
) -> dict[str, Any]:
    X, train = leveled() if X is None else X, FOLDS if train is None else train
    options = {"hidden_size": 6, "max_epochs": 15, "lr": 0.03, "random_state": 0} | changed
    fitted = fit_members([estimator(**options) for _ in train], X, y, train_indices=train)
    return {"estimators": fitted, "X": X, "y": y, "train_indices": train}


def test_what_is_measured_is_the_bound_of_a_rise_over_fresh_series() -> None:
    given = fits(SequenceClassifier, LEVELS)
    (found,) = augmentation_findings(**given, augment="scaling:5", repeats=2, random_state=3)
    # by hand
    fresh, after = np.zeros(N), np.zeros(N)
    drawn = [augment_series(given["X"], "scaling:5", random_state=3 + r)[0] for r in range(2)]
    for one, train in zip(given["estimators"], FOLDS, strict=True):
        test = np.setdiff1d(np.arange(N), train)
        fresh[test] = one.predict(given["X"][test]) != LEVELS[test]
        for X in drawn:
            after[train] += (one.predict(X[train]) != LEVELS[train]) / 2 / 3  # each is in training three times
    rises = (after - fresh) / 0.5
    assert found.measured == pytest.approx(rises.mean() - 1.645 * rises.std(ddof=1) / np.sqrt(N), rel=1e-12)
    assert (found.code, found.verdict) == ("GEN018", "found")
    assert found.remedy


def test_each_augmentation_is_judged_by_itself() -> None:
    found = augmentation_findings(
        **fits(SequenceClassifier, LEVELS), augment=[Jitter(0.1), *map(_of, ("scaling:5", "mixup"))]
    )
    assert [one.verdict for one in found] == ["clear", "found", "not applicable"]
    assert [one.detail.split(":")[0] for one in found[:2]] == ["jitter", "scaling"]
    assert "mixes labels on purpose" in found[2].detail


def _of(text: str) -> Any:
    from throughtime.augmentation_specs import parse_augmentations
    from throughtime.training import AUGMENTATION_CLASSES

    (spec,) = parse_augmentations(text)
    return AUGMENTATION_CLASSES[spec.name](spec.strength, spec.probability)


def test_values_are_judged_by_their_squared_error() -> None:
    X = leveled(0.05)
    rng = np.random.default_rng(1)
    X = Sequences.from_arrays([x * rng.uniform(0.2, 1) for x in X])
    y = np.array([x.mean() for x in X])
    given = fits(SequenceRegressor, y, X, max_epochs=40)
    # the size of a series is its target; of one with a channel the order of its steps is not
    assert [one.verdict for one in augmentation_findings(**given, augment="scaling:2,permutation")] == [
        "found",
        "clear",
    ]


@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceRegressor])
def test_targets_of_steps_move_along(estimator: Any) -> None:
    X = Sequences.from_arrays([np.random.default_rng(k).normal(size=(12, 1)) for k in range(N)])
    y = [np.where(np.arange(12) % 5 == 0, np.nan, (x[:, 0] > 0) * 1.0) for x in X]
    given = fits(estimator, y, X, burn_in=2)
    # which side of zero a step is on stays where it is and where it goes; noise of twice its size hides it
    verdicts = [
        one.verdict for one in augmentation_findings(**given, augment="permutation:6,magnitude_warp:0.1,jitter:2")
    ]
    assert verdicts == ["clear", "clear", "found"]


def test_groups_are_the_unit_of_the_error() -> None:
    X, given = leveled(), fits(SequenceClassifier, LEVELS)
    alone, single, grouped = (
        augmentation_findings(**given, augment="scaling:5", groups=groups)[0].measured
        for groups in (None, np.arange(N)[::-1], np.arange(N) // 4)
    )
    assert single == pytest.approx(alone, rel=1e-12)
    assert grouped != pytest.approx(alone, rel=1e-3)
    (one,) = augmentation_findings(**given | {"X": X.replace(groups=np.arange(N) // 4)}, augment="scaling:5")
    assert one.measured == grouped
    with pytest.raises(DataError, match="groups needs at least two groups, got one"):
        augmentation_findings(**given, augment="scaling:5", groups=np.zeros(N, dtype=int))


def test_what_has_nothing_to_tell_is_not_applicable() -> None:
    everything = fits(SequenceClassifier, LEVELS, train=[np.arange(N)] * 2)
    (found,) = augmentation_findings(**everything, augment="jitter")
    assert found.verdict == "not applicable"
    assert "it needs fresh ones" in found.detail
    noise = np.random.default_rng(5).permutation(LEVELS)
    (found,) = augmentation_findings(**fits(SequenceRegressor, noise * 1.0, max_epochs=60), augment="jitter")
    assert found.verdict == "not applicable"
    assert "no better than a constant prediction" in found.detail


def test_what_does_not_fit_is_refused() -> None:
    given = fits(SequenceClassifier, LEVELS, max_epochs=1, augment="window_slice:0.9")
    with pytest.raises(
        ParameterError, match=r"need to be fitted without window_slice .*, got augment='window_slice:0.9'"
    ):
        augmentation_findings(**given, augment="jitter,window_slice:0.5")
    with pytest.raises(ParameterError, match=r"train_indices needs indices for each estimator, .*, got 3 for 4"):
        augmentation_findings(**given | {"train_indices": FOLDS[:3]}, augment="jitter")
    with pytest.raises(ParameterError, match="repeats needs at least 1, got 0"):
        augmentation_findings(**given, augment="jitter", repeats=0)
    with pytest.raises(ParameterError, match="augment needs augmentations among"):
        augmentation_findings(**given, augment="louder")
