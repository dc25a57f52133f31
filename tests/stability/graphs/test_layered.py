"""The graph of an MLP: its derivatives are autograd's, and its serial depth is its layers, each way."""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from throughtime.errors import DataError, ParameterError
from throughtime.stability import layer_graph


def mlp(layers: int) -> nn.Sequential:
    parts = [part for _ in range(layers) for part in (nn.Linear(3, 3), nn.Tanh())]
    return nn.Sequential(*parts[:-1])


def loss(output: Tensor) -> Tensor:
    return output.square().mean()


@given(layers=st.integers(1, 8), batch=st.integers(1, 50))
def test_the_serial_depth_is_the_layers_in_each_direction_whatever_the_batch(layers: int, batch: int) -> None:
    depth = layer_graph(mlp(layers), torch.randn(batch, 3), loss=loss).depth
    assert (depth.forward, depth.backward, depth.operations) == (layers, layers, layers)
    operations = "1 operation" if layers == 1 else f"{layers} operations"
    assert f"{layers} backward, of {operations}: one per layer, whatever the number of examples" in str(depth)


def test_the_drawn_backward_pass_has_the_depth_that_is_told() -> None:
    from throughtime.stability.graphs.depth import longest_path

    graph = layer_graph(mlp(4), torch.randn(5, 3), loss=loss)
    assert longest_path([edge for edge in graph.edges if edge.kind == "delta"]) == graph.depth.backward == 4
    assert longest_path([edge for edge in graph.edges if edge.kind in ("x", "value")]) == graph.depth.forward == 4


def test_derivatives_are_autograds() -> None:
    model, x = mlp(3).double(), torch.randn(5, 3, dtype=torch.float64)
    values = [x]
    for part in model:
        values.append(part(values[-1]))
        values[-1].retain_grad()
    loss(values[-1]).backward()
    found = {node.name: node.gradient for node in layer_graph(model, x, loss=loss).nodes}
    for name, value in zip(("z1", "h1", "z2", "h2", "z3"), values[1:], strict=True):
        assert found[f"d {name}"] == pytest.approx(float(value.grad.norm()), rel=1e-12)
    for number, part in enumerate((model[0], model[2], model[4]), 1):
        assert found[f"d W{number}"] == pytest.approx(float(part.weight.grad.norm()), rel=1e-12)
        assert found[f"d b{number}"] == pytest.approx(float(part.bias.grad.norm()), rel=1e-12)
    assert "d x" not in found  # nobody needs the inputs' derivative


def test_what_a_weights_gradient_takes_of_the_forward_pass_is_its_layers_input() -> None:
    graph = layer_graph(mlp(2), torch.randn(5, 3), loss=loss)
    assert [(e.source, e.target) for e in graph.edges if e.kind == "saved"] == [("x", "d W1"), ("h1", "d W2")]


def test_a_perceptron_is_one_layer() -> None:
    graph = layer_graph(nn.Linear(3, 1), torch.randn(5, 3))
    assert [node.name for node in graph.nodes if node.lane == 2] == ["x", "z1", "output"]
    assert graph.depth.forward == graph.depth.backward == 1
    assert graph.gradients == []


def test_activations_in_place_and_nested_parts_are_drawn_as_any() -> None:
    inner = nn.Sequential(OrderedDict(one=nn.Linear(3, 4), act=nn.ReLU(inplace=True), drop=nn.Dropout(0.5)))
    model, x = nn.Sequential(inner, nn.Linear(4, 1, bias=False)).train(), torch.randn(5, 3)
    graph = layer_graph(model, x, loss=loss)
    assert [node.name for node in graph.nodes if node.lane == 2] == ["x", "z1", "h1", "z2", "L"]
    assert [p.name for p in graph.parameters] == ["W1", "b1", "W2"]
    assert inner[2].training
    inner.act = nn.ReLU()
    assert layer_graph(model, x, loss=loss).nodes == graph.nodes
    assert all(parameter.grad is None for parameter in model.parameters())


class Estimator:
    """As far as a function can tell."""

    module_ = None


class Chain(nn.Module):
    """A module of one's own: declared in another order than called, and with something between its layers."""

    def __init__(self, between: Callable[[Tensor], Tensor] = lambda value: value, twice: bool = False) -> None:
        super().__init__()
        self.second, self.first = nn.Linear(4, 3, bias=False), nn.Linear(3, 4)
        self.act, self.drop, self.between, self.twice = nn.Tanh(), nn.Dropout(0.5), between, twice

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.between(self.drop(self.act(self.first(x)))))
        return self.second(self.act(self.first(y))) if self.twice else y


