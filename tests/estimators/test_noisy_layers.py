"""Noise in the layers of an estimator: drawn while training, its expectation ever after."""

import numpy as np
import pytest
import torch
from estimator_data import N, classes, ragged, values
from sklearn.base import clone

from throughtime import cross_validate, fit_members
from throughtime.estimators import SequenceClassifier, SequenceRegressor
from throughtime.nn import SequenceNetwork

SMALL = {"hidden_size": 8, "random_state": 0, "max_epochs": 2, "batch_size": 12, "lr": 0.05, "cell": "lstm"}
RATES = {
    "variational_dropout": 0.2,
    "recurrent_dropout": 0.3,
    "candidate_dropout": 0.25,
    "zoneout": 0.1,
    "cell_zoneout": 0.4,
}


def module_outputs(fitted: SequenceRegressor, module: torch.nn.Module | None = None) -> np.ndarray:
    """Series by series, on the target's own scale."""
    module = fitted.module_ if module is None else module
    with torch.no_grad():
        outputs = [module(torch.from_numpy(x)[None]).item() for x in ragged()]
    return np.array(outputs) * fitted.target_scale_ + fitted.target_mean_


def test_each_rate_changes_what_is_learned_in_a_way_of_its_own():
    learned = [
        SequenceRegressor(**SMALL, num_layers=2, **rates).fit(ragged(), values()).module_.state_dict()
        for rates in ({}, *({name: rate} for name, rate in RATES.items()))
    ]
    for name in ("recurrent.weight_ih_l0", "recurrent.weight_hh_l1", "readout.weight"):
        found = torch.stack([state[name] for state in learned])
        assert len(torch.unique(found, dim=0)) == 1 + len(RATES)


def test_rates_of_zero_in_noisy_company_change_no_bit():
    members = [SequenceRegressor(**SMALL, zoneout=0, recurrent_dropout=0.0), SequenceRegressor(**SMALL, **RATES)]
    silent, noisy = fit_members(members, ragged(), values())
    plain = SequenceRegressor(**SMALL).fit(ragged(), values())
    for name, weight in plain.module_.state_dict().items():
        assert torch.equal(weight, silent.module_.state_dict()[name])
    assert not torch.equal(plain.module_.readout.weight, noisy.module_.readout.weight)
    assert plain.history_ == silent.history_


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_predictions_are_the_modules_with_zoneout_as_its_expectation(cell, bidirectional):
    rates = {**RATES, "candidate_dropout": 0.0, "cell_zoneout": 0.4 if cell == "lstm" else 0.0}
    options = SMALL | {"cell": cell, "num_layers": 2, "bidirectional": bidirectional}
    fitted = SequenceRegressor(**options, **rates).fit(ragged(), values())
    # float64, padded to the longest series here and alone there
    np.testing.assert_allclose(fitted.predict(ragged()), module_outputs(fitted), rtol=1e-10)
    deaf = SequenceNetwork(fitted.module_.net, dtype=torch.float64).eval()
    deaf.load_state_dict(fitted.module_.state_dict())
    assert not np.allclose(module_outputs(fitted, deaf), fitted.predict(ragged()), rtol=1e-3)
    # what is set after the fit is for the next one
    before = fitted.predict(ragged())
    assert np.array_equal(fitted.set_params(zoneout=0.0).predict(ragged()), before)


def test_the_loss_watched_while_training_is_that_of_the_fitted_module():
    rows = [np.arange(24), np.arange(24)]
    members = [SequenceRegressor(**SMALL, **rates) for rates in (RATES, {})]
    for fitted in fit_members(members, ragged(), values(), train_indices=rows, eval_indices=[np.arange(24, N)] * 2):
        errors = ((module_outputs(fitted) - values()) / fitted.target_scale_)[24:]
        assert fitted.history_[-1].eval_loss == pytest.approx(np.mean(errors**2), rel=1e-9)


def test_a_module_in_training_draws_the_same_kinds_of_noise():
    fitted = SequenceClassifier(**SMALL, **RATES, dropout=0.5).fit(ragged(), classes())
    assert {name: getattr(fitted.module_.recurrent, name) for name in RATES} == RATES
    assert fitted.module_.dropout.p == 0.5


def test_noise_is_a_parameter_that_a_validation_may_vary():
    scores = cross_validate(SequenceClassifier(**SMALL | {"max_epochs": 12}, **RATES), ragged(), classes(), cv=3)
    assert scores["test_score"].mean() > 0.6  # of three classes
    assert clone(SequenceClassifier(zoneout=0.3)).zoneout == 0.3
