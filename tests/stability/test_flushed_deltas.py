"""Deltas are counted against their format's smallest number: closed form, and autograd through a loop of cells."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from recurrent_models import MAKERS, layer, series, start
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from throughtime import nn as ours
from throughtime.errors import DataError, ParameterError
from throughtime.findings import run_checks
from throughtime.stability import flushed_deltas, longest_memory
from throughtime.stability.linearization import linearize
from throughtime.stability.precision import COARSE_GATES, FLUSHED
from throughtime.stability.traces import trace


def last(output: Any) -> Tensor:
    return output[0][-1].sum()


def halving(dtype: torch.dtype = torch.float32) -> nn.Module:
    made = ours.LinearRNN(1, 2, dtype=dtype)
    with torch.no_grad():
        made.weight_hh_l0.copy_(torch.eye(2) * 0.5)
    return made


def test_a_delta_that_halves_each_step_is_flushed_after_126_steps() -> None:
    (found,) = flushed_deltas(halving(), torch.zeros(200, 3, 1), last)
    assert found.smallest == 2.0**-126
    np.testing.assert_array_equal(found.by_step, np.arange(199, -1, -1) > 126)
    assert found.fraction == pytest.approx(73 / 200)
    (scaled,) = flushed_deltas(halving(), torch.zeros(200, 3, 1), lambda output: last(output) * 2.0**40)
    np.testing.assert_array_equal(scaled.by_step, np.arange(199, -1, -1) > 166)
    (double,) = flushed_deltas(halving(torch.float64), torch.zeros(200, 3, 1, dtype=torch.float64), last)
    assert double.fraction == 0


def test_a_loss_of_the_states_at_each_step_is_refused() -> None:
    class Stated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = ours.GRU(1, 2, num_layers=2)

        def forward(self, x: Tensor) -> Any:
            return self.layer(x, return_states=True)

    x = torch.zeros(9, 3, 1)
    assert flushed_deltas(Stated(), x, last)
    with pytest.raises(ParameterError, match=r"got one that reads its states at each step \(return_states\)"):
        flushed_deltas(Stated(), x, lambda output: last(output) + output[2][0].sum())


@pytest.mark.parametrize(
    ("dtype", "name", "after"), [(torch.bfloat16, "bfloat16", 126), (torch.float16, "float16", 14)]
)
def test_each_format_has_its_own_smallest_number(dtype: torch.dtype, name: str, after: int) -> None:
    # torch's own layer: the recurrent op of the package takes float32 and float64
    made = nn.RNN(1, 2, dtype=dtype)
    with torch.no_grad():
        for weight in made.parameters():
            weight.zero_()
        made.weight_hh_l0.copy_(torch.eye(2) * 0.5)
    (found,) = flushed_deltas(made, torch.zeros(150, 1, 1, dtype=dtype), last)
    assert found.dtype == name
    np.testing.assert_array_equal(found.by_step, np.arange(149, -1, -1) > after)


def test_steps_that_the_loss_does_not_depend_on_are_not_counted() -> None:
    (found,) = flushed_deltas(halving(), torch.zeros(200, 3, 1), lambda output: output[0][149].sum())
    assert np.isnan(found.by_step[150:]).all()
    assert found.fraction == pytest.approx(23 / 150)


@pytest.mark.parametrize("name", MAKERS)
def test_pulling_back_is_the_transpose_of_pushing_forward(name: str) -> None:
    made = layer(name, 2, bidirectional=True)
    generator = torch.Generator().manual_seed(0)
    for place in trace(made, (series(), start(made))):
        step_of = linearize(place)
        columns, deltas = (
            tuple(torch.randn(4, width, generator=generator, dtype=torch.float64) for width in place.widths)
            for _ in range(2)
        )
        for t in range(6):
            pushed = step_of.push(tuple(part[..., None] for part in columns), t)
            pulled = step_of.pull(deltas, t)
            there = sum((delta * new[..., 0]).sum() for delta, new in zip(deltas, pushed, strict=True))
            back = sum((old * part).sum() for old, part in zip(pulled, columns, strict=True))
            torch.testing.assert_close(there, back)


def loop_of_cells(made: nn.GRU, x: Tensor, lengths: list[int]) -> tuple[Tensor, dict[str, list[list[Tensor]]]]:
    """A stack of GRUs as a loop, series by series; the mean of the last layer's outputs, and every state."""
    states: dict[str, list[list[Tensor]]] = {}
    value = x.new_zeros(())
    for s, length in enumerate(lengths):
        below = list(x[:length, s])
        for number in range(made.num_layers):
            outputs = []
            for ending in ("", "_reverse")[: 1 + made.bidirectional]:
                names = (f"{part}_l{number}{ending}" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
                w_ih, w_hh, b_ih, b_hh = (getattr(made, name).detach() for name in names)
                h, own = x.new_zeros(made.hidden_size), []
                for step in reversed(below) if ending else below:
                    h = torch.gru_cell(step[None], h[None], w_ih, w_hh, b_ih, b_hh)[0].requires_grad_()
                    h.retain_grad()
                    own.append(h)
                own = own[::-1] if ending else own
                states.setdefault(f"GRU layer {number}{ending.replace('_', ' ')}", []).append(own)
                outputs.append(own)
            below = [torch.cat(parts) for parts in zip(*outputs, strict=True)]
        value = value + torch.stack(below)[length // 2].sum()
    return value, states


def middle(lengths: list[int], find: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """The sum of each series' output in the middle of its length."""
    return lambda output: torch.stack([find(output)[length // 2, s].sum() for s, length in enumerate(lengths)]).sum()


@pytest.mark.parametrize(("kind", "packed"), [("torch gru", True), ("gru", True), ("gru", False)])
def test_the_fraction_is_that_of_a_loop_of_cells(kind: str, packed: bool) -> None:
    made, x, lengths = layer(kind, 2, bidirectional=True).float(), series(9).float(), [9, 5, 7, 3]
    scale = 2.0**-123  # so that a part of the deltas comes below float32's smallest normal number, 2**-126
    given = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False) if packed else x

    def y_of(output: Any) -> Tensor:
        return nn.utils.rnn.pad_packed_sequence(output[0])[0] if packed else output[0]

    loss = middle(lengths, y_of)
    found = flushed_deltas(made, given, lambda output: loss(output) * scale, lengths=None if packed else lengths)
    value, states = loop_of_cells(made.double(), x.double(), lengths)
    value.backward()
    assert [one.label for one in found] == list(states)
    for one in found:
        small = np.full((9, 4), np.nan)
        for s, own in enumerate(states[one.label]):
            grads = [torch.zeros(3) if h.grad is None else h.grad for h in own]
            steps = reversed(range(len(own))) if "reverse" not in one.label else range(len(own))
            reached = False
            for t in steps:
                reached = reached or bool((grads[t] != 0).any())
                if reached:
                    small[t, s] = (grads[t].abs() * scale < 2.0**-126).double().mean()
        there = ~np.isnan(small).all(1)
        np.testing.assert_allclose(one.by_step[there], np.nanmean(small[there], 1))
        assert np.isnan(one.by_step[~there]).all()
        assert one.fraction == pytest.approx(np.nanmean(small))
    fractions = [one.fraction for one in found]
    assert 0.02 < min(fractions) < max(fractions) < 0.98


def test_a_head_that_reads_the_final_states_of_a_lower_layer_reaches_it() -> None:
    made = layer("lstm", 2)
    (lower, upper) = flushed_deltas(made, series(), lambda output: output[1][1][0].sum())
    assert lower.fraction == 0
    assert math.isnan(upper.fraction)  # the loss depends on no state of it


def test_frozen_weights_and_inference_mode_do_not_matter() -> None:
    made = halving().requires_grad_(False)
    with torch.inference_mode():
        (found,) = flushed_deltas(made, torch.zeros(200, 3, 1), last)
    assert found.fraction == pytest.approx(73 / 200)


def test_the_model_gets_no_gradients() -> None:
    made = layer("gru").train()
    flushed_deltas(made, series(), last)
    assert all(weight.grad is None for weight in made.parameters())
    assert made.training


def test_a_flushed_part_is_a_finding() -> None:
    long, short = (flushed_deltas(halving(), torch.zeros(time, 3, 1), last) for time in (200, 100))
    (found,), (clear,) = (run_checks([FLUSHED], flushed_deltas=one) for one in (long, short))
    assert (found.code, found.verdict, clear.verdict) == ("STA016", "found", "clear")
    assert found.detail == "36.5% of the deltas of LinearRNN layer 0 are below 1.2e-38 (float32)"
    assert "try" in found.remedy


def test_a_gate_in_few_bits_forgets() -> None:
    for dtype, bits in ((torch.bfloat16, 8), (torch.float16, 11), (torch.float32, 24)):
        below = torch.tensor(1.0, dtype=dtype).nextafter(torch.tensor(0.0, dtype=dtype)).double()
        assert float(below) == 1 - 2.0**-bits
        assert longest_memory(dtype) == pytest.approx(-1 / math.log(float(below)))
        assert longest_memory(dtype) == pytest.approx(2.0**bits, rel=3e-3)
    verdicts = [
        run_checks([COARSE_GATES], dtype=dtype, lag=lag)[0].verdict
        for dtype, lag in ((torch.bfloat16, 300), (torch.bfloat16, 200), (torch.float32, 300), (torch.bfloat16, None))
    ]
    assert verdicts == ["found", "clear", "clear", "not applicable"]


def test_a_loss_that_cannot_be_followed_is_refused() -> None:
    made, x = layer("gru"), series()
    with pytest.raises(ParameterError, match=r"one number as a tensor, got a tensor of shape \(6, 4, 3\)"):
        flushed_deltas(made, x, lambda output: output[0])
    with pytest.raises(ParameterError, match="got a number without a gradient"):
        flushed_deltas(made, x, lambda _output: torch.zeros(()))
    with pytest.raises(ParameterError, match="got one that depends on none"):
        flushed_deltas(made, x, lambda _output: made.weight_ih_l0.sum())
    with pytest.raises(DataError, match=r"deltas of GRU layer 0 need finite values, .* at step 4 of series 1"):
        flushed_deltas(made, x, lambda output: (output[0][4, 1] * torch.inf).sum())
    growing = ours.LinearRNN(2, 3, dtype=torch.float64)
    with torch.no_grad():
        for weight in growing.parameters():
            weight.zero_()
        growing.weight_hh_l0.copy_(torch.eye(3, dtype=torch.float64) * 1e150)
    with pytest.raises(DataError, match=r"at step 2 of series 0, the first on the way back from the loss"):
        flushed_deltas(growing, x * 0, last)
