"""A gradient has the same bits whichever others are asked for: without the weights' the kernels leave those out."""

from itertools import product

import pytest
import torch
from cases import DTYPES, KINDS, assert_same_bits, make, needs_native

from throughtime.kernels import DeltaNorms, recurrent


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("isa")
def test_what_is_asked_for_has_the_same_bits_with_frozen_weights(kind: str, dtype: torch.dtype) -> None:
    for reverse, ragged, noise, segment in product((False, True), (False, True), (False, True), (None, 7)):
        # a batch of more than one block, units beyond a whole vector
        case = make(kind, 2, 23, 19, 3, 10, reverse=reverse, ragged=ragged, noise=noise).to(dtype)
        x, lengths, *weights_and_starts = case.arguments
        found = []
        for frozen in (False, True):
            deltas = DeltaNorms()
            tensors = [None if t is None else t.clone() for t in (x, *weights_and_starts)]
            for place, tensor in enumerate(tensors):
                if tensor is not None:
                    tensor.requires_grad_(not (frozen and 1 <= place <= 4))
            first, *others = tensors
            results = recurrent(kind, first, lengths, *others, case.reverse, case.noise, (), deltas, segment)
            sum(result.square().sum() for result in results).backward()
            assert (others[0].grad is None) == frozen
            wanted = [first.grad, *(start.grad for start in others[4:] if start is not None)]
            found.append((*results, *wanted, *(norms for norms in (deltas.h, deltas.c) if norms is not None)))
        assert_same_bits(*found)
