"""The linear recurrent network by hand: outputs and gradients of full and of truncated BPTT in closed form.

``h_t = W_xh x_t + W_hh h_{t-1}``, ``o_t = W_qh h_t``, ``L = (1/T) sum_t (o_t - y_t)^2 / 2``, the mean over series.
With ``g_t = dL/do_t`` the total gradient at a state is ``delta_t = W_qh^T g_t + W_hh^T delta_{t+1}``, ``delta_{T+1} =
0``, and ``dL/dW_qh = sum_t g_t h_t^T``, ``dL/dW_xh = sum_t delta_t x_t^T``, ``dL/dW_hh = sum_t delta_t h_{t-1}^T``
(Werbos 1990, https://doi.org/10.1109/5.58337).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from throughtime.errors import ParameterError
from throughtime.records import Record, aligned
from throughtime.stability.arguments import check_whole


@dataclass(frozen=True, repr=False)
class LinearRNNGradients(Record):
    """What comes of `linear_rnn_gradients`.

    Attributes
    ----------
    loss
        L.
    h, outputs
        The states and outputs at every step.
    deltas
        dL/dh_t, of a truncated gradient what of it reaches a state.
    w_xh, w_hh, w_qh
        dL/dW.
    """

    loss: float
    h: Float[ndarray, "series time unit"]
    outputs: Float[ndarray, "series time output"]
    deltas: Float[ndarray, "series time unit"]
    w_xh: Float[ndarray, "unit channel"]
    w_hh: Float[ndarray, "unit unit"]
    w_qh: Float[ndarray, "output unit"]

    def __str__(self) -> str:
        names = "h", "outputs", "deltas", "w_xh", "w_hh", "w_qh"
        rows = [(name, str(getattr(self, name).shape), f"{np.linalg.norm(getattr(self, name)):.4g}") for name in names]
        return "\n".join([f"loss {self.loss:.4g}", *aligned([("array", "shape", "norm"), *rows])])


def linear_rnn_gradients(
    x: Float[ndarray, "series time channel"],
    y: Float[ndarray, "series time output"],
    w_xh: Float[ndarray, "unit channel"],
    w_hh: Float[ndarray, "unit unit"],
    w_qh: Float[ndarray, "output unit"],
    *,
    k: int | None = None,
) -> LinearRNNGradients:
    """Run forward and backward by the formulas of the module, in float64.

    Parameters
    ----------
    x, y
        Inputs and targets at every step.
    w_xh, w_hh, w_qh
        The weights; the state begins at zero.
    k
        Steps that each loss' gradient reaches, the loss' own included: ``delta_t = sum_{j < k} (W_hh^T)^j W_qh^T
        g_{t+j}``; all by default. With 1 it is the one-step gradient, without ``delta_{t+1}``.

    Raises
    ------
    ParameterError
        For what are no finite numbers, shapes that do not fit, no step, and ``k`` below 1 or beyond the series.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.ones((1, 1))
    >>> full = linear_rnn_gradients(np.ones((1, 3, 1)), np.zeros((1, 3, 1)), w, 0.5 * w, w)
    >>> one_step = linear_rnn_gradients(np.ones((1, 3, 1)), np.zeros((1, 3, 1)), w, 0.5 * w, w, k=1)
    >>> [round(float(g.w_hh[0, 0]), 6) for g in (full, one_step)]
    [1.666667, 1.375]
    """
    named = {"x": x, "y": y, "w_xh": w_xh, "w_hh": w_hh, "w_qh": w_qh}
    x, y, w_xh, w_hh, w_qh = (_numbers(name, values) for name, values in named.items())
    _check_shapes(x, y, w_xh, w_hh, w_qh)
    series, time, _ = x.shape
    units = len(w_hh)
    if k is not None:
        check_whole("k", k, 1, time, "the steps of the series")
    h = np.zeros((series, time + 1, units))  # the first is the state before the first step
    for t in range(time):
        h[:, t + 1] = x[:, t] @ w_xh.T + h[:, t] @ w_hh.T
    outputs = h[:, 1:] @ w_qh.T
    errors = outputs - y
    g = errors / (series * time)
    direct = g @ w_qh
    deltas = direct.copy()
    if k is None:
        for t in reversed(range(time - 1)):
            deltas[:, t] += deltas[:, t + 1] @ w_hh
    else:
        pulled = direct
        for _ in range(1, k):  # by one lag more: what reaches step t from step t + lag
            pulled = pulled[:, 1:] @ w_hh
            deltas[:, : pulled.shape[1]] += pulled
    return LinearRNNGradients(
        loss=float(np.square(errors).sum() / (2 * series * time)),
        h=h[:, 1:],
        outputs=outputs,
        deltas=deltas,
        w_xh=np.einsum("btu,btc->uc", deltas, x),
        w_hh=np.einsum("btu,btv->uv", deltas, h[:, :-1]),
        w_qh=np.einsum("bto,btu->ou", g, h[:, 1:]),
    )


def _numbers(name: str, values: Any) -> Float64[ndarray, "..."]:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise ParameterError(f"{name} needs an array of numbers, got {type(values).__name__}: {error}") from None
    wrong = np.argwhere(~np.isfinite(found))
    if len(wrong):
        place = tuple(wrong[0].tolist())
        raise ParameterError(f"{name} needs finite numbers, got {found[place]} at {place}")
    return found


def _check_shapes(x: ndarray, y: ndarray, w_xh: ndarray, w_hh: ndarray, w_qh: ndarray) -> None:
    if x.ndim != 3 or y.ndim != 3 or not x.size or x.shape[:2] != y.shape[:2]:
        raise ParameterError(
            f"x and y need to be (series, time, channel) and (series, time, output), got {x.shape} and {y.shape}"
        )
    units = len(w_hh) if w_hh.ndim == 2 else 0
    expected = (units, x.shape[2]), (units, units), (y.shape[2], units)
    found = w_xh.shape, w_hh.shape, w_qh.shape
    if found != expected:
        raise ParameterError(
            f"w_xh, w_hh and w_qh need to be (unit, channel), (unit, unit) and (output, unit), for {x.shape[2]} "
            f"channels and {y.shape[2]} outputs, got {', '.join(map(str, found))}"
        )
