"""``init=Scheme(...)``: what a name says in parts, cloned, searched, trained in one group, saved and loaded."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from estimator_data import LENGTHS, N, classes, ragged, values
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor, evaluate, storage
from throughtime.errors import DataWarning, ParameterError, StorageError
from throughtime.estimators import FACTS, WEIGHTS, fit_members, from_plain, load_estimator, to_plain
from throughtime.nn import SCHEMES, Scheme, recommended_init
from throughtime.study import Run
from throughtime.training import GroupState, Observer

SMALL: dict[str, Any] = {"hidden_size": 5, "random_state": 3, "max_epochs": 2, "batch_size": 9}
LIVELY = Scheme("he_normal", "orthogonal", "unit_forget", gain=1.3, per_gate=False)
OWN = {
    "recommended": recommended_init(),
    "of a lag": recommended_init(6),
    "of its own series": Scheme(biases="chrono"),
    "forget bias": Scheme("torch", "torch", "torch", forget_bias=2),
    "lively": LIVELY,
}


def state(estimator: Any) -> dict[str, torch.Tensor]:
    return dict(estimator.module_.state_dict())


def assert_same(one: Any, other: Any) -> None:
    assert state(one).keys() == state(other).keys()
    for name, weight in state(one).items():
        assert torch.equal(weight, state(other)[name]), name


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "critical"])
def test_a_scheme_trains_the_bits_of_its_name(name: str) -> None:
    by_name, by_scheme = (
        SequenceClassifier(**SMALL, init=init).fit(ragged(), classes()) for init in (name, SCHEMES[name])
    )
    assert_same(by_name, by_scheme)


def test_named_parameters_say_what_a_scheme_says() -> None:
    X, y = ragged(), values()
    for named, scheme in (
        ({"init": "chrono", "init_lag": 5}, Scheme(biases="chrono", lag=5)),
        ({"init": "xavier_normal", "forget_bias": 2.0}, Scheme("xavier_normal", "xavier_normal", forget_bias=2)),
    ):
        one, other = SequenceRegressor(**SMALL, **named), SequenceRegressor(**SMALL, init=scheme)
        assert_same(one.fit(X, y), other.fit(X, y))


def test_the_recommended_init_sets_the_forget_gate_of_an_lstm_and_no_gate_of_a_gru() -> None:
    still = {"lr": 1e-300, "max_epochs": 1, "dtype": "float64", "hidden_size": 5}
    for cell, expected in (("lstm", 1.0), ("gru", 0.0)):
        fitted = SequenceRegressor(**still, cell=cell, init=recommended_init()).fit(ragged(), values())
        biases = state(fitted)["recurrent.bias_ih_l0"] + state(fitted)["recurrent.bias_hh_l0"]
        kept = biases.view(-1, 5)[1]
        torch.testing.assert_close(kept, torch.full_like(kept, expected), rtol=0, atol=1e-200)


def test_a_scheme_is_kept_cloned_and_shown_as_other_parameters_are() -> None:
    model = SequenceClassifier(init=LIVELY)
    assert model.get_params()["init"] is LIVELY
    assert clone(model).init == LIVELY
    assert model.set_params(init=recommended_init(9)).init.lag == 9
    assert repr(model) == "SequenceClassifier(init=Scheme(biases='chrono', lag=9))"


class Sizes(Observer):
    """How many members trained side by side."""

    def __init__(self) -> None:
        self.found: set[int] = set()

    def on_epoch(self, state: GroupState) -> None:
        self.found.add(len(state.members))


@pytest.mark.usefixtures("either_path")
def test_members_of_other_inits_train_in_one_group_bit_for_bit_as_alone() -> None:
    X, y = ragged(np.float32), classes()
    inits = [*OWN.values(), *SCHEMES]
    members = [SequenceClassifier(**SMALL, cell="lstm", init=init) for init in inits if init != "critical"]
    members[3].set_params(early_stopping=True)
    rows: Sequence[np.ndarray] = [np.arange(m % 4, N - m) for m in range(len(members))]
    sizes = Sizes()
    fitted = fit_members(members, X, y, train_indices=rows, observers=[sizes])
    assert sizes.found == {len(members)}
    for found, member, own in zip(fitted, members, rows, strict=True):
        assert_same(found, clone(member).fit([X[row].copy() for row in own], y[own]))


@pytest.mark.parametrize("search", [LockstepSearchCV, GridSearchCV])
def test_schemes_are_searched_beside_names(search: Any) -> None:
    X, y = ragged(), classes()
    X = np.stack([x[:3] for x in X])
    tried = ["torch", LIVELY, Scheme(biases="chrono", lag=3)]
    found = search(SequenceClassifier(**SMALL), {"init": tried, "lr": [0.01, 0.03]}, cv=2).fit(X, y)
    assert list(found.cv_results_["param_init"]) == [init for init in tried for _ in range(2)]
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert_same(found.best_estimator_, SequenceClassifier(**SMALL).set_params(**found.best_params_).fit(X, y))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_lag": 9}, "init_lag needs an init that is a name, got init_lag=9 beside a Scheme: set lag in the Sch"),
        ({"forget_bias": 1.0}, "forget_bias needs an init that is a name, .* beside a Scheme: set forget_bias in the"),
    ],
)
def test_what_a_scheme_says_itself_is_not_said_beside_it(options: dict[str, Any], message: str) -> None:
    for scheme in (Scheme(biases="chrono"), LIVELY):
        with pytest.raises(ParameterError, match=message):
            SequenceClassifier(init=scheme, **options).fit(ragged(), classes())


def test_a_scheme_that_the_cell_or_the_series_have_no_use_for_is_refused() -> None:
    for cell, init, message in (
        ("rnn", recommended_init(6), "chrono needs a cell with a gate that keeps its state .*'rnn'"),
        ("rnn", Scheme(forget_bias=1), "forget_bias needs a cell with a gate that keeps its state"),
        ("gru", Scheme(recurrent="critical"), "critical needs a cell of one activation, .*'gru'"),
    ):
        with pytest.raises(ParameterError, match=message):
            SequenceClassifier(cell=cell, init=init).fit(ragged(), classes())


@pytest.mark.parametrize(
    ("options", "name"),
    [({"init": recommended_init(9)}, "lag of the Scheme"), ({"init": "chrono", "init_lag": 9}, "init_lag")],
)
def test_a_lag_beyond_the_series_is_told_and_used(options: dict[str, Any], name: str) -> None:
    # no refusal: a fold would fail that holds the longest series out
    with pytest.warns(DataWarning, match=f"{name} is 9.*, beyond the 8 steps of the longest training series"):
        told = SequenceClassifier(max_epochs=1, **options).fit(ragged(), classes())
    assert told.network_ is not None


@pytest.mark.usefixtures("types_unchecked")
def test_what_is_nearly_a_scheme_is_refused() -> None:
    class Alike:
        recurrent, biases, lag = "torch", "torch", None

    for init in (Scheme, SCHEMES, Alike(), asdict(LIVELY)):
        with pytest.raises(ParameterError, match=r"init needs one of torch, .*, chrono or a Scheme, got "):
            SequenceClassifier(init=init).fit(ragged(), classes())


@pytest.mark.parametrize("name", OWN)
def test_a_scheme_is_saved_as_its_parts_and_loaded_equal(name: str, tmp_path: Path) -> None:
    init = OWN[name]
    fitted = SequenceClassifier(**SMALL, cell="lstm", init=init).fit(ragged(), classes())
    assert fitted.init is init
    fitted.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / FACTS).read_bytes())["parameters"]["init"] == asdict(init)
    loaded = SequenceClassifier.load(tmp_path / "saved")
    assert isinstance(loaded.init, Scheme)
    assert loaded.get_params() == fitted.get_params()
    assert_same(loaded, fitted)
    assert_same(clone(loaded).fit(ragged(), classes()), fitted)


def edits() -> list[Any]:
    """What a file may say in the place of ``LIVELY``."""
    plain = asdict(LIVELY)
    others: dict[str, list[Any]] = {
        "input": ["critical", "pickle", "", None, 1, ["torch"], {}],
        "recurrent": ["glorot", None, True],
        "biases": ["chrono ", [], 0],
        "forget_bias": ["1", True, [1.0], {"x": 1}],
        "lag": [9, 1, "9", True, -1],
        "gain": [0, -1, None, "1", True, 10**400, []],
        "per_gate": [0, 1, None, "true", []],
    }
    edited = [plain | {name: value} for name, values in others.items() for value in values]
    gone = [{name: value for name, value in plain.items() if name != one} for one in plain]
    chrono = [plain | {"biases": "chrono", "lag": lag} for lag in (1, 0, -5, "9", 10**400, True)]
    return [*edited, *gone, *chrono, plain | {"surprise": 1}, {}, [], [plain], None, 7, "glorot"]


@pytest.mark.usefixtures("types_unchecked")
def test_an_edited_scheme_is_refused_wherever_it_is_read(tmp_path: Path) -> None:
    fitted = SequenceClassifier(**SMALL, init=LIVELY).fit(ragged(), classes())
    facts, arrays = to_plain(fitted)
    facts = json.loads(storage.json_to_bytes(facts))
    assert from_plain(facts, arrays, "here").init == LIVELY
    for number, edit in enumerate(edits()):
        edited = facts | {"parameters": facts["parameters"] | {"init": edit}}
        with pytest.raises(StorageError, match="needs to hold a saved estimator, got ParameterError: init needs"):
            raise AssertionError(f"{edit!r}: {from_plain(edited, arrays, 'here')}")
        if number % 8 == 0:  # through files too
            files = {FACTS: storage.json_to_bytes(edited), WEIGHTS: storage.arrays_to_bytes(arrays)}
            storage.write_run(tmp_path / str(number), files, {})
            with pytest.raises(StorageError, match="init needs"):
                load_estimator(tmp_path / str(number))


@pytest.mark.usefixtures("types_unchecked")
def test_a_run_holds_the_scheme_and_an_edited_one_is_refused(tmp_path: Path) -> None:
    X = np.stack([x[:3] for x in ragged()])
    evaluate(SequenceClassifier(**SMALL, init=LIVELY), X, classes(), cv=2).save(tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert run.config["parameters"]["init"] == asdict(LIVELY)
    assert run.estimator.init == LIVELY
    assert all(member.estimator is not None and member.estimator.init == LIVELY for member in run.members)
    files = {name: (tmp_path / "run" / name).read_bytes() for name in run.names}
    config = json.loads(files["config.json"])
    for number, edit in enumerate(edits()):
        edited = json.dumps(config | {"parameters": config["parameters"] | {"init": edit}}).encode()
        storage.write_run(tmp_path / str(number), files | {"config.json": edited}, {})
        with pytest.raises(StorageError, match="needs to hold the settings of a run, but init needs"):
            raise AssertionError(f"{edit!r}: {Run.open(tmp_path / str(number)).config}")


def test_the_default_lag_is_that_of_the_series_trained_on() -> None:
    X, y = ragged(), classes()
    short = np.flatnonzero(LENGTHS <= 5)
    one, other = (
        SequenceClassifier(**SMALL, init=init).fit([X[row] for row in short], y[short])
        for init in (Scheme(biases="chrono"), Scheme(biases="chrono", lag=5))
    )
    assert_same(one, other)
