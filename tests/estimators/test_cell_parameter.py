"""``cell`` and ``nonlinearity``: every cell fits, is saved, trains in lockstep; what it does not have is refused."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from estimator_data import N, classes, ragged, steps, values
from sklearn.base import clone

from throughtime import storage
from throughtime.estimators import SequenceClassifier, SequenceRegressor, fit_members, predict_members
from throughtime.estimators.files import FACTS, WEIGHTS
from throughtime.kernels import CELLS
from throughtime.nn import Architecture
from throughtime.parameters import CellName

SMALL: dict[str, Any] = {"hidden_size": 5, "random_state": 3, "max_epochs": 3, "batch_size": 9}
NEW = {
    "linear": {"cell": "linear"},
    "peephole": {"cell": "peephole_lstm"},
    "relu": {"cell": "rnn", "nonlinearity": "relu", "init": "he_normal"},
}
FORMS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "deep": {"num_layers": 2, "bidirectional": True, "pooling": "mean", "dropout": 0.3, "init": "orthogonal"},
    "noisy": {"recurrent_dropout": 0.3, "variational_dropout": 0.2, "zoneout": 0.2},
}
each_cell = pytest.mark.parametrize("cell", NEW.values(), ids=NEW)


def state(estimator: Any) -> dict[str, torch.Tensor]:
    return dict(estimator.module_.state_dict())


def assert_same_state(one: Any, other: Any) -> None:
    assert state(one).keys() == state(other).keys()
    for name, weight in state(one).items():
        assert torch.equal(weight, state(other)[name]), name


@pytest.mark.parametrize("form", FORMS)
@each_cell
def test_a_member_is_bit_for_bit_what_it_is_alone(cell: dict[str, Any], form: str) -> None:
    options = SMALL | cell | FORMS[form]
    if cell["cell"] == "peephole_lstm" and form == "noisy":
        options |= {"candidate_dropout": 0.3, "cell_zoneout": 0.4}
    X, y = ragged(np.float32), classes()
    members = [SequenceClassifier(**options | {"random_state": m, "lr": 0.01 * (m + 1)}) for m in range(3)]
    rows = [np.arange(m, N - 5 * m) for m in range(3)]
    together = fit_members(members, X, y, train_indices=rows)
    outputs = predict_members(together, together[0]._outputs(X)[0], rows)
    for member, own, found, output in zip(members, rows, together, outputs, strict=True):
        alone = clone(member).fit([X[row].copy() for row in own], y[own])
        assert_same_state(alone, found)
        assert np.array_equal(alone._outputs([X[row] for row in own])[1], output)


@each_cell
def test_a_fitted_network_is_saved_and_loaded_the_same(cell: dict[str, Any], tmp_path: Path) -> None:
    fitted = SequenceRegressor(**SMALL, **cell).fit(ragged(), steps())
    fitted.save(tmp_path / "saved")
    loaded = SequenceRegressor.load(tmp_path / "saved")
    assert loaded.get_params() == fitted.get_params()
    assert_same_state(loaded, fitted)
    assert np.array_equal(loaded.predict(ragged()).values, fitted.predict(ragged()).values)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_the_nonlinearity_is_that_of_torchs_layer(nonlinearity: str) -> None:
    fitted = SequenceRegressor(**SMALL, cell="rnn", nonlinearity=nonlinearity, dtype="float64").fit(ragged(), values())
    layer = torch.nn.RNN(2, 5, nonlinearity=nonlinearity, batch_first=True, dtype=torch.float64)
    layer.load_state_dict({n.removeprefix("recurrent."): w for n, w in state(fitted).items() if "recurrent" in n})
    module = fitted.module_
    for x in ragged()[:5]:
        h = layer((torch.from_numpy(x) - module.shift) / module.scale)[1][0]
        expected = module.readout(h) * fitted.target_scale_ + fitted.target_mean_
        # float64 keeps 16 digits; eight steps of sums of seven terms lose two
        torch.testing.assert_close(fitted.predict([x]), expected.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_a_run_from_before_the_nonlinearity_could_be_chosen_loads_as_tanh(tmp_path: Path) -> None:
    fitted = SequenceClassifier(**SMALL, cell="rnn").fit(ragged(), classes())
    fitted.save(tmp_path / "saved")
    run = storage.read_run(tmp_path / "saved")
    facts = run.json(FACTS)
    del facts["parameters"]["nonlinearity"], facts["architecture"]["nonlinearity"]
    files = {FACTS: json.dumps(facts).encode(), WEIGHTS: storage.arrays_to_bytes(run.arrays(WEIGHTS))}
    storage.write_run(tmp_path / "older", files, {"kind": "estimator"})
    loaded = SequenceClassifier.load(tmp_path / "older")
    assert loaded.nonlinearity == "tanh"
    assert_same_state(loaded, fitted)
    assert np.array_equal(loaded.predict_proba(ragged()), fitted.predict_proba(ragged()))


def test_a_cell_given_as_the_packages_own_spec_trains_the_same() -> None:
    by_name, by_spec = (
        SequenceClassifier(**SMALL, cell=cell).fit(ragged(), classes()) for cell in ("gru", CELLS["gru"])
    )
    assert_same_state(by_name, by_spec)


@pytest.mark.parametrize("cell", get_args(CellName))
def test_every_cell_says_how_much_memory_it_takes(cell: str) -> None:
    spec = Architecture(cell, 2, 5, 1, False, "last", 2).spec
    assert spec.kept > spec.passing > len(spec.states)
