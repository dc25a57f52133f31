"""A backend from a file outside the package serves the tensors that it takes, and no others."""

import numpy as np
import pytest
import torch
from counting_backend import CountingBackend

from throughtime import SequenceRegressor
from throughtime.kernels import BACKENDS, backend_for

X = np.random.default_rng(0).normal(size=(20, 6, 2))
Y = X.mean((1, 2))


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> CountingBackend:
    backend = CountingBackend()
    monkeypatch.setattr("throughtime.kernels.dispatch.BACKENDS", [backend, *BACKENDS])
    return backend


def test_training_and_prediction_run_on_it(counting: CountingBackend) -> None:
    net = SequenceRegressor(hidden_size=3, max_epochs=1, batch_size=10, random_state=0, dtype="float64")
    on_others = net.set_params(dtype="float32").fit(X, Y).predict(X)
    assert counting.products == 0
    fitted = net.set_params(dtype="float64").fit(X, Y)
    assert counting.products == 20 * 6 * 9 * (2 + 3)  # once over the series, in three gates
    np.testing.assert_allclose(fitted.predict(X), on_others, rtol=1e-4)  # float32's


def test_the_first_that_takes_a_device_and_dtype_serves_it(counting: CountingBackend) -> None:
    cpu = torch.device("cpu")
    assert backend_for(cpu, torch.float64) is counting
    assert backend_for(cpu, torch.float32) is not counting
