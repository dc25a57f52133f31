"""A fitted estimator's network, inputs and loss as a module's: they are those that training and prediction have."""

from typing import Any

import numpy as np
import pytest
import torch
from estimator_data import classes, ragged, series, steps, values
from sklearn.exceptions import NotFittedError
from torch import nn

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.data import Sequences
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import (
    at_initialization,
    fit_members,
    gradient_flow_of,
    lag_curve_of,
    module_call,
)

FAST: dict[str, Any] = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}


def gappy() -> Sequences:
    """Series that miss values, with static features."""
    parts = ragged()
    for x in parts:
        x[1, 0] = np.nan
    return Sequences.from_arrays(parts, static=np.arange(len(parts) * 2.0).reshape(-1, 2))


class Own(nn.Module):
    """A network of the user's own, on torch's layer."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.rnn, self.out = nn.GRU(n_inputs, 4, batch_first=True), nn.Linear(4, n_outputs)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> Any:
        y = self.rnn(x)[0]
        return self.out(y[torch.arange(len(y)), lengths - 1])


CASES = {
    "classes": (SequenceClassifier(cell="lstm", num_layers=2, bidirectional=True, **FAST), series(), classes()),
    "missing": (SequenceClassifier(missing="mask", pooling="mean", **FAST), gappy(), classes()),
    "values": (SequenceRegressor(target_transform="log", **FAST), series(), values()),
    "steps": (SequenceRegressor(burn_in=1, **FAST), series(), steps()),
    "step classes": (SequenceClassifier(**FAST), series(), steps(of_classes=True)),
    "forecast": (SequenceRegressor(horizon=2, known=[1], **FAST), series(), steps()),
    "module": (SequenceRegressor(module=Own, max_epochs=2, random_state=0), series(), values()),
}


@pytest.mark.parametrize("case", CASES)
def test_the_loss_is_the_one_that_training_evaluates(case: str) -> None:
    estimator, X, y = CASES[case]
    weights = np.linspace(0, 2, len(X))
    (fitted,) = fit_members([estimator], X, y, eval_indices=[np.arange(len(X))], sample_weight=weights)
    call = module_call(fitted, X, y, weights)
    assert call.lengths.tolist() == (X.lengths - fitted.horizon_).tolist()
    loss = float(call.loss(call.module(call.x, call.lengths)).detach())
    assert loss == pytest.approx(fitted.history_[-1].eval_loss, rel=1e-5)
    flow = gradient_flow_of(fitted, X, y, weights)
    assert (flow.loss, flow.training) == (pytest.approx(loss, rel=1e-6), False)
    assert all(norm > 0 for norm in flow.weight_norms.values())
    curve = lag_curve_of(fitted, X, dtype=torch.float64)
    assert curve.longest == call.lengths.max()
    assert len(curve.layers) == len(flow.layers)


def test_an_estimator_at_initialization_has_the_weights_that_training_starts_from() -> None:
    estimator = SequenceClassifier(cell="lstm", lr=1e-30, **FAST)  # whose steps are below a weight's last bit
    begun = at_initialization(estimator, series(), classes())
    trained = SequenceClassifier(cell="lstm", lr=1e-30, **FAST).fit(series(), classes()).module_.state_dict()
    for name, weight in begun.module_.state_dict().items():
        assert torch.equal(trained[name], weight)
    assert begun.history_ == []
    assert not hasattr(estimator, "network_")
    assert len(begun.predict(series())) == len(series())
    other = at_initialization(SequenceClassifier(cell="lstm", init="orthogonal", **FAST), series(), classes())
    assert lag_curve_of(begun, series()).gradient_horizon != lag_curve_of(other, series()).gradient_horizon


def test_what_predict_and_fit_refuse_is_refused() -> None:
    fitted = SequenceClassifier(**FAST).fit(series(), classes())
    with pytest.raises(NotFittedError):
        module_call(SequenceClassifier(), series())
    with pytest.raises(DataError, match="needs the 2 channels"):
        lag_curve_of(fitted, np.zeros((4, 5, 3)))
    with pytest.raises(ParameterError, match="a target per series as in fit, got one per step"):
        gradient_flow_of(fitted, series(), steps(of_classes=True))
    with pytest.raises(TypeError, match="got y=None"):
        module_call(fitted, series()).loss(torch.zeros(1))
