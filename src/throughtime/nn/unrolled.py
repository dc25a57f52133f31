"""The recurrence step by step, open for what the recurrent op has no room for.

A projected state (Sak, Senior & Beaufays 2014, https://arxiv.org/abs/1402.1128), and all states of every step.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from throughtime.kernels import (
    CHUNK,
    NO_NOISE,
    CellSpec,
    DeltaNorms,
    StepNoise,
    apply_zoneout,
    find_cell,
    linear,
    linear_over_time,
    watch_states,
)

States = tuple[Tensor, ...]


def unrolled(
    cell: CellSpec | str,
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    w_ih: Float[Tensor, "member gate_unit channel"],
    w_hh: Float[Tensor, "member gate_unit output"],
    b_ih: Float[Tensor, "member gate_unit"] | None = None,
    b_hh: Float[Tensor, "member gate_unit"] | None = None,
    w_hr: Float[Tensor, "member output unit"] | None = None,
    *,
    start: States = (),
    reverse: bool = False,
    noise: StepNoise = NO_NOISE,
    unit_weights: Sequence[Float[Tensor, "member unit"]] = (),
    deltas: DeltaNorms | None = None,
) -> tuple[States, States]:
    """``throughtime.kernels.recurrent`` in plain steps.

    Parameters
    ----------
    w_hr
        Projects h to what is handed on and enters the next step.
    start
        ``(h0,)`` or ``(h0, c0)``; zeros by default.
    deltas
        Takes the norms of the gradients at the states; of a projected h, as it is handed on.

    Returns
    -------
    The states at every step, ``(h,)`` or ``(h, c)``, (member, time, batch, unit) and zero beyond each series' own end,
    and the same where the series itself ends, without the time axis.
    """
    cell = find_cell(cell)
    members, time, batch, _ = x.shape
    none = x.new_zeros(members, w_ih.shape[1])
    b_ih, b_hh = (none if bias is None else bias for bias in (b_ih, b_hh))
    state = start or initial_states(cell, x, w_hh, w_hr)
    per_unit = tuple(weight[:, None].expand(-1, batch, -1) for weight in unit_weights)

    steps = torch.arange(time, device=x.device)[:, None]
    running = (steps < lengths[:, None]).unsqueeze(-1)  # member time batch 1
    x = torch.where(running, x, 0)  # a NaN there would stay out of the outputs, but 0 * NaN is no gradient
    from_x = linear_over_time(x, w_ih, b_ih, CHUNK)

    watch = None if deltas is None else watch_states(deltas, running[..., 0])
    found: list[States] = [state] * time
    for t in reversed(range(time)) if reverse else range(time):
        h = state[0] if noise.recurrent is None else state[0] * noise.recurrent
        from_h = linear(h, w_hh, b_hh)
        candidate = None if noise.candidate is None else noise.candidate[:, t]
        new = cell.step(from_x[:, t], from_h, state, per_unit, candidate)
        if w_hr is not None:
            new = (linear(new[0], w_hr, w_hr.new_zeros(w_hr.shape[:2])), *new[1:])
        fresh_c = new[1:]
        new = apply_zoneout(noise, t, state, new)
        state = tuple(torch.where(running[:, t], fresh, old) for fresh, old in zip(new, state, strict=True))
        found[t] = state
        if watch is not None:
            watch(t, state[0], *fresh_c)
    every = tuple(torch.where(running, torch.stack(states, 1), 0) for states in zip(*found, strict=True))
    return every, state


def initial_states(cell: CellSpec, x: Tensor, w_hh: Tensor, w_hr: Tensor | None) -> States:
    """Zeros of the states' sizes."""
    members, _, batch, _ = x.shape
    h = x.new_zeros(members, batch, w_hh.shape[-1])
    units = w_hh if w_hr is None else w_hr
    return (h, x.new_zeros(members, batch, units.shape[-1])) if "c" in cell.states else (h,)