def test_a_module_of_ones_own_that_calls_its_layers_in_a_chain_is_drawn_as_a_sequential_of_them() -> None:
    own, x = Chain().train(), torch.randn(5, 3)
    graph = layer_graph(own, x, loss=loss)
    expected = layer_graph(nn.Sequential(own.first, own.act, own.second), x, loss=loss)
    assert (graph.nodes, graph.edges, graph.parameters) == (expected.nodes, expected.edges, expected.parameters)
    assert own.drop.training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in own.modules())


class Ending(Chain):
    """A chain that is not returned as it is."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class Doubled(nn.Linear):
    """Not what its class computes."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Chain(torch.relu), "something else between h1 and Linear at 'second'; what is computed there as a module"),
        (Chain(torch.relu_), "something else between h1 and Linear at 'second'"),
        (Chain(lambda value: value + 0), "something else between h1 and Linear at 'second'"),
        (Chain(twice=True), "each called once, got Linear at 'first' called again"),
        (Ending(), "something else between z2 and what Ending gives"),
        (nn.Sequential(Doubled(3, 3)), "one after the other, got Doubled at '0'"),
        (nn.Sequential(nn.Linear(3, 3), nn.Softmax(-1)), "one after the other, got Softmax at '1'"),
    ],
)
def test_what_cannot_be_followed_is_said(model: nn.Module, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        layer_graph(model, torch.randn(5, 3), loss=loss)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_a_frozen_weight_has_no_gradient_and_the_others_have_theirs() -> None:
    model, x = mlp(2), torch.randn(5, 3)
    expected = {node.name: node.gradient for node in layer_graph(model, x, loss=loss).nodes}
    model[0].weight.requires_grad_(False)
    found = {node.name: node.gradient for node in layer_graph(model, x, loss=loss).nodes}
    assert found == expected | {"d W1": None}


def test_gradients_that_overflow_are_drawn_and_nan_is_refused_where_it_comes_up_first() -> None:
    model, x = mlp(2), torch.ones(1, 3)
    graph = layer_graph(model, x, loss=lambda output: output.sum() * torch.inf)
    assert "not finite" in graph.to_svg()
    with pytest.raises(DataError, match="gradients that are numbers, got NaN at z2, first on the way back"):
        layer_graph(model, x, loss=lambda output: (output * torch.nan).sum())


@pytest.mark.parametrize(
    ("model", "x", "loss", "error", "words"),
    [
        (nn.Sequential(nn.GRU(3, 3)), torch.randn(5, 3), loss, ParameterError, "got GRU at '0'; unroll draws"),
        (nn.Tanh(), torch.randn(5, 3), loss, ParameterError, "with a Linear layer, got Tanh"),
        (mlp(1), torch.randn(5, 2), loss, DataError, r"x needs to be what Sequential takes, got \(5, 2\)"),
        (mlp(1), torch.randn(0, 3), loss, DataError, "with a row"),
        (mlp(1), torch.ones(5, 3).long(), loss, DataError, r"of floating numbers, .* got \(5, 3\) of torch.int64"),
        (mlp(1), np.ones((5, 3)), loss, DataError, "x needs tensors, got a ndarray; torch.from_numpy makes one"),
        (mlp(1), torch.tensor([[1.0] * 3, [1.0, math.nan, 1.0]]), loss, DataError, "finite numbers, .* in row 1"),
        (Estimator(), torch.randn(5, 3), loss, ParameterError, "of a fitted estimator pass its module_"),
        (mlp(1), torch.randn(5, 3), "mse", ParameterError, "loss needs a function of the model's output, got 'mse'"),
        (
            nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2)),
            torch.randn(5, 3),
            loss,
            DataError,
            "shapes cannot be multiplied",
        ),
        (mlp(1), torch.randn(5, 3), lambda out: out, ParameterError, r"one number.*got a tensor of shape \(5, 3\)"),
        (mlp(1), torch.randn(5, 3), lambda _: torch.ones(()), ParameterError, "depend on the model's output"),
    ],
)
@pytest.mark.usefixtures("types_unchecked")
def test_what_is_no_mlp_is_refused(model: Any, x: Any, loss: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        layer_graph(model, x, loss=loss)
