"""The inside of a step is the step: the same states, and at its borders the gradients of the graph through time."""

import math

import pytest
import torch
from torch import Tensor, nn

import throughtime.nn as tt
from throughtime.kernels import find_cell
from throughtime.stability import ComputationGraph, unroll
from throughtime.stability.graphs.gates import _INSIDES

LAYERS = [
    nn.GRU(2, 4, 2, batch_first=True, dtype=torch.float64),
    nn.LSTM(2, 4, 2, bidirectional=True, batch_first=True, dtype=torch.float64),
    nn.LSTM(2, 4, bias=False, batch_first=True, dtype=torch.float64),
    tt.RNN(2, 4, batch_first=True, dtype=torch.float64),
    tt.RNN(2, 4, nonlinearity="relu", batch_first=True, dtype=torch.float64),
    tt.LinearRNN(2, 4, batch_first=True, dtype=torch.float64),
    tt.GRU(2, 4, zoneout=0.2, batch_first=True, dtype=torch.float64),
]


def of(graph: ComputationGraph) -> dict[str, float]:
    return {node.name: node.gradient or 0.0 for node in graph.nodes}


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("step", [0, 3, 6])
def test_what_leaves_a_step_backwards_is_what_the_edges_through_time_carry(layer: nn.RNNBase, step: int) -> None:
    x = torch.randn(3, 7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def loss(output: tuple[Tensor, Tensor | tuple[Tensor, Tensor]]) -> Tensor:
        ends = output[1] if isinstance(output[1], tuple) else (output[1],)
        return output[0].square().sum() + sum(end.sum() for end in ends)

    whole = unroll(layer, x, loss=loss)
    for number in range(layer.num_layers):
        inside = unroll(layer, x, loss=loss, inside=True, layer=number, step=step)
        nodes = of(inside)
        into = [e for e in whole.edges if e.target == f"l{number}.h.{step}" and e.kind == "x"]
        assert math.isclose(nodes["x"], math.hypot(*(e.gradient or 0.0 for e in into)), rel_tol=1e-12)
        if getattr(layer, "zoneout", 0):
            continue  # a part of h goes round the cell
        for state, name in (("h", "h"), ("c", "c")):
            before = [e for e in whole.edges if e.target == f"l{number}.{state}.{step}" and e.kind == state]
            for edge in before:
                assert math.isclose(nodes[name], edge.gradient or 0.0, rel_tol=1e-12)
        assert math.isclose(nodes["h'"], of(whole)[f"l{number}.h.{step}"], rel_tol=1e-12)
        if "c" in nodes:
            assert math.isclose(nodes["sum"], of(whole)[f"l{number}.c.{step}"], rel_tol=1e-12)


@pytest.mark.parametrize("name", _INSIDES)
def test_the_operations_give_the_cells_states(name: str) -> None:
    cell, (_, operations) = find_cell(name), _INSIDES[name]
    generator = torch.Generator().manual_seed(3)
    from_x, from_h = (torch.randn(1, 5, 4 * len(cell.gates), generator=generator) for _ in range(2))
    states = tuple(torch.randn(1, 5, 4, generator=generator) for _ in cell.states)
    values = dict(zip(cell.states, states, strict=True)) | {"x": from_x}
    rows = {"x": from_x, "h": from_h}
    for operation in operations:
        block = operation.block
        values[operation.name] = operation.compute(
            *(
                values[source]
                if block is None or source not in rows
                else rows[source].chunk(len(cell.gates), -1)[block]
                for source in operation.sources
            )
        )
    for state, expected in zip(cell.states, cell.step(from_x, from_h, states, (), None), strict=True):
        torch.testing.assert_close(values[f"{state}'"], expected)


def test_gates_are_computed_side_by_side() -> None:
    x = torch.randn(2, 3, 2)
    depth = unroll(nn.LSTM(2, 4, batch_first=True), x, loss=lambda out: out[0].sum(), inside=True).depth
    assert (depth.forward, depth.operations) == (1, 4)
    assert "side by side" in str(depth)
