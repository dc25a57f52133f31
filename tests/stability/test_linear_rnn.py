"""The closed form of the linear network's gradients against autograd, and the golden numbers of both gradients."""

import re

import numpy as np
import pytest
import torch

from throughtime.errors import ParameterError
from throughtime.stability import LinearRNNGradients, linear_rnn_gradients

SIZES = [(1, 1, 1, 1, 1), (1, 7, 2, 3, 1), (4, 12, 3, 5, 2), (2, 40, 1, 4, 3)]


def case(series: int, time: int, channels: int, units: int, outputs: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(time)
    return {
        "x": rng.normal(size=(series, time, channels)),
        "y": rng.normal(size=(series, time, outputs)),
        "w_xh": rng.normal(size=(units, channels)),
        "w_hh": rng.normal(size=(units, units)) / np.sqrt(units),
        "w_qh": rng.normal(size=(outputs, units)),
    }


def by_autograd(case: dict[str, np.ndarray], k: int | None) -> dict[str, torch.Tensor]:
    """Each loss through a graph of its own, which begins k steps back."""
    x, y, *weights = (torch.from_numpy(values) for values in case.values())
    w_xh, w_hh, w_qh = (weight.requires_grad_() for weight in weights)
    time = x.shape[1]
    for t in range(time):
        h = torch.zeros(len(x), len(w_hh), dtype=torch.float64)
        for s in range(t + 1):
            if k is not None and s == t - k + 1:
                h = h.detach()
            h = x[:, s] @ w_xh.T + h @ w_hh.T
        (((h @ w_qh.T - y[:, t]) ** 2).sum(1).mean() / (2 * time)).backward()
    return {"w_xh": w_xh.grad, "w_hh": w_hh.grad, "w_qh": w_qh.grad}


@pytest.mark.parametrize("k", [None, 1, 3])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_closed_form_is_autograds_gradient(sizes: tuple[int, ...], k: int | None) -> None:
    given = case(*sizes)
    k = None if k is None else min(k, sizes[1])
    found = linear_rnn_gradients(**given, k=k)
    for name, expected in by_autograd(given, k).items():
        np.testing.assert_allclose(getattr(found, name), expected.numpy(), rtol=1e-12, atol=1e-12)


def golden(k: int | None = None) -> LinearRNNGradients:
    one = np.ones((1, 1))
    return linear_rnn_gradients(np.ones((1, 3, 1)), np.zeros((1, 3, 1)), one, one / 2, one, k=k)


def test_golden_numbers_of_the_full_and_of_the_one_step_gradient() -> None:
    found = [(gradients.w_hh.item(), gradients.w_xh.item()) for gradients in (golden(), golden(1))]
    assert found[0] == pytest.approx((5 / 3, 101 / 48), rel=1e-15)
    assert found[1] == pytest.approx((11 / 8, 17 / 12), rel=1e-15)
    assert golden(3).w_hh == golden().w_hh
    assert golden(2).w_qh == golden().w_qh  # the output layer acts at the loss' own step


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"k": 0}, "k needs a whole number from 1 to 7, the steps of the series, got 0"),
        ({"k": 8}, "k needs a whole number from 1 to 7, the steps of the series, got 8"),
        ({"y": np.zeros((1, 6, 1))}, r"x and y need to be \(series, time, channel\) and .* got \(1, 7, 2\) and"),
        ({"x": np.zeros((7, 2))}, r"x and y need to be .* got \(7, 2\) and"),
        ({"x": np.zeros((1, 0, 2)), "y": np.zeros((1, 0, 1))}, "x and y need to be"),
        ({"w_hh": np.zeros((3, 4))}, r"w_xh, w_hh and w_qh need to be .* got \(3, 2\), \(3, 4\), \(1, 3\)"),
    ],
)
@pytest.mark.usefixtures("types_unchecked")
def test_what_does_not_fit_is_refused(changed: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        linear_rnn_gradients(**(case(1, 7, 2, 3, 1) | changed))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["x", "y", "w_xh", "w_hh", "w_qh"])
def test_numbers_that_are_not_finite_are_refused_by_name(name: str, value: float) -> None:
    given = case(2, 3, 2, 3, 1)
    given[name].flat[-1] = value
    place = tuple(length - 1 for length in given[name].shape)
    with pytest.raises(ParameterError, match=re.escape(f"{name} needs finite numbers, got {value} at {place}")):
        linear_rnn_gradients(**given)
