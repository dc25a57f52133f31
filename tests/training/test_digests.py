"""Digests of a user's own code: what it does is part of them."""

import os
import textwrap
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from throughtime.nn import Architecture, FactoryNetwork
from throughtime.training.digests import digest

SOURCE = """
import torch
from dataclasses import dataclass
from torch import nn

WIDTH, NAMES = 5, ["a", "b"]

def rectified(x):
    return torch.relu(x)

class Base(nn.Module):
    def squeezed(self, x):
        return x.sum(1)

class Net(Base):
    slope: float = 0.1

    def __init__(self, channels, outputs):
        super().__init__()
        self.hidden = nn.Linear(channels, WIDTH)
        self.readout = nn.Linear(WIDTH, outputs)

    def forward(self, x, lengths):
        kept = [name for name in NAMES if name in {"a", "b", "c"}]
        return self.readout(self.squeezed(rectified(self.hidden(x)))) * len(kept)

@dataclass(frozen=True)
class Mask:
    rate: float = 0.1

    def draw(self, generator):
        return generator.random() > self.rate

def within(scale):
    def factory(channels, outputs):
        return Net(channels, outputs * scale)
    return factory

def again(n):
    return 1 if n == 0 else n * again(n - 1)
"""
WHAT = ("Net", "Mask()", "within(1)", "again", "Net(2, 3).forward", "lambda x: rectified(x)")


def digests(source: str) -> dict[str, str]:
    scope: dict[str, Any] = {"__name__": "theirs"}
    exec(textwrap.dedent(source), scope)
    torch.manual_seed(0)
    return {what: digest(eval(what, scope)) for what in WHAT}


def test_the_same_source_has_the_same_digests_and_another_name_none_of_them():
    assert digests(SOURCE) == digests(SOURCE + "\nUNUSED = 3\n")
    assert len(set(digests(SOURCE).values())) == len(WHAT)


def test_a_change_anywhere_that_a_function_or_class_reaches_changes_its_digest():
    before = digests(SOURCE)
    net = {"Net", "within(1)", "Net(2, 3).forward"}
    for old, new, changed in (
        ("WIDTH, NAMES = 5", "WIDTH, NAMES = 6", net),
        ('["a", "b"]', '["a", "x"]', net),
        ("torch.relu(x)", "torch.tanh(x)", {*net, "lambda x: rectified(x)"}),
        ("x.sum(1)", "x.sum(2)", net),
        ("slope: float = 0.1", "slope: float = 0.2", net),
        ("* len(kept)", "* len(kept) * 2", net),
        ("rate: float = 0.1", "rate: float = 0.2", {"Mask()"}),
        ("generator.random() >", "generator.random() >=", {"Mask()"}),
        ("outputs * scale", "outputs + scale", {"within(1)"}),
        ("1 if n == 0", "2 if n == 0", {"again"}),
    ):
        assert SOURCE.count(old) == 1, old
        after = digests(SOURCE.replace(old, new))
        assert {what for what in WHAT if after[what] != before[what]} >= changed, old
        assert after["again"] == before["again"] or changed == {"again"}
    scope: dict[str, Any] = {"__name__": "theirs"}
    exec(SOURCE, scope)
    assert digest(scope["within"](1)) != digest(scope["within"](2))


def test_a_module_that_is_handed_in_is_its_weights():
    def net(module: nn.Module) -> FactoryNetwork:
        return FactoryNetwork(partial(given, module), 2, 3, "last")

    torch.manual_seed(0)
    one, other = nn.Linear(2, 3), nn.Linear(2, 3)
    copy = nn.Linear(2, 3)
    copy.load_state_dict(one.state_dict())
    assert digest(net(one)) == digest(net(copy))
    assert digest(net(one)) != digest(net(other))


def given(module: nn.Module, channels: int, outputs: int) -> nn.Module:  # noqa: ARG001
    return module


@dataclass
class Ring:
    """Two that hold each other."""

    other: Any = None


def test_what_holds_itself_has_an_end():
    ring = Ring()
    ring.other = Ring(ring)
    assert digest(ring) == digest(ring)
    assert digest([torch, ring]) != digest([os, ring])


def test_a_set_has_no_order_and_the_packages_own_code_is_its_name():
    assert digest({"a", "b", "c"}) == digest({"c", "b", "a"})
    assert digest({"a", "b"}) != digest({"a", "c"})
    assert digest(Architecture("gru", 2, 3, 1, False, "last", 2)) != digest(
        Architecture("lstm", 2, 3, 1, False, "last", 2)
    )
