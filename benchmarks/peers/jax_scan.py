"""torch's recurrent layers in JAX: ``jax.lax.scan``, compiled.

What was tried on the shapes of ``kernels.py``: unrolling the scan by 2, 4 or 8 steps was not faster beyond the noise,
and XLA on one thread or with oneDNN no faster than its default. Whether the products with the inputs belong before the
loop depends on the shape, so both are offered.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.nn import sigmoid
from numpy import ndarray


def _lstm(of_x: Any, of_h: Any, state: Any) -> Any:
    i, f, g, o = jnp.split(of_x + of_h, 4, -1)
    c = sigmoid(f) * state[1] + sigmoid(i) * jnp.tanh(g)
    return sigmoid(o) * jnp.tanh(c), c


def _gru(of_x: Any, of_h: Any, state: Any) -> Any:
    r_x, z_x, n_x = jnp.split(of_x, 3, -1)
    r_h, z_h, n_h = jnp.split(of_h, 3, -1)
    z = sigmoid(z_x + z_h)
    n = jnp.tanh(n_x + sigmoid(r_x + r_h) * n_h)
    return ((1 - z) * n + z * state[0],)


def _rnn(of_x: Any, of_h: Any, _: Any) -> Any:
    return (jnp.tanh(of_x + of_h),)


_CELLS = {"lstm": _lstm, "gru": _gru, "rnn_tanh": _rnn}


def _run(kind: str, weights: Any, x: Any, state: Any, before: bool) -> Any:
    w_ih, w_hh, b_ih, b_hh = weights

    def step(state: Any, x_t: Any) -> Any:
        of_x = x_t if before else x_t @ w_ih + b_ih
        state = _CELLS[kind](of_x, state[0] @ w_hh + b_hh, state)
        return state, state[0]

    return jax.lax.scan(step, state, x @ w_ih + b_ih if before else x)


def layer(
    kind: str, module: torch.nn.RNNBase, x: torch.Tensor, dy: torch.Tensor | None, before: bool
) -> tuple[Callable[[], Any], Callable[[], list[ndarray]]]:
    """A compiled call on arrays already on the device, and what it gives, in torch's shapes.

    Parameters
    ----------
    dy
        The gradient of the outputs: then the call gives those of the weights, else the outputs.
    before
        Whether the inputs are multiplied with their weights before the loop.
    """
    arrays = [parameter.detach().numpy() for parameter in module.parameters()]
    weights = tuple(jax.device_put(np.ascontiguousarray(array.T)) for array in arrays)
    inputs = jax.device_put(x.numpy())
    start = jnp.zeros((x.shape[1], module.hidden_size), jnp.float32)
    state = (start, start) if kind == "lstm" else (start,)
    if dy is None:
        run = jax.jit(lambda weights, x, state: _run(kind, weights, x, state, before))
        given = (weights, inputs, state)
    else:

        def gradients(weights: Any, x: Any, dy: Any) -> Any:
            return jax.vjp(lambda weights: _run(kind, weights, x, state, before)[1], weights)[1](dy)[0]

        run = jax.jit(gradients)
        given = (weights, inputs, jax.device_put(dy.numpy()))

    def call() -> Any:
        return jax.block_until_ready(run(*given))  # type: ignore[no-untyped-call, unused-ignore]

    def result() -> list[ndarray]:
        return [np.asarray(call()[1])] if dy is None else [np.asarray(array).T for array in call()]

    return call, result
