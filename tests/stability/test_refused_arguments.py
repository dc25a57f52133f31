"""Whatever a function of the package cannot use is refused by the parameter's name, with an error of the package's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from throughtime import SequenceClassifier
from throughtime.errors import DataError, ParameterError
from throughtime.findings import run_checks
from throughtime.stability import (
    FLOW_CHECKS,
    RECURRENCE_CHECKS,
    TRUNCATION_CHECKS,
    audit_initialization,
    fit_horizon,
    flow_findings,
    flushed_deltas,
    gate_memory,
    gradient_flow,
    growth_per_step,
    jacobians,
    lag_curve,
    lag_decomposition,
    linear_rnn_gradients,
    log_ratios,
    longest_memory,
    lyapunov_exponents,
    mean_log_ratio,
    saturation,
    singular_values,
    truncation_bias,
    unroll,
    update_ratio,
)

pytestmark = pytest.mark.usefixtures("types_unchecked")

X = torch.randn(6, 4, 2, generator=torch.Generator().manual_seed(0))


def gru() -> nn.GRU:
    torch.manual_seed(0)
    return nn.GRU(2, 3)


class Tagger(nn.Module):
    """A model that holds a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = gru()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.recurrent(x)[0]
        return found


def at_the_end(output: Any) -> Tensor:
    found: Tensor = (output[0] if isinstance(output, tuple) else output)[-1].square().mean()
    return found


#: Whatever is called with a model and its input, and some with a loss of what it gives.
OF_A_MODEL: dict[str, Callable[..., Any]] = {
    "audit_initialization": audit_initialization,
    "flushed_deltas": lambda model, x, loss=at_the_end, **options: flushed_deltas(model, x, loss, **options),
    "gate_memory": gate_memory,
    "gradient_flow": lambda model, x, loss=at_the_end, **options: gradient_flow(model, x, loss, **options),
    "jacobians": jacobians,
    "lag_curve": lag_curve,
    "lag_decomposition": lambda model, x, loss=at_the_end, **options: lag_decomposition(model, x, loss, **options),
    "lyapunov_exponents": lyapunov_exponents,
    "saturation": saturation,
    "truncation_bias": lambda model, x, loss=at_the_end, **options: truncation_bias(model, x, loss, **options),
    "unroll": unroll,
}
WITH_A_LOSS = "flushed_deltas", "gradient_flow", "lag_decomposition", "truncation_bias"
#: By what is wrong with it: an input, and the message.
INPUTS: dict[str, tuple[Any, str]] = {
    "an array": (X.numpy(), "x needs tensors, got a.* ndarray"),
    "arrays": ([*X.transpose(0, 1).numpy()], "x needs .*got (a list of 4|4 of them)"),
    "series": ([*X.transpose(0, 1)], "x needs .*got (a list of 4|4 of them)"),
    "float64": (X.double(), "x needs the format of the weights, torch.float32, got torch.float64"),
    "whole numbers": (X.long(), "x needs the format of the weights, torch.float32, got torch.int64"),
    "three channels": (torch.ones(6, 4, 3), "x needs 2 channels, the input_size of GRU, got 3"),
    "one axis": (torch.ones(2), r"x needs the axes \(time, series, channel\), .*got \(2,\)"),
    "four axes": (X[None], r"x needs the axes \(time, series, channel\), .*got \(1, 6, 4, 2\)"),
    "text": ("x", "x needs tensors, got a str"),
    "no arguments": ((), "x needs "),
}
LENGTHS: dict[str, Any] = {
    "a text": "abc",
    "a step too few": [0, 1, 2, 3],
    "a step too many": [7, 6, 6, 6],
    "fractions": [1.5, 2.0, 3.0, 4.0],
    "flags": [True, True, True, True],
    "two of four": [3, 2],
    "rows": [[1, 2, 3, 4]],
    "rows of two lengths": [[1, 2], [3]],
}


def refuses(match: str, call: Callable[..., Any], *given: Any, **options: Any) -> None:
    with pytest.raises((DataError, ParameterError), match=match):
        call(*given, **options)


