"""A cell from a file outside the package goes everywhere that one of the package goes."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from leaky_cell import LEAKY
from sklearn.base import clone

from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor, evaluate
from throughtime.errors import ParameterError
from throughtime.estimators import fit_members
from throughtime.kernels import CELLS, CellSpec
from throughtime.study import Run

SMALL: dict[str, Any] = {"cell": LEAKY, "hidden_size": 5, "max_epochs": 3, "batch_size": 8, "random_state": 0}
RNG = np.random.default_rng(0)
X = [RNG.normal(size=(length, 2)) for length in RNG.integers(2, 9, 30)]
Y = np.array([x[:, 0].mean() > 0 for x in X]).astype(int)


def weights(estimator: Any) -> dict[str, torch.Tensor]:
    return dict(estimator.module_.state_dict())


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(weight, weights(other)[name]) for name, weight in weights(one).items())


def test_it_is_a_parameter_like_any_other() -> None:
    estimator = SequenceClassifier(**SMALL)
    assert estimator.get_params()["cell"] is LEAKY
    assert clone(estimator).cell == LEAKY
    assert "cell=CellSpec(name='leaky')" in repr(estimator)
    assert pickle.loads(pickle.dumps(LEAKY)) == copy.deepcopy(LEAKY) == LEAKY
    assert "leaky" not in CELLS


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "bidirectional": True, "pooling": "max", "dropout": 0.2, "init": "orthogonal"},
        {"candidate_dropout": 0.3, "zoneout": 0.2, "recurrent_dropout": 0.3, "variational_dropout": 0.2},
    ],
    ids=["plain", "deep", "noisy"],
)
def test_its_members_are_bit_for_bit_what_they_are_alone(options: dict[str, Any]) -> None:
    members = [SequenceClassifier(**SMALL | options | {"random_state": m}) for m in range(3)]
    rows = [np.arange(m, 27 + m) for m in range(3)]
    together = fit_members(members, X, Y, train_indices=rows)
    for member, own, found in zip(members, rows, together, strict=True):
        alone = member.fit([X[row].copy() for row in own], Y[own])
        assert same(alone, found)
        assert weights(alone)["recurrent.weight_rate_l0"].shape == (5,)


def test_a_saved_network_needs_its_cell_again(tmp_path: Path) -> None:
    targets = [x[:, 0] for x in X]
    fitted = SequenceRegressor(**SMALL).fit(X, targets)
    fitted.save(tmp_path / "saved")
    loaded = SequenceRegressor.load(tmp_path / "saved", cell=LEAKY)
    assert loaded.cell is LEAKY
    assert same(loaded, fitted)
    assert np.array_equal(loaded.predict(X).values, fitted.predict(X).values)
    with pytest.raises(ParameterError, match=r"'leaky', a cell of its owner's, .* load\(directory, cell=spec\)"):
        SequenceRegressor.load(tmp_path / "saved")
    other = CellSpec("other", gates=("n",), step=LEAKY.step, unit_weights=LEAKY.unit_weights)
    with pytest.raises(ParameterError, match="needs its cell 'leaky', got CellSpec"):
        SequenceRegressor.load(tmp_path / "saved", cell=other)
    with pytest.raises(ParameterError, match="cell needs a CellSpec, got 'leaky'"):
        SequenceRegressor.load(tmp_path / "saved", cell="leaky")
    SequenceRegressor(**SMALL | {"cell": "gru"}).fit(X, targets).save(tmp_path / "gru")
    with pytest.raises(ParameterError, match="was not trained with a cell of its owner's"):
        SequenceRegressor.load(tmp_path / "gru", cell=LEAKY)


def test_a_search_compares_it_with_others() -> None:
    search = LockstepSearchCV(SequenceClassifier(**SMALL), {"cell": [LEAKY, "gru"]}, cv=2).fit(X, Y)
    assert list(search.cv_results_["param_cell"]) == [LEAKY, "gru"]
    alone = SequenceClassifier(**SMALL | {"cell": search.best_params_["cell"]}).fit(X, Y)
    assert same(alone, search.best_estimator_)


def test_a_study_of_it_is_written_and_read_with_the_cell_handed_in(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 5, 2))
    net = SequenceRegressor(cell=LEAKY, hidden_size=3, max_epochs=2, random_state=0)
    evaluated = evaluate(net, X, X.mean((1, 2)), cv=2, baselines=False)
    evaluated.save(tmp_path / "run")
    with pytest.raises(ParameterError, match="holds the weights of 'leaky'"):
        _ = Run.open(tmp_path / "run").estimator
    run = Run.open(tmp_path / "run", cell=LEAKY)
    np.testing.assert_array_equal(run.estimator.predict(X), evaluated.estimator.predict(X))
    assert run.config["parameters"]["cell"] == "leaky"
    assert [score.model for score in run.scores] == ["LEAKY"]
