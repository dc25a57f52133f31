"""Recurrent layers as a computation with a member axis: one on the other, each in its directions."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from throughtime.kernels import NO_NOISE, CellSpec, DeltaNorms, StepNoise, find_cell, recurrent
from throughtime.nn.unrolled import States, unrolled

V = TypeVar("V")

#: h is narrower than c where it is projected
Start = Sequence[Float[Tensor, "member layer_direction batch _"]]


class Run(NamedTuple):
    """What layers give.

    Parameters
    ----------
    outputs
        The last layer's, (member, time, batch, direction * unit).
    ends
        Each state where the series itself ends: one tensor per state (h, and a cell's c), (member, layer * direction,
        batch, unit).
    steps
        For each layer and direction its states at every step, (member, time, batch, unit) and zero beyond a series'
        end; its c only where it was asked for.
    """

    outputs: Tensor
    ends: States
    steps: list[States]


def weight_names(layer: int, reverse: bool) -> tuple[str, str, str, str]:
    """torch's names of one layer's parameters in one direction."""
    end = ending(layer, reverse)
    return f"weight_ih{end}", f"weight_hh{end}", f"bias_ih{end}", f"bias_hh{end}"


def ending(layer: int, reverse: bool) -> str:
    """What torch's names of one layer's parameters in one direction end with."""
    return f"_l{layer}" + ("_reverse" if reverse else "")


def layer_directions(num_layers: int, bidirectional: bool) -> Iterator[tuple[int, bool]]:
    """Every layer and direction (is it the reverse one?), in torch's order."""
    return product(range(num_layers), (False, True)[: 1 + bidirectional])


def by_place(named: Mapping[str, V], num_layers: int, bidirectional: bool) -> list[dict[str, V]]:
    """What is named as torch names weights, for each layer and direction by the names without their endings."""
    ends = [ending(*place) for place in layer_directions(num_layers, bidirectional)]
    return [{name.removesuffix(end): value for name, value in named.items() if name.endswith(end)} for end in ends]


def trace_layers(
    cell: CellSpec | str,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    *,
    num_layers: int,
    bidirectional: bool,
    start: Start | None = None,
    masks: Sequence[Float[Tensor, "member #time batch feature"] | None] = (),
    noise: Sequence[StepNoise] = (),
    deltas: Sequence[DeltaNorms] = (),
    cells: bool = False,
    segment: int | None = None,
    outputs: bool = True,
) -> Run:
    """Run the layers one on the other, each in its directions.

    Parameters
    ----------
    weights
        torch's names, and those of the cell's ``unit_weights``; biases may be absent, a projection (``weight_hr``)
        present.
    start
        Initial states, ``(h0,)`` or ``(h0, c0)``, torch's order of layers and directions.
    masks
        What the outputs of each layer but the last are multiplied with: dropout, already drawn.
    noise
        What acts inside the steps, for each layer and direction.
    deltas
        Take the norms of the gradients at the states, for each layer and direction.
    cells
        Whether the c of a cell that has one is wanted at every step.
    segment
        Checkpointed BPTT: the backward pass runs segments of so many steps forward again. Of each layer and direction
        are kept its inputs and the states between the segments.
    outputs
        Whether the last layer's outputs are wanted; if not, they have no steps.

    Raises
    ------
    ValueError
        Segments of what the recurrent op does not run: a projected state, or ``cells``.
    """
    cell = find_cell(cell)
    ends: list[States] = []
    steps: list[States] = []
    for layer in range(num_layers):
        of_directions = []
        wanted = outputs or layer < num_layers - 1
        for reverse in (False, True)[: 1 + bidirectional]:
            place = len(ends)
            w_ih, w_hh, b_ih, b_hh = (weights.get(name) for name in weight_names(layer, reverse))
            assert w_ih is not None
            assert w_hh is not None
            end_of_name = ending(layer, reverse)
            w_hr = weights.get(f"weight_hr{end_of_name}")
            per_unit = [weights[name + end_of_name] for name in cell.unit_weights]
            initial = () if start is None else tuple(state[:, place] for state in start)
            h0, c0 = (*initial, None, None)[:2]
            inside = noise[place] if noise else NO_NOISE
            norms = deltas[place] if deltas else None
            # The op has no room for a projection inside its steps, keeps no c, and refuses an empty batch.
            if w_hr is not None or cells or x.shape[2] == 0:
                if segment is not None and x.shape[2] > 0:
                    what = "a projected state" if w_hr is not None else "cells=True"
                    raise ValueError(f"segments need layers that the recurrent op runs, got {what}; leave segment out")
                states, end = unrolled(
                    cell,
                    x,
                    lengths,
                    w_ih,
                    w_hh,
                    b_ih,
                    b_hh,
                    w_hr,
                    start=initial,
                    reverse=reverse,
                    noise=inside,
                    unit_weights=per_unit,
                    deltas=norms,
                )
            else:
                tensors = x, lengths, w_ih, w_hh, b_ih, b_hh, h0, c0
                y, *op_end = recurrent(cell, *tensors, reverse, inside, per_unit, norms, segment, wanted)
                states, end = (y,), tuple(op_end)
            of_directions.append(states[0])
            ends.append(end)
            steps.append(states)
        x = torch.cat(of_directions, -1) if bidirectional else of_directions[0]
        if layer < len(masks) and (mask := masks[layer]) is not None:
            x = x * mask
    if len(ends) == 1:
        return Run(x, tuple(state.unsqueeze(1) for state in ends[0]), steps)
    return Run(x, tuple(torch.stack(states, 1) for states in zip(*ends, strict=True)), steps)


def run_layers(
    cell: CellSpec | str,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    *,
    num_layers: int,
    bidirectional: bool,
    start: Start | None = None,
    masks: Sequence[Float[Tensor, "member #time batch feature"] | None] = (),
    noise: Sequence[StepNoise] = (),
    deltas: Sequence[DeltaNorms] = (),
    segment: int | None = None,
    outputs: bool = True,
) -> tuple[Tensor, States]:
    """Outputs and final states of ``trace_layers``, which see."""
    run = trace_layers(
        cell,
        weights,
        x,
        lengths,
        num_layers=num_layers,
        bidirectional=bidirectional,
        start=start,
        masks=masks,
        noise=noise,
        deltas=deltas,
        segment=segment,
        outputs=outputs,
    )
    return run.outputs, run.ends