@pytest.mark.parametrize("name", OF_A_MODEL)
def test_what_is_no_module_is_refused_and_of_an_estimator_the_cure_is_said(name: str) -> None:
    call = OF_A_MODEL[name]
    refuses("model needs a torch.nn.Module, got a str$", call, "gru", X)
    refuses("model needs a torch.nn.Module, got None$", call, None, X)
    refuses(
        "got a SequenceClassifier; of a fitted estimator pass its module_, .*gradient_flow_of or lag_curve_of",
        call, SequenceClassifier(), X,
    )  # fmt: skip
    refuses("model needs (a|one) recurrent layer", call, nn.Linear(2, 2), X)


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", OF_A_MODEL)
def test_an_input_that_a_layer_cannot_take_is_refused(name: str, kind: str) -> None:
    x, message = INPUTS[kind]
    refuses(message, OF_A_MODEL[name], gru(), x)
    if kind in ("an array", "arrays", "text", "no arguments"):
        refuses("x needs ", OF_A_MODEL[name], Tagger(), x)


@pytest.mark.parametrize("name", [name for name in OF_A_MODEL if name != "audit_initialization"])  # which has its own
def test_no_input_is_refused(name: str) -> None:
    refuses("x needs what the model is called with, got None", OF_A_MODEL[name], gru(), None)


@pytest.mark.parametrize("kind", LENGTHS)
@pytest.mark.parametrize("name", OF_A_MODEL)
def test_lengths_that_are_none_are_refused(name: str, kind: str) -> None:
    refuses("lengths needs ", OF_A_MODEL[name], gru(), X, lengths=LENGTHS[kind])


@pytest.mark.parametrize("name", WITH_A_LOSS)
def test_a_loss_that_is_none_is_refused(name: str) -> None:
    refuses("loss needs a function of the model's output, got None", OF_A_MODEL[name], gru(), X, loss=None)
    refuses("loss needs ", OF_A_MODEL[name], gru(), X, loss=lambda _: "much")
    refuses("loss needs ", OF_A_MODEL[name], gru(), X, loss=lambda output: output[0])


#: What takes a whole number: a call with it, by the parameter's name and its bounds.
WHOLE: dict[str, tuple[str, int, int | None, Callable[[Any], Any]]] = {
    "audit_initialization seed": ("seed", 0, 2**64 - 1, lambda n: audit_initialization(gru(), seed=n)),
    "fit_horizon n_resamples": ("n_resamples", 1, None, lambda n: fit_horizon(np.zeros((3, 2)), n_resamples=n)),
    "fit_horizon seed": ("seed", 0, 2**64 - 1, lambda n: fit_horizon(np.zeros((3, 2)), seed=n)),
    "lag_curve seed": ("seed", 0, 2**64 - 1, lambda n: lag_curve(gru(), X, seed=n)),
    "lag_decomposition lags": ("lags", 1, 6, lambda n: lag_decomposition(gru(), X, at_the_end, lags=n)),
    "linear_rnn_gradients k": (
        "k", 1, 4,
        lambda n: linear_rnn_gradients(np.ones((1, 4, 1)), np.ones((1, 4, 1)), *[np.ones((1, 1))] * 3, k=n),
    ),
    "lyapunov_exponents burn_in": ("burn_in", 0, 5, lambda n: lyapunov_exponents(gru(), X, burn_in=n)),
    "lyapunov_exponents n_exponents": ("n_exponents", 1, 3, lambda n: lyapunov_exponents(gru(), X, n_exponents=n)),
    "lyapunov_exponents seed": ("seed", 0, 2**64 - 1, lambda n: lyapunov_exponents(gru(), X, seed=n)),
    "singular_values window": ("window", 1, 6, lambda n: singular_values(jacobians(gru(), X)[0], n)),
    "truncation_bias k": ("k", 1, 6, lambda n: truncation_bias(gru(), X, at_the_end, n)),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_is_taken_within_its_bounds_and_nothing_else_is(name: str) -> None:
    parameter, least, most, call = WHOLE[name]
    call(np.int64(least))
    if most is not None:
        call(most)
        refuses(f"{parameter} needs .*{most}|{parameter} needs fewer", call, most + 1)
    for wrong in (least - 1, least + 0.5, float(least + 1), str(least + 1), True, np.True_, torch.tensor(least + 1)):
        refuses(f"{parameter} needs a whole number from {least}", call, wrong)


@pytest.mark.parametrize("lag", [0, -1, 0.5, np.nan, np.inf, "5", True, [5]], ids=str)
def test_a_lag_that_is_none_is_refused(lag: Any) -> None:
    made = gru()
    message = "lag needs a finite number of steps of at least 1, got"
    refuses(message, flow_findings, lag=lag)
    refuses(message, audit_initialization, made, lag=lag)
    measured: dict[str, Any] = {
        "singular_values": [singular_values(jacobians(made, X)[0], 5)],
        "lyapunov": lyapunov_exponents(made, X),
        "gate_memory": gate_memory(made, X),
        "dtype": torch.float16,
        "curve": lag_curve(made, X),
        "k2": 3,
    }
    by_lag = [check for check in (*FLOW_CHECKS, *RECURRENCE_CHECKS) if "lag" in check.needs]
    assert len(by_lag) == 6
    for check in by_lag:
        if not (check in FLOW_CHECKS and lag is np.nan):  # which says there that it is not known
            refuses(message, run_checks, [check], lag=lag, **measured)


def test_a_step_count_that_is_none_is_refused() -> None:
    bias = truncation_bias(gru(), X, at_the_end)
    for k2 in ("4", True, 0, 2.0):
        refuses("k2 needs a whole number from 1 up, got", run_checks, TRUNCATION_CHECKS, truncation_bias=bias, k2=k2)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64, "float64", float, np.float64], ids=str)
