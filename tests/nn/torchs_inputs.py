"""Our layers on what torch's own test suite calls its layers with; a process of its own, see ``test_torchs_inputs``."""

import os
import sys
import types
import unittest
from typing import Any

# torch's test utilities take one class of this package, which nothing here needs, as the base of theirs
sys.modules["expecttest"] = types.ModuleType("expecttest")
sys.modules["expecttest"].TestCase = unittest.TestCase  # type: ignore[attr-defined]

import torch  # noqa: E402
from pairs import EXACT, assert_same, tensors  # noqa: E402
from torch.func import functional_call  # noqa: E402
from torch.nn.utils.rnn import PackedSequence  # noqa: E402
from torch.testing._internal.common_modules import module_db  # noqa: E402

from throughtime import nn  # noqa: E402

#: Each how many-th of the inputs is differentiated: all of them take a minute.
STRIDE = 1 if os.environ.get("THROUGHTIME_SOAK") else 17


def leaves(given: Any) -> list[torch.Tensor]:
    """The tensors of a call that can be differentiated; of a packed series its data."""
    return [t for t in tensors(given) if t.is_floating_point()]


def refill(given: Any, values: list[torch.Tensor]) -> Any:
    """The same call with other tensors at those places."""
    if isinstance(given, torch.Tensor):
        return values.pop(0) if given.is_floating_point() else given
    if isinstance(given, PackedSequence):
        return PackedSequence(values.pop(0), *given[1:])
    return tuple(refill(part, values) for part in given) if isinstance(given, tuple | list) else given


def check(ours: torch.nn.Module, theirs: torch.nn.Module, args: Any, differentiate: bool) -> None:
    ours.load_state_dict(theirs.state_dict())
    found, expected = ours(*args), theirs(*args)
    assert_same(found, expected, **EXACT)
    with torch.no_grad():
        assert_same(ours(*args), expected, **EXACT)
    results = [
        torch.autograd.grad(sum(y.sin().sum() for y in leaves(y)), [*leaves(args), *module.parameters()])
        for y, module in ((found, ours), (expected, theirs))
    ]
    assert_same(*results, **EXACT)
    if not differentiate:
        return
    names, given = [name for name, _ in ours.named_parameters()], leaves(args)

    def run(*flat: torch.Tensor) -> tuple[torch.Tensor, ...]:
        weights = dict(zip(names, flat[len(given) :], strict=True))
        return tuple(leaves(functional_call(ours, weights, refill(args, list(flat[: len(given)])))))

    checks = {"check_batched_grad": True, "check_forward_ad": True, "check_batched_forward_grad": True}
    flat = [t.detach().requires_grad_() for t in (*given, *ours.parameters())]
    assert torch.autograd.gradcheck(run, flat, fast_mode=True, **checks)


def main() -> None:
    torch.manual_seed(0)
    count = 0
    for info in module_db:
        if info.module_cls not in (torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM):
            continue
        options: dict[str, Any] = {"device": "cpu", "dtype": torch.float64}
        for training in (True, False):
            for sample in info.module_inputs_func(info, requires_grad=True, training=training, **options):
                made = sample.constructor_input
                layers = [
                    cls(*made.args, **made.kwargs, **options).train(training)
                    for cls in (getattr(nn, info.module_cls.__name__), info.module_cls)
                ]
                assert not sample.forward_input.kwargs
                check(*layers, sample.forward_input.args, count % STRIDE == 0)
                count += 1
    print(count)


if __name__ == "__main__":
    main()
