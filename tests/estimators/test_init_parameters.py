"""``init``, ``init_lag`` and ``forget_bias``: how an estimator's network starts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from estimator_data import LENGTHS, N, classes, ragged, values
from sklearn.base import clone

from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor, storage
from throughtime.data import Sequences
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import FACTS, WEIGHTS, fit_members
from throughtime.nn import SCHEMES, Scheme

SMALL: dict[str, Any] = {"hidden_size": 5, "random_state": 3, "max_epochs": 2, "batch_size": 9}
#: a training that leaves the weights where they start
STILL: dict[str, Any] = {"lr": 1e-300, "dtype": "float64", "random_state": 3, "max_epochs": 1}


def state(estimator: Any) -> dict[str, torch.Tensor]:
    return dict(estimator.module_.state_dict())


def assert_same(one: Any, other: Any) -> None:
    assert state(one).keys() == state(other).keys()
    for name, weight in state(one).items():
        assert torch.equal(weight, state(other)[name]), name


def biases(estimator: Any, gate: int, layer: int = 0) -> torch.Tensor:
    """The sum of a gate's two biases."""
    own = state(estimator)
    whole = own[f"recurrent.bias_ih_l{layer}"] + own[f"recurrent.bias_hh_l{layer}"]
    return whole.view(-1, estimator.hidden_size)[gate]


@pytest.mark.parametrize("init", SCHEMES)
def test_every_init_trains(init: str) -> None:
    cell = "rnn" if init in ("critical", "identity") else "lstm"
    fitted = SequenceClassifier(**SMALL, cell=cell, init=init, num_layers=2, bidirectional=True).fit(
        ragged(), classes()
    )
    assert np.isfinite(fitted.predict_proba(ragged())).all()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_chrono_has_memories_up_to_the_longest_series_trained_on_or_to_init_lag(cell: str) -> None:
    X, y = ragged(), classes()
    short, longest = np.flatnonzero(LENGTHS <= 5), LENGTHS.max()
    for lag, rows, options in ((5, short, {}), (longest, np.arange(N), {}), (4, short, {"init_lag": 4})):
        model = SequenceClassifier(**STILL, hidden_size=300, cell=cell, init="chrono", **options)
        found = biases(model.fit([X[row] for row in rows], y[rows]), 1).exp()
        # of 300 draws the largest is within 5 % of the bound
        assert 0.95 * (lag - 1) < found.max() <= (lag - 1) * (1 + 1e-12)


def test_an_inner_validation_split_is_no_part_of_the_series_trained_on() -> None:
    X = [np.ones((4, 1))] * 20 + [np.ones((50, 1))]
    y = np.arange(21) % 2
    lags = set()
    for seed in range(8):
        model = SequenceClassifier(
            **STILL | {"random_state": seed}, hidden_size=200, init="chrono", early_stopping=True
        )
        lags.add(round(biases(model.fit(X, y), 1).exp().max().item() / 3))
    assert lags == {1, 16}  # 3 and 49, as the long series falls


@pytest.mark.parametrize(("cell", "gate"), [("gru", 1), ("lstm", 1), ("peephole_lstm", 1)])
@pytest.mark.parametrize("init", ["torch", "orthogonal"])
def test_a_forget_bias_is_what_the_two_biases_sum_to_in_every_layer(cell: str, gate: int, init: str) -> None:
    model = SequenceRegressor(**STILL, hidden_size=5, num_layers=2, cell=cell, init=init, forget_bias=2.0)
    fitted = model.fit(ragged(), values())
    for layer in range(2):
        assert (biases(fitted, gate, layer) == 2).all()
        assert (biases(fitted, gate - 1, layer).abs() < 1e-200).all() == (init == "orthogonal")


@pytest.mark.usefixtures("either_path")
def test_members_of_other_lags_train_together_bit_for_bit_as_alone() -> None:
    X, y = ragged(np.float32), classes()
    rows = [np.arange(N), np.flatnonzero(LENGTHS <= 5), np.flatnonzero(LENGTHS <= 6), np.arange(25)]
    options = [{}, {}, {"init_lag": 6}, {"init_lag": 7, "early_stopping": True}]
    for cell in ("gru", "lstm"):
        members = [SequenceClassifier(**SMALL, cell=cell, init="chrono", **own) for own in options]
        for found, member, own in zip(fit_members(members, X, y, train_indices=rows), members, rows, strict=True):
            assert_same(found, clone(member).fit([X[row].copy() for row in own], y[own]))


def test_a_grid_of_inits_and_forget_biases_is_searched_and_each_is_what_it_is_alone() -> None:
    X, y = ragged(), classes()
    grid = [
        {"init": ["torch", "orthogonal", "keras"], "forget_bias": [None, 1.0]},
        {"init": ["chrono"], "init_lag": [None, 4]},
    ]
    search = LockstepSearchCV(SequenceClassifier(**SMALL, cell="lstm"), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert_same(
        search.best_estimator_, SequenceClassifier(**SMALL, cell="lstm").set_params(**search.best_params_).fit(X, y)
    )


def test_one_member_that_cannot_start_so_leaves_the_others_alone() -> None:
    members = [SequenceClassifier(**SMALL, cell=cell, init="chrono") for cell in ("gru", "rnn")]
    good, bad = fit_members(members, ragged(), classes())
    assert isinstance(bad, ParameterError)
    assert_same(good, clone(members[0]).fit(ragged(), classes()))


def test_series_of_one_step_have_no_lag() -> None:
    X, y = Sequences.from_arrays([np.ones((1, 2))] * 8), np.arange(8) % 2
    for options in ({"init": "chrono"}, {"init": "chrono", "init_lag": 9}, {"init": Scheme(biases="chrono", lag=9)}):
        with pytest.raises(DataError, match=r"^chrono needs a training series of at least 2 steps, got 1$"):
            SequenceClassifier(**SMALL, **options).fit(X, y)


def test_a_module_starts_as_its_factory_says() -> None:
    for option in ({"init_lag": 9}, {"forget_bias": 1.0}, {"init": "keras"}):
        model = SequenceClassifier(random_state=0, max_epochs=1, module=lambda *_: torch.nn.Identity(), **option)
        with pytest.raises(ParameterError, match=f"module brings a network of its own and needs {next(iter(option))}"):
            model.fit(ragged(), classes())


def test_the_parameters_are_saved_and_files_without_them_are_read(tmp_path: Path) -> None:
    fitted = SequenceClassifier(**SMALL, cell="lstm", init="chrono", init_lag=5).fit(ragged(), classes())
    fitted.save(tmp_path / "saved")
    loaded = SequenceClassifier.load(tmp_path / "saved")
    assert loaded.get_params() == fitted.get_params()
    assert_same(loaded, fitted)
    files = {name: (tmp_path / "saved" / name).read_bytes() for name in (FACTS, WEIGHTS)}
    facts = json.loads(files[FACTS])
    for name in ("init_lag", "forget_bias"):
        del facts["parameters"][name]
    storage.write_run(tmp_path / "old", files | {FACTS: storage.json_to_bytes(facts)}, {"kind": "estimator"})
    old = SequenceClassifier.load(tmp_path / "old")
    assert (old.init_lag, old.forget_bias) == (None, None)
    assert_same(old, fitted)