def test_a_format_that_has_no_gradients_is_refused(dtype: Any) -> None:
    message = "dtype needs a floating torch.dtype, such as torch.float64, got"
    refuses(message, gradient_flow, gru(), X, at_the_end, dtype=dtype)
    refuses(message, lag_curve, gru(), X, dtype=dtype)
    refuses(message, longest_memory, dtype)


def test_a_layer_that_is_not_called_is_refused() -> None:
    refuses(r"layer needs the name of a recurrent layer that is called \(GRU\), got 'rnn'", lag_curve, gru(), X,
            layer="rnn")  # fmt: skip


def test_a_record_of_another_kind_is_refused() -> None:
    made = gru()
    found, flow, curve = jacobians(made, X), gradient_flow(made, X, at_the_end), lag_curve(made, X)
    needs = r"found needs one Jacobians, as jacobians\(model, x\) gives, got "
    refuses(needs + "a GRU", singular_values, made, 2)
    refuses(needs + r"1 of them; take one, such as the first, \[0\]", singular_values, found)
    refuses(needs + "a GradientFlow", singular_values, flow)
    refuses("flow needs one GradientFlow, as gradient_flow gives, got a LagCurve", flow_findings, flow=curve)
    refuses("curve needs one LagCurve, as lag_curve gives, got a GradientFlow", flow_findings, curve=flow)
    refuses("curve needs one LagCurve, as lag_curve gives, got a GRU", flow_findings, flow=flow, curve=made)


def test_lengths_of_no_series_are_refused() -> None:
    refuses("lengths needs the x whose series they are of, got x=None", audit_initialization, gru(), lengths=[3])


@pytest.mark.parametrize("norms", [None, [[1.0]], np.ones(3), np.ones((3, 2), int), np.ones((0, 2)), torch.ones(3, 2)])
def test_what_is_no_table_of_norms_is_refused(norms: Any) -> None:
    lengths = np.array([3, 3])
    refuses(r"norms needs an array of floats \(time, series\), got", growth_per_step, norms, lengths)
    refuses(r"norms needs an array of floats \(time, series\), got", log_ratios, norms, lengths)
    refuses(r"logs needs an array of floats \(lag, series\), got", fit_horizon, norms)
    refuses(r"logs needs an array of floats \(lag, series\), got", mean_log_ratio, norms)


