"""The last hidden states of fitted estimators, against the module's own layer."""

from typing import Any

import numpy as np
import pytest
import torch
from estimator_data import classes, ragged, series, steps

from throughtime import SequenceClassifier, SequenceRegressor, fit_members
from throughtime.estimators import states_of

SMALL: dict[str, Any] = {"hidden_size": 5, "max_epochs": 2, "random_state": 0}
ESTIMATORS = [
    SequenceClassifier(cell="gru", bidirectional=True, num_layers=2, **SMALL),
    SequenceClassifier(cell="lstm", pooling="mean", dropout=0.3, **SMALL),
    SequenceRegressor(cell="rnn", dtype="float64", **SMALL),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=["both directions", "mean pooling", "target per step"])
def test_states_are_the_last_ones_of_the_last_layer_where_each_series_ends(estimator: Any) -> None:
    by_step = isinstance(estimator, SequenceRegressor)
    fitted = estimator.fit(series(), steps() if by_step else classes())
    (found,) = states_of([fitted], series(), [np.arange(36)])
    module = fitted.module_
    for number, x in enumerate(ragged()):
        inputs = torch.from_numpy(x)[None]
        lengths = torch.tensor([len(x)])
        standardized = module.standardized(inputs, lengths, module.readout.weight.dtype)
        with torch.no_grad():
            _, end = module.recurrent(standardized)
        h_n = end[0] if isinstance(end, tuple) else end
        expected = torch.cat([*h_n[-(1 + estimator.bidirectional) :, 0]]).numpy()
        np.testing.assert_allclose(found[number], expected, rtol=0, atol=1e-6)  # float32


def test_each_member_has_the_bits_it_has_alone_on_its_own_series() -> None:
    members = fit_members([SequenceClassifier(**SMALL | {"random_state": m}) for m in range(3)], series(), classes())
    parts = [np.arange(0, 9), np.arange(20, 36), np.array([3])]
    together = states_of(members, series(), parts)
    for member, part, found in zip(members, parts, together, strict=True):
        np.testing.assert_array_equal(found, states_of([member], series(), [part])[0])


def test_the_estimator_still_gives_its_outputs() -> None:
    fitted = ESTIMATORS[0].fit(series(), classes())
    before = fitted.predict_proba(series())
    states_of([fitted], series(), [np.arange(36)])
    np.testing.assert_array_equal(fitted.predict_proba(series()), before)


class Mean(torch.nn.Module):
    """A module without layers of ours."""

    def __init__(self, n_channels: int, n_outputs: int) -> None:
        super().__init__()
        self.readout = torch.nn.Linear(n_channels, n_outputs)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.readout(x.sum(1) / lengths[:, None])


def test_a_network_of_the_users_own_has_states_of_width_0() -> None:
    own = SequenceClassifier(module=Mean, max_epochs=2, random_state=0).fit(series(), classes())
    ours = SequenceClassifier(**SMALL).fit(series(), classes())
    of_own, of_ours = states_of([own, ours], series(), [np.arange(4), np.arange(3)])
    assert of_own.shape == (4, 0)
    assert of_ours.shape == (3, 5)
