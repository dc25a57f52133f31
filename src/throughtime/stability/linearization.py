"""The step of a cell made linear at each of a run's steps: what J Q and J^T D take, without building J.

A cell's step is taken unit by unit, so that J = d(state_t)/d(state_{t-1}) is made of diagonals and of the recurrent
weights: state s of gates g depends on state r by ``diag(direct[s][r])``, and on h, that enters through ``U h``, also by
``sum_g diag(through[s][g]) U_g``.  For an Elman network ``through = 1 - h_t^2`` and ``J = diag(1 - h_t^2) U``.  A
projection multiplies h's rows, zoneout mixes in the identity.
"""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float64
from torch import Tensor

from throughtime.stability.traces import StepTrace

Columns = tuple[Float64[Tensor, "... _ column"], ...]


@dataclass(frozen=True, eq=False)
class Linearization:
    """The diagonals at each step.

    Parameters
    ----------
    trace
        Where it is taken.
    through
        Of each new state with regard to ``U h + b``.
    direct
        Of each new state with regard to each old one, beside that; ``None`` where there is no such path.
    """

    trace: StepTrace
    through: tuple[Float64[Tensor, "time series gate_unit"], ...]
    direct: tuple[tuple[Float64[Tensor, "time series unit"] | None, ...], ...]

    def push(self, columns: Columns, at: int | slice) -> Columns:
        """J Q at a step, or at every step: forward along the run."""
        trace = self.trace
        inner = trace.w_hh @ columns[0]
        gates = len(trace.cell.gates)
        pushed = []
        for state, through in enumerate(self.through):
            by_gate = through[at].unsqueeze(-1) * inner
            new = torch.stack(by_gate.chunk(gates, -2)).sum(0)
            for old, direct in enumerate(self.direct[state]):
                if direct is not None:
                    new = new + direct[at].unsqueeze(-1) * columns[old]
            if state == 0 and trace.w_hr is not None:
                new = trace.w_hr @ new
            kept = trace.zoneout[state]
            pushed.append(kept * columns[state] + (1 - kept) * new if kept else new)
        return tuple(pushed)

    def pull(self, deltas: tuple[Float64[Tensor, "series _"], ...], at: int) -> tuple[Tensor, ...]:
        """J^T D at a step: gradients with regard to the states before it, from those after it."""
        trace = self.trace
        gates = len(trace.cell.gates)
        fresh = [(1 - kept) * delta for kept, delta in zip(trace.zoneout, deltas, strict=True)]
        if trace.w_hr is not None:
            fresh[0] = fresh[0] @ trace.w_hr
        at_gates = sum(t[at] * d.repeat(1, gates) for t, d in zip(self.through, fresh, strict=True))
        pulled = [kept * delta for kept, delta in zip(trace.zoneout, deltas, strict=True)]
        pulled[0] = pulled[0] + cast(Tensor, at_gates) @ trace.w_hh
        for state, by_old in enumerate(self.direct):
            for old, direct in enumerate(by_old):
                if direct is not None:
                    pulled[old] = pulled[old] + direct[at] * fresh[state]
        return tuple(pulled)


def linearize(trace: StepTrace) -> Linearization:
    """Take the diagonals by autograd on the cell's own step, all steps at once.

    As each unit is on its own, the gradient of the sum over a new state is the diagonal.
    """
    with torch.inference_mode(False), torch.enable_grad():
        from_h = trace.from_h.clone().requires_grad_()
        # A projected h is narrower than the units; no cell that is projected reads it beside U h.
        h = trace.before[0] if trace.w_hr is None else trace.from_h.new_zeros(*from_h.shape[:2], trace.w_hr.shape[-1])
        state = tuple(old.clone().requires_grad_() for old in (h, *trace.before[1:]))
        per_unit = tuple(weight.expand_as(state[0]) for weight in trace.unit_weights)
        new = trace.cell.step(trace.from_x, from_h, state, per_unit, None)
        found = [
            torch.autograd.grad(fresh.sum(), (from_h, *state), retain_graph=True, allow_unused=True) for fresh in new
        ]
    through = tuple(torch.zeros_like(from_h) if first is None else first for first, *_ in found)
    return Linearization(trace, tuple(t.detach() for t in through), tuple(tuple(direct) for _, *direct in found))


def identity(trace: StepTrace) -> Columns:
    """The identity over all states, cut into the rows of each."""
    widths = trace.widths
    eye = torch.eye(sum(widths), dtype=torch.float64)
    return tuple(eye.split(widths))  # type: ignore[no-untyped-call]
