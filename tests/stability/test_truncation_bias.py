"""Bias of a truncated gradient: its limits, a closed form, and what the check makes of it."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from throughtime.errors import ParameterError
from throughtime.findings import run_checks
from throughtime.nn import GRU, LinearRNN
from throughtime.stability import TRUNCATION_CHECKS, TruncationBias, lag_decomposition, truncation_bias

TIME = 12


def inputs() -> Tensor:
    return torch.randn(3, TIME, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def at_the_end(output: tuple[Tensor, Tensor]) -> Tensor:
    return output[0][:, -1].sum()


def layer(cls: type = GRU) -> torch.nn.Module:
    torch.manual_seed(0)
    return cls(2, 4, batch_first=True).double()


def test_nothing_is_cut_where_k_is_the_whole_series_and_by_default_k_doubles() -> None:
    found = truncation_bias(layer(), inputs(), at_the_end)
    assert found.k == (1, 2, 4, 8, 12)
    assert (found.steps, found.cosine[-1], found.norm_ratio[-1]) == (12, pytest.approx(1), pytest.approx(1))
    assert found.relative_bias[-1] == pytest.approx(0, abs=1e-7)


def test_the_bias_is_that_of_the_sum_of_the_first_lags() -> None:
    parts = lag_decomposition(layer(), inputs(), at_the_end)
    full = np.concatenate([grad.ravel() for grad in parts.full.values()])
    found = truncation_bias(layer(), inputs(), at_the_end, [1, 5])
    for k, cosine, ratio, bias in zip(found.k, found.cosine, found.norm_ratio, found.relative_bias, strict=True):
        cut = np.concatenate([terms[:k].sum(0).ravel() for terms in parts.terms.values()])
        assert cosine == pytest.approx(cut @ full / np.linalg.norm(cut) / np.linalg.norm(full), rel=1e-12)
        assert ratio == pytest.approx(np.linalg.norm(cut) / np.linalg.norm(full), rel=1e-12)
        assert bias == pytest.approx(np.linalg.norm(cut - full) / np.linalg.norm(full), rel=1e-9)


def test_a_linear_memory_of_one_unit_loses_what_its_power_says() -> None:
    memory = LinearRNN(1, 1, bias=False, batch_first=True).double()
    with torch.no_grad():
        memory.weight_ih_l0.fill_(1)
        memory.weight_hh_l0.fill_(0.5)
    x = torch.ones(1, TIME, 1, dtype=torch.float64)
    found = truncation_bias(memory, x, at_the_end, [3])
    u, lags = 0.5, np.arange(TIME)
    h = (1 - u ** np.arange(TIME + 1)) / (1 - u)  # before each step
    parts = np.stack([u**lags, u**lags * h[TIME - 1 - lags]])  # dL/dw_xh and dL/dw_hh of each lag
    cut, full = parts[:, :3].sum(1), parts.sum(1)
    assert found.norm_ratio[0] == pytest.approx(np.linalg.norm(cut) / np.linalg.norm(full), rel=1e-12)


@pytest.mark.parametrize("k", [0, 13, [1, 13], 1.5, "3", True, [2, "3"]], ids=str)
@pytest.mark.usefixtures("types_unchecked")
def test_steps_beyond_the_series_are_refused(k: object) -> None:
    with pytest.raises(ParameterError, match="k needs a whole number from 1 to 12, the steps of the longest series"):
        truncation_bias(layer(), inputs(), at_the_end, k)
    with pytest.raises(ParameterError, match="k needs at least one number of steps, got none"):
        truncation_bias(layer(), inputs(), at_the_end, [])


def finding(record: TruncationBias | None, k2: int | None) -> object:
    (found,) = run_checks(TRUNCATION_CHECKS, truncation_bias=record, k2=k2)
    return found


def test_the_check_fires_where_half_of_the_gradient_is_cut_and_not_where_little_is() -> None:
    record = TruncationBias((2, 8), (0.3, 0.999), (0.2, 0.98), 100)
    assert (finding(record, 2).verdict, finding(record, 8).verdict) == ("found", "clear")
    assert "at k2=2 the gradient has cosine 0.30 to the full one and 0.20 of its norm" in finding(record, 2).detail
    assert "try a larger k2" in finding(record, 2).remedy


def test_a_gradient_that_was_cut_whole_is_biased_by_all_of_it() -> None:
    assert TruncationBias((1,), (math.nan,), (0.0,), 9).relative_bias == (1.0,)


@pytest.mark.parametrize(
    ("k2", "why"),
    [(None, "training is not truncated"), (100, "cuts nothing of series of 100 steps"), (4, "only at k=2, 8")],
)
def test_the_check_is_not_applicable_where_nothing_was_measured(k2: int | None, why: str) -> None:
    found = finding(TruncationBias((2, 8), (0.3, 0.999), (0.2, 0.98), 100), k2)
    assert found.verdict == "not applicable"
    assert why in found.detail
