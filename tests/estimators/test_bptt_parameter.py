"""``bptt``, ``k1`` and ``k2``: what trains, what is kept in a file, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from throughtime import storage
from throughtime.data import Sequences
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceClassifier, SequenceRegressor, fit_members
from throughtime.estimators.files import FACTS, WEIGHTS

SMALL = {"hidden_size": 5, "max_epochs": 2, "batch_size": 4, "random_state": 0}
LENGTHS = (150, 3, 70, 9, 65, 64, 1, 128, 40)


def ragged() -> Sequences:
    rng = np.random.default_rng(0)
    return Sequences.from_arrays([rng.normal(size=(n, 2)).astype(np.float32) for n in LENGTHS])


def classes() -> np.ndarray:
    return np.arange(len(LENGTHS)) % 2


def by_step() -> list[np.ndarray]:
    return [series.sum(1) for series in ragged()]


def weights(fitted: Any) -> dict[str, bytes]:
    return {name: weight.numpy().tobytes() for name, weight in fitted.module_.state_dict().items()}


@pytest.mark.usefixtures("either_path", "types_unchecked")
@pytest.mark.parametrize(
    "parameters",
    [
        {"cell": "lstm"},
        {"cell": "gru", "num_layers": 2, "bidirectional": True, "pooling": "mean"},
        {"cell": "rnn", "pooling": "max", "dropout": 0.3, "zoneout": 0.2, "recurrent_dropout": 0.1},
        {"cell": "peephole_lstm", "num_layers": 2},
    ],
    ids=lambda parameters: parameters["cell"],
)
def test_checkpointed_bptt_trains_the_same_bits_as_full(parameters: dict[str, Any]) -> None:
    full, checkpointed = (
        SequenceClassifier(**SMALL, **parameters, bptt=bptt).fit(ragged(), classes())
        for bptt in ("full", "checkpointed")
    )
    assert weights(checkpointed) == weights(full)
    assert checkpointed.history_ == full.history_


@pytest.mark.usefixtures("either_path", "types_unchecked")
def test_checkpointed_bptt_trains_the_same_bits_as_full_with_a_target_each_step() -> None:
    full, checkpointed = (
        SequenceRegressor(**SMALL, cell="lstm", num_layers=2, horizon=1, bptt=bptt).fit(
            Sequences.from_arrays([series for series in ragged() if len(series) > 1]),
            [steps for steps in by_step() if len(steps) > 1],
        )
        for bptt in ("full", "checkpointed")
    )
    assert weights(checkpointed) == weights(full)


def test_k2_alone_is_k1_too_and_other_steps_give_other_weights() -> None:
    fitted = [
        SequenceRegressor(**SMALL, bptt="truncated", **steps).fit(ragged(), by_step())
        for steps in ({"k2": 20}, {"k1": 20}, {"k1": 20, "k2": 20}, {"k1": 20, "k2": 40}, {"k1": 10, "k2": 20})
    ]
    found = [weights(estimator) for estimator in fitted]
    assert found[0] == found[1] == found[2]
    assert found[3] != found[0] != found[4]


def test_members_of_other_bptt_train_side_by_side_as_each_alone() -> None:
    ways = ({}, {"bptt": "checkpointed"}, {"bptt": "truncated", "k2": 7}, {"bptt": "truncated", "k2": 90})
    members = [SequenceClassifier(**SMALL, cell="lstm", **way) for way in ways]
    for member, fitted in zip(members, fit_members(members, ragged(), classes()), strict=True):
        assert weights(fitted) == weights(member.fit(ragged(), classes()))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k2": 4}, "k2 needs bptt='truncated', got k2=4 with bptt='full'"),
        ({"bptt": "checkpointed", "k1": 4}, "k1 needs bptt='truncated', got k1=4 with bptt='checkpointed'"),
        ({"bptt": "truncated"}, "bptt='truncated' needs k2, the steps that the gradient reaches back, got none"),
        ({"bptt": "truncated", "k2": 4, "bidirectional": True}, "bptt='truncated' needs bidirectional=False, got True"),
        ({"bptt": "truncated", "k1": 5, "k2": 4}, "k2 needs to be at least k1, got k1=5 and k2=4"),
        ({"bptt": "truncated", "k2": 0}, "k2 needs a whole number of at least 1 or None, got 0"),
        (
            {"bptt": "truncated", "k2": 150},
            "k2 needs to be below the 150 steps of the longest training series, got 150: that is full BPTT",
        ),
        ({"bptt": "half"}, "bptt needs one of full, checkpointed, truncated, got 'half'"),
    ],
    ids=str,
)
def test_what_contradicts_itself_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SequenceRegressor(**SMALL, **parameters).fit(ragged(), by_step())


def test_a_module_of_the_users_own_decides_itself() -> None:
    with pytest.raises(ParameterError, match=r"module brings .* and needs bptt at its default, got 'checkpointed'"):
        SequenceRegressor(bptt="checkpointed", module=torch.nn.Linear).fit(ragged(), by_step())


def test_steps_between_updates_are_refused_where_a_batch_has_one() -> None:
    with pytest.raises(ParameterError, match="k1 needs a target at each step, got one per series and k1=4"):
        SequenceClassifier(**SMALL, bptt="truncated", k1=4, k2=4).fit(ragged(), classes())


def test_what_is_read_ahead_of_a_forecast_is_no_step_of_the_series() -> None:
    X, y = Sequences.from_arrays([np.ones((10, 1))]), [np.arange(10.0)]
    with pytest.raises(ParameterError, match="k2 needs to be below the 7 steps of the longest training series, got 7"):
        SequenceRegressor(**SMALL, bptt="truncated", k2=7, horizon=3).fit(X, y)


def test_the_parameters_are_saved_and_an_estimator_from_before_them_loads_as_full(tmp_path: Path) -> None:
    fitted = SequenceClassifier(**SMALL, bptt="truncated", k2=7).fit(ragged(), classes())
    fitted.save(tmp_path / "new")
    loaded = SequenceClassifier.load(tmp_path / "new")
    assert (loaded.bptt, loaded.k1, loaded.k2) == ("truncated", None, 7)
    assert np.array_equal(loaded.predict_proba(ragged()), fitted.predict_proba(ragged()))

    run = storage.read_run(tmp_path / "new")
    facts = run.json(FACTS)
    for name in ("bptt", "k1", "k2"):
        del facts["parameters"][name]
    files = {FACTS: json.dumps(facts).encode(), WEIGHTS: storage.arrays_to_bytes(run.arrays(WEIGHTS))}
    storage.write_run(tmp_path / "old", files, {"kind": "estimator"})
    assert SequenceClassifier.load(tmp_path / "old").bptt == "full"
