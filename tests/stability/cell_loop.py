"""The oracle of gradients at the states: one series, a call of the cell per step, every state a node of autograd's."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from throughtime.kernels import CellSpec
from throughtime.nn import layer_directions


class Loop(NamedTuple):
    """Outputs (time, direction * unit), the ends (state by state, of each layer and direction), and all states."""

    outputs: Tensor
    ends: list[tuple[Tensor, ...]]
    states: list[list[tuple[Tensor, ...]]]

    def norms(self) -> list[list[tuple[float, ...]]]:
        """Norms of what reached each state, after a backward pass: layer and direction, step, state."""
        return [
            [tuple(0.0 if s.grad is None else float(s.grad.double().norm()) for s in step) for step in place]
            for place in self.states
        ]

    def totals(self) -> Tensor:
        """Joint norm of h and c: (layer and direction, step)."""
        squares = [[sum(norm**2 for norm in step) for step in place] for place in self.norms()]
        return torch.tensor(squares, dtype=torch.float64).sqrt()


def run_loop(
    cell: CellSpec, weights: Mapping[str, Tensor], x: Tensor, num_layers: int = 1, bidirectional: bool = False
) -> Loop:
    """The layers on one series (time, channel); weights by torch's names, without a member axis."""
    outputs = list(x)
    ends, states = [], []
    above: list[list[Tensor]] = []
    for layer, reverse in layer_directions(num_layers, bidirectional):
        end = f"_l{layer}" + ("_reverse" if reverse else "")
        w_ih, w_hh, w_hr = (weights.get(f"weight_{name}{end}") for name in ("ih", "hh", "hr"))
        assert w_ih is not None
        assert w_hh is not None
        b_ih, b_hh = (weights.get(f"bias_{name}{end}", w_ih.new_zeros(len(w_ih))) for name in ("ih", "hh"))
        per_unit = tuple(weights[name + end][None, None] for name in cell.unit_weights)
        width = len(w_ih) // len(cell.gates)
        h = x.new_zeros(w_hh.shape[1]).requires_grad_()  # a state of a net whose weights are no leaves has a gradient
        state = (h[None, None], *(x.new_zeros(1, 1, width) for _ in cell.states[1:]))
        place = []
        for t in range(len(x))[:: -1 if reverse else 1]:
            from_x, from_h = outputs[t] @ w_ih.T + b_ih, state[0] @ w_hh.T + b_hh
            state = cell.step(from_x[None, None], from_h, state, per_unit, None)
            if w_hr is not None:
                state = (state[0] @ w_hr.T, *state[1:])
            for part in state:
                part.retain_grad()
            place.append(state)
        ends.append(state)
        states.append(place[:: -1 if reverse else 1])
        above.append([step[0][0, 0] for step in states[-1]])
        if reverse or not bidirectional:
            outputs = [torch.cat(parts) for parts in zip(*above, strict=True)]
            above = []
    return Loop(torch.stack(outputs), ends, states)
