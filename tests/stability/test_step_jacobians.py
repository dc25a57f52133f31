"""Jacobians are the derivatives of the step: closed forms, finite differences, and the same through any model."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy import ndarray
from recurrent_models import MAKERS, UNITS, has_c, layer, series, start
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from throughtime import nn as ours
from throughtime.errors import DataError, ParameterError
from throughtime.findings import run_checks
from throughtime.stability import jacobians, singular_values
from throughtime.stability.step_jacobians import LOST_DIRECTIONS

#: sums of a few dozen terms of order 1 in float64
EXACT = {"rtol": 1e-12, "atol": 1e-13}


def step_of(made: Any, x: Tensor, state: Tensor) -> Tensor:
    """One step of a layer as a function of all its state, (series, state)."""
    widths = [made.proj_size or UNITS, UNITS] if has_c(made) else [UNITS]
    parts = tuple(part[None].contiguous() for part in state.split(widths, 1))
    with torch.no_grad():
        end = made(x[None], parts if has_c(made) else parts[0])[1]
    return torch.cat([part[0] for part in end], 1) if has_c(made) else end[0]


def states_along(made: Any, x: Tensor, begin: Any) -> list[Tensor]:
    """The whole state before each step, and after the last."""
    state = torch.cat([part[0] for part in begin], 1) if has_c(made) else begin[0]
    found = [state]
    for now in x:
        found.append(step_of(made, now, found[-1]))
    return found


@pytest.mark.parametrize("name", MAKERS)
def test_a_jacobian_is_what_finite_differences_give(name: str) -> None:
    made, x = layer(name), series()
    begin = start(made)
    (found,) = jacobians(made, (x, begin))
    states = states_along(made, x, begin)
    size, eps = states[0].shape[1], 1e-6
    for t, now in enumerate(x):
        for column in range(size):
            moved = eps * torch.eye(size, dtype=torch.float64)[column]
            slope = (step_of(made, now, states[t] + moved) - step_of(made, now, states[t] - moved)) / (2 * eps)
            np.testing.assert_allclose(found.values[t, :, :, column], slope.numpy(), rtol=0, atol=1e-8)


def gates(made: Any, x: Tensor, h: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """What goes into each gate from x and from h, and the recurrent weights, by gate."""
    count = {"RNN_TANH": 1, "GRU": 3, "LSTM": 4}[made.mode]
    from_x = x @ made.weight_ih_l0.T + made.bias_ih_l0
    from_h = h @ made.weight_hh_l0.T + made.bias_hh_l0
    return [list(part.chunk(count, axis)) for part, axis in ((from_x, -1), (from_h, -1), (made.weight_hh_l0, 0))]  # type: ignore[return-value]


def elman(made: Any, x: Tensor, h: Tensor) -> Tensor:
    (a,), (b,), (u,) = gates(made, x, h)
    return torch.diag(1 - torch.tanh(a + b) ** 2) @ u


def gru(made: Any, x: Tensor, h: Tensor) -> Tensor:
    (xr, xz, xn), (hr, hz, s), (w_r, w_z, w_n) = gates(made, x, h)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    n, d = torch.tanh(xn + r * s), torch.diag
    inner = d(r) @ w_n + d(s * r * (1 - r)) @ w_r
    return d(z) + d((h - n) * z * (1 - z)) @ w_z + d((1 - z) * (1 - n**2)) @ inner


def lstm(made: Any, x: Tensor, u: Tensor) -> Tensor:
    h, c = u.chunk(2)
    from_x, from_h, (w_i, w_f, w_g, w_o) = gates(made, x, h)
    i, f, g, o = (a + b for a, b in zip(from_x, from_h, strict=True))
    i, f, g, o, d = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o), torch.diag
    after = f * c + i * g
    a = d(o * (1 - torch.tanh(after) ** 2))
    j_cc = d(f)
    j_ch = d(c * f * (1 - f)) @ w_f + d(g * i * (1 - i)) @ w_i + d(i * (1 - g**2)) @ w_g
    j_hh = a @ j_ch + d(torch.tanh(after) * o * (1 - o)) @ w_o
    return torch.cat([torch.cat([j_hh, a @ d(f)], 1), torch.cat([j_ch, j_cc], 1)])


@pytest.mark.parametrize(("name", "formula"), [("rnn", elman), ("torch gru", gru), ("lstm", lstm)])
def test_a_jacobian_is_its_cells_closed_form(name: str, formula: Any) -> None:
    made, x = layer(name), series()
    begin = start(made)
    (found,) = jacobians(made, (x, begin))
    states = states_along(made, x, begin)
    with torch.no_grad():
        expected = torch.stack(
            [torch.stack([formula(made, *pair) for pair in zip(x[t], states[t], strict=True)]) for t in range(len(x))]
        )
    np.testing.assert_allclose(found.values, expected.numpy(), **EXACT)


def flipped(x: Tensor, lengths: list[int]) -> Tensor:
    """Each series from its own end to its start."""
    found = x.clone()
    for s, length in enumerate(lengths):
        found[:length, s] = x[:length, s].flip(0)
    return found


@pytest.mark.parametrize("name", ["torch lstm", "gru", "projected lstm", "peephole lstm", "lstm with zoneout"])
def test_a_layer_inside_a_stack_has_the_jacobians_it_has_alone(name: str) -> None:
    lengths = [6, 1, 4, 2]
    made, x = layer(name, 2, bidirectional=True), series()
    found = jacobians(made, x, lengths=lengths)
    own_name = type(made).__name__
    assert [(one.label, one.reverse) for one in found] == [
        (f"{own_name} layer 0", False), (f"{own_name} layer 0 reverse", True),
        (f"{own_name} layer 1", False), (f"{own_name} layer 1 reverse", True),
    ]  # fmt: skip
    for number in range(2):
        outputs = []
        for reverse in (False, True):
            ending = f"_l{number}" + ("_reverse" if reverse else "")
            alone = MAKERS[name](x.shape[-1], UNITS, 1, dtype=torch.float64).eval()
            alone.load_state_dict(
                {
                    key.replace(ending, "_l0"): weight
                    for key, weight in made.state_dict().items()
                    if key.endswith(ending)
                }
            )
            given = flipped(x, lengths) if reverse else x
            (expected,) = jacobians(alone, given, lengths=lengths)
            own = found[2 * number + reverse]
            values = torch.from_numpy(expected.values)
            np.testing.assert_allclose(own.values, flipped(values, lengths) if reverse else values, **EXACT)
            ended = pack_padded_sequence(given, torch.tensor(lengths), enforce_sorted=False)
            y = nn.utils.rnn.pad_packed_sequence(alone(ended)[0])[0].detach()
            outputs.append(flipped(y, lengths) if reverse else y)
        x = torch.cat(outputs, -1)


@pytest.mark.parametrize("name", ["torch lstm", "gru"])
def test_each_direction_starts_from_its_own_initial_state(name: str) -> None:
    lengths = [6, 1, 4, 2]
    made, x = layer(name, bidirectional=True), series()
    begin = start(made)
    both = jacobians(made, (x, begin), lengths=lengths)
    states = begin if isinstance(begin, tuple) else (begin,)
    for own, ending in zip(both, ("_l0", "_l0_reverse"), strict=True):
        alone = MAKERS[name](2, UNITS, 1, dtype=torch.float64).eval()
        weights = {key: weight for key, weight in made.state_dict().items() if key.endswith(ending)}
        alone.load_state_dict({key.removesuffix("_reverse"): weight for key, weight in weights.items()})
        place = [state[int(own.reverse)][None] for state in states]
        given = flipped(x, lengths) if own.reverse else x
        (expected,) = jacobians(alone, (given, tuple(place) if len(place) > 1 else place[0]), lengths=lengths)
        values = torch.from_numpy(expected.values)
        np.testing.assert_allclose(own.values, flipped(values, lengths) if own.reverse else values, **EXACT)


def model(recurrent: nn.Module) -> nn.Module:
    """A net that pools over what a recurrent layer makes of embedded channels."""

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(2, 2, dtype=torch.float64)
            self.drop = nn.Dropout(0.5)
            self.recurrent = recurrent

        def forward(self, x: Tensor) -> Tensor:
            return self.recurrent(self.drop(self.embed(x)))[0].mean(0)

    torch.manual_seed(1)
    return Pooled()


def test_a_layer_in_a_model_is_measured_on_what_it_is_really_given() -> None:
    recurrent, x = layer("torch gru", dropout=0.0), series()
    whole = model(recurrent).train()
    before = {name: weight.clone() for name, weight in whole.state_dict().items()}
    state = torch.get_rng_state()
    (found,) = jacobians(whole, x)
    (expected,) = jacobians(recurrent, whole.embed(x))
    assert found.label == "recurrent layer 0"
    np.testing.assert_array_equal(found.values, expected.values)
    # and the model is as it was
    assert whole.training
    assert whole.drop.training
    assert not recurrent._forward_hooks
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weight, before[name]) for name, weight in whole.state_dict().items())
    assert all(weight.grad is None for weight in whole.parameters())


@pytest.mark.parametrize("name", ["torch lstm", "lstm"])
def test_packed_padded_and_lone_series_are_one(name: str) -> None:
    made, x, lengths = layer(name), series(), [2, 6, 1, 4]
    (padded,) = jacobians(made, x, lengths=lengths)
    (packed,) = jacobians(made, pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False))
    np.testing.assert_array_equal(padded.values, packed.values)
    first = layer(name, batch_first=True)
    (turned,) = jacobians(first, x.transpose(0, 1), lengths=lengths)
    np.testing.assert_array_equal(padded.values, turned.values)
    for s, length in enumerate(lengths):
        (lone,) = jacobians(made, x[:length, s])
        np.testing.assert_allclose(padded.values[:length, s], lone.values[:, 0], **EXACT)
        assert np.isnan(padded.values[length:, s]).all()
    assert padded.lengths.tolist() == lengths


def test_torchs_layers_have_the_jacobians_of_ours() -> None:
    for cell in ("rnn", "gru", "lstm"):
        one, other = layer(f"torch {cell}", 2, bidirectional=True), layer(cell, 2, bidirectional=True)
        for a, b in zip(jacobians(one, series()), jacobians(other, series()), strict=True):
            np.testing.assert_array_equal(a.values, b.values)


def test_a_layer_called_twice_is_measured_twice() -> None:
    recurrent = layer("gru")

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = recurrent

        def forward(self, x: Tensor) -> Tensor:
            _, end = self.recurrent(x)
            return self.recurrent(x[:2], end)[0]

    first, second = jacobians(Twice(), series())
    assert (first.label, second.label) == ("recurrent layer 0", "recurrent layer 0 (call 2)")
    end = recurrent(series())[1].detach()
    np.testing.assert_array_equal(second.values, jacobians(recurrent, (series()[:2], end))[0].values)


def test_inference_mode_and_frozen_weights_do_not_matter() -> None:
    made = layer("lstm").requires_grad_(False)
    with torch.inference_mode():
        (found,) = jacobians(made, series())
    np.testing.assert_array_equal(found.values, jacobians(layer("lstm"), series())[0].values)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["rnn", "torch lstm"])
def test_singular_values_of_a_window_are_those_of_the_states_derivative_over_it(name: str, bidirectional: bool) -> None:
    made, x, lengths = layer(name, bidirectional=bidirectional), series(), [6, 3, 2, 5]
    for found in jacobians(made, x, lengths=lengths):
        for window in (1, 3):
            spectrum = singular_values(found, window)
            assert spectrum.window == window
            for s, length in enumerate(lengths):
                steps = found.values[:length, s][::-1] if found.reverse else found.values[:length, s]
                for end in range(length):
                    row = length - 1 - end if found.reverse else end
                    if end < window - 1:
                        assert np.isnan(spectrum.values[row, s]).all()
                        continue
                    product: ndarray = np.linalg.multi_dot(
                        [np.eye(len(steps[0])), *steps[end - window + 1 : end + 1][::-1]]
                    )
                    np.testing.assert_allclose(
                        spectrum.values[row, s], np.linalg.svd(product)[1], rtol=1e-9, atol=1e-12
                    )
                assert np.isnan(spectrum.values[length:, s]).all()


def test_an_orthogonal_recurrence_scales_every_direction_alike() -> None:
    made = ours.LinearRNN(1, 5, dtype=torch.float64)
    nn.init.orthogonal_(made.weight_hh_l0, gain=0.8)
    (found,) = jacobians(made, torch.zeros(30, 1, 1, dtype=torch.float64))
    np.testing.assert_allclose(singular_values(found, 20).values[19:], 0.8**20, rtol=1e-12)


def verdict(gain: float, lag: int | None, window: int = 20) -> Any:
    made = ours.LinearRNN(1, 5, dtype=torch.float64)
    nn.init.orthogonal_(made.weight_hh_l0, gain=gain)
    (found,) = jacobians(made, torch.zeros(30, 1, 1, dtype=torch.float64))
    (finding,) = run_checks([LOST_DIRECTIONS], singular_values=[singular_values(found, window)], lag=lag)
    return finding


def test_a_window_of_the_lag_that_no_direction_survives_is_a_finding() -> None:
    found = verdict(0.7, 20)
    assert found.verdict == "found"
    assert found.measured == pytest.approx(-20 * math.log10(0.7))
    assert "try" in found.remedy
    assert verdict(0.9, 20).verdict == "clear"
    assert verdict(0.7, 19).verdict == "not applicable"
    assert verdict(0.7, None).verdict == "not applicable"


@pytest.mark.usefixtures("types_unchecked")
def test_what_cannot_be_measured_is_refused() -> None:
    x = series()
    with pytest.raises(ParameterError, match=r"model needs a recurrent layer .* got Linear without one"):
        jacobians(nn.Linear(2, 2), x)
    with pytest.raises(ParameterError, match=r"model needs a recurrent layer .* got GRUCell without one"):
        jacobians(nn.GRUCell(2, 2), x)

    class Scaled(nn.GRU):
        def forward(self, *inputs: Tensor) -> Any:  # type: ignore[override]
            return super().forward(inputs[0] * 2)

    with pytest.raises(ParameterError, match=r"has a forward of its own\), got Scaled without one"):
        jacobians(Scaled(2, 2), x)
    with pytest.raises(ParameterError, match=r"model needs a torch\.nn\.Module, got a str"):
        jacobians("model", x)

    class Estimator:
        module_ = None

    with pytest.raises(ParameterError, match=r"got an Estimator; of a fitted estimator pass its module_"):
        jacobians(Estimator(), x)
    bad = x.clone()
    bad[3, 2, 1] = torch.nan
    with pytest.raises(DataError, match="where recurrent reads it, got NaN at step 3 of series 2"):
        jacobians(model(layer("gru")), bad)
    jacobians(layer("gru"), bad, lengths=[6, 6, 3, 6])  # beyond its end it is not read
    relu = layer("relu")
    with torch.no_grad():
        relu.weight_hh_l0.copy_(torch.eye(3, dtype=torch.float64) * 1e200)
        relu.bias_hh_l0.fill_(1.0)
    with pytest.raises(DataError, match="states of RNN need to be finite, got infinity at step 2 of series 0"):
        jacobians(relu, x * 0)
    (found,) = jacobians(layer("gru"), x, lengths=[3, 2, 1, 3])
    for window in (0, 4):
        with pytest.raises(
            ParameterError,
            match=rf"window needs a whole number from 1 to 3, the steps of the longest series, got {window}",
        ):
            singular_values(found, window)

    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.GRU(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return x

    with pytest.raises(ParameterError, match=r"its recurrent layers \(recurrent\), got none called in Idle"):
        jacobians(Idle(), x)


def test_hooks_and_modes_are_put_back_when_a_model_fails() -> None:
    whole = model(layer("torch gru")).train()
    with pytest.raises(DataError, match=r"x needs to be what Pooled takes, got \(3, 4, 7\): mat1 and mat2 shapes"):
        jacobians(whole, torch.zeros(3, 4, 7, dtype=torch.float64))
    assert whole.training
    assert not whole.recurrent._forward_hooks


def test_jacobians_that_take_the_machines_memory_are_refused() -> None:
    x = torch.zeros(2, 2049, 1)
    message = "at most 2 GiB, got an x of 2049 series and 2 steps that take 2.001 GiB; hand in fewer series or steps"
    with pytest.raises(DataError, match=message):
        jacobians(nn.RNN(1, 256), x)