@pytest.mark.parametrize("lengths", [None, [3, 3], np.array([3]), np.array([0, 3]), np.array([3, 4]), np.ones(2)])
def test_lengths_that_no_norms_have_are_refused(lengths: Any) -> None:
    for call in (growth_per_step, log_ratios):
        refuses("lengths needs an array of 1 to 3 steps for each of 2 series, got", call, np.ones((3, 2)), lengths)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, np.nan, "0.1", True], ids=str)
def test_a_fraction_that_is_none_is_refused(fraction: Any) -> None:
    refuses("fraction needs a number between 0 and 1, got", fit_horizon, np.zeros((3, 2)), fraction=fraction)


def test_weights_that_are_no_numbers_are_refused() -> None:
    given = {"x": np.ones((1, 4, 1)), "y": np.ones((1, 4, 1))} | {name: np.ones((1, 1)) for name in WEIGHTS}
    for name in given:
        for wrong in ("w", None, [[1.0], [1.0, 2.0]]):
            refuses(rf"\b{name}\b.* need", linear_rnn_gradients, **(given | {name: wrong}))


WEIGHTS = "w_xh", "w_hh", "w_qh"


@pytest.mark.parametrize("model", ["gru", None, SequenceClassifier()], ids=lambda model: type(model).__name__)
def test_an_update_of_no_module_is_refused(model: Any) -> None:
    refuses("model needs a torch.nn.Module, got", update_ratio, model, {})


class Late(Tagger):
    """Hands its layer none of the steps."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:0])


@pytest.mark.parametrize("name", OF_A_MODEL)
def test_series_without_steps_are_refused_and_the_axes_said(name: str) -> None:
    call = OF_A_MODEL[name]
    refuses(r"^x needs at least one step, got \(0, 4, 2\)$", call, gru(), X[:0])
    refuses(r"^x needs at least one step, got \(0, 4, 2\)$", call, gru(), X[:0], lengths=torch.tensor([1, 1, 1, 1]))
    refuses(
        r"^x needs at least one step, got \(4, 0, 2\)$", call, nn.GRU(2, 3, batch_first=True), X.mT[..., :0].mT[:4, :0]
    )
    refuses(r"^x needs at least one step, got \(0, 2\)$", call, gru(), X[:0, 0])
    for model, x in ((Tagger(), X[:0]), (Late(), X)):
        refuses(r"^x needs at least one step where recurrent reads it, got \(0, 4, 2\)$", call, model, x)


def overflowing(hidden_layers: int = 1, **options: Any) -> nn.RNN:
    """3 ** t, of which float32 holds 80 steps."""
    layer = nn.RNN(2, 3, hidden_layers, nonlinearity="relu", **options)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.fill_(1)
    return layer


@pytest.mark.parametrize("name", OF_A_MODEL)
def test_a_forward_pass_that_overflows_is_refused_at_its_first_step(name: str) -> None:
    x = torch.ones(100, 4, 2)
    x[:, 0] = -10  # whose states stay at zero
    with torch.no_grad():
        y = overflowing()(x)[0]
    step, series = (~y.isfinite().all(-1)).nonzero()[0].tolist()
    assert 70 < step < 85
    assert series == 1
    cure = "the forward pass overflows; try smaller recurrent weights or inputs"
    message = f"^the states of RNN need to be finite, got infinity at step {step} of series 1: {cure}$"
    refuses(message, OF_A_MODEL[name], overflowing(), x)


def test_a_forward_pass_may_overflow_beyond_a_series_end() -> None:
    curve = lag_curve(overflowing(batch_first=True), torch.ones(2, 100, 2), lengths=torch.tensor([60, 50]))
    assert curve.longest == 60


def test_a_lower_layer_that_overflows_is_named() -> None:
    layer = overflowing(2)
    with torch.no_grad():
        layer.weight_ih_l1.neg_()  # the upper one's states are zero
        layer.bias_ih_l1.zero_()
        layer.bias_hh_l1.zero_()
    message = "^the states of RNN layer 0 need to be finite, got infinity at step 99 of series 0: the forward pass over"
    refuses(message, lag_curve, layer, torch.ones(100, 4, 2))
