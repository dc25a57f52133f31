"""Random options, inputs and states: our layers give what torch's give, draw what they draw, and differentiate alike.

A sample by default; ``THROUGHTIME_SOAK=1`` takes thirty times as many.
"""

import os
import random
import warnings

import pytest
import torch
from pairs import assert_same, pair, start_of, tensors
from torch.nn.utils.rnn import pack_padded_sequence

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

CALLS = 3000 if os.environ.get("THROUGHTIME_SOAK") else 100
#: up to three layers of 13 steps, sums of up to 19 terms, dropout that multiplies by up to 3
TOLERANCES = {torch.float64: 1e-10, torch.float32: 3e-4}


def call_of(seed):
    """A pair of layers, and what both are called with."""
    choose = random.Random(seed)
    cell = choose.choice(["tanh", "relu", "gru", "lstm"])
    dtype = choose.choice(list(TOLERANCES))
    options = {
        "num_layers": choose.choice([1, 1, 2, 3]),
        "bias": choose.random() < 0.7,
        "batch_first": choose.random() < 0.5,
        "bidirectional": choose.random() < 0.4,
        "dropout": choose.choice([0.0, 0.0, 0.3, 0.6, 1.0]),
    }
    channels, units = choose.randint(1, 9), choose.randint(2, 19)
    if cell == "lstm" and choose.random() < 0.25:
        options["proj_size"] = choose.randint(1, units - 1)
    with warnings.catch_warnings(action="ignore"):  # of the dropout of a lone layer
        layers = pair(cell, channels, units, dtype=dtype, **options)
    training = choose.random() < 0.7
    torch.manual_seed(seed)
    time, batch = choose.randint(1, 13), choose.choice([1, 2, 3, 5, 9])
    form = choose.choice(["batch", "alone", "packed"])
    sizes = [time] if form == "alone" else [batch, time] if options["batch_first"] else [time, batch]
    x = torch.randn(*sizes, channels, dtype=dtype)
    if choose.random() < 0.3:
        x = torch.stack([x, x], -1)[..., 0]  # strided
    hx = start_of(layers[0], () if form == "alone" else (batch,), dtype=dtype) if choose.random() < 0.5 else None
    lengths = [choose.randint(1, time) for _ in range(batch)] if form == "packed" else None
    mode = choose.choice([torch.enable_grad, torch.enable_grad, torch.no_grad, torch.inference_mode])
    return [layer.train(training) for layer in layers], x, hx, lengths, mode


@pytest.mark.parametrize("seed", range(CALLS))
def test_a_random_call_gives_what_torch_gives(seed):
    layers, x, hx, lengths, mode = call_of(seed)
    found = []
    for layer in layers:
        leaves = [x.detach().requires_grad_(), *layer.parameters()]
        given = leaves[0]
        if lengths is not None:
            given = pack_padded_sequence(given, lengths, layer.batch_first, enforce_sorted=False)
        torch.manual_seed(seed)
        with mode():
            results = layer(given, hx)
        drawn_next = torch.rand(2)
        grads = ()
        if mode is torch.enable_grad:
            loss = sum(part.sin().sum() for part in tensors(results) if part.is_floating_point())
            grads = torch.autograd.grad(loss, leaves, allow_unused=True)
        found.append((results, drawn_next, grads))
    (ours, drawn, grads), (theirs, drawn_by_torch, grads_of_torch) = found
    tolerance = TOLERANCES[x.dtype]
    assert torch.equal(drawn, drawn_by_torch)
    assert_same(ours, theirs, rtol=tolerance, atol=tolerance)
    assert [part.requires_grad for part in tensors(ours)] == [part.requires_grad for part in tensors(theirs)]
    assert all(part.is_contiguous() for part in tensors(ours) if lengths is not None or not layers[0].batch_first)
    assert [grad is None for grad in grads] == [grad is None for grad in grads_of_torch]
    # a gradient is a sum over all steps and series
    assert_same(grads, grads_of_torch, rtol=10 * tolerance, atol=10 * tolerance)
