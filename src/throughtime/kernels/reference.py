"""The recurrent op in plain torch: the oracle of the kernels, and the path wherever they do not run."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import pad

from throughtime.kernels.cells import CellSpec, State, find_cell
from throughtime.kernels.delta_hooks import watch_states
from throughtime.kernels.noise import NO_NOISE, StepNoise
from throughtime.kernels.products import LANE, pad_to_lane
from throughtime.kernels.segments import Tensors, in_segments
from throughtime.kernels.steps import DeltaNorms
from throughtime.kernels.transforms import is_hidden, is_intercepted

#: Steps whose input products are taken together.  Fixed: a product over all steps would change its bits with the
#: longest series of the batch.
CHUNK = 8


def recurrent(
    cell: CellSpec | str,
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    w_ih: Float[Tensor, "member gate_unit channel"],
    w_hh: Float[Tensor, "member gate_unit unit"],
    b_ih: Float[Tensor, "member gate_unit"] | None = None,
    b_hh: Float[Tensor, "member gate_unit"] | None = None,
    h0: Float[Tensor, "member batch unit"] | None = None,
    c0: Float[Tensor, "member batch unit"] | None = None,
    reverse: bool = False,
    noise: StepNoise = NO_NOISE,
    unit_weights: Sequence[Float[Tensor, "member unit"]] = (),
    deltas: DeltaNorms | None = None,
    segment: int | None = None,
    outputs: bool = True,
) -> tuple[Tensor, ...]:
    """Run one layer in one direction over ragged series, each member with its own weights.

    Parameters
    ----------
    cell
        A ``CellSpec``, or the name of one of ``CELLS``.
    x
        Inputs; what lies beyond a series' own end is not read.
    lengths
        Steps of each series, from 1 to ``time``.
    w_ih, w_hh, b_ih, b_hh
        torch's weights with the member axis in front.
    h0, c0
        Initial states, zero by default; ``c0`` for a cell that has a c.
    reverse
        Run from each series' own end to its start.
    noise
        What acts inside the steps.
    unit_weights
        The cell's further weights, in its order.
    deltas
        Takes the norms of the gradients at the states.
    segment, outputs
        As in ``throughtime.kernels.recurrent``.

    Returns
    -------
    ``(y, h_n)``, for a cell with c ``(y, h_n, c_n)``: y (member, time, batch, unit), zero beyond each series' own
    end, and the states at the end of the run.

    Raises
    ------
    ValueError
        A length out of range.
    """
    members, time, batch, _ = x.shape
    cell = find_cell(cell)
    gates, units = len(cell.gates), w_hh.shape[-1]
    rows = -(-batch // LANE) * LANE

    x = pad_to_lane(x, -1, -2)
    w_ih = _pad_gates(w_ih, gates, pad_columns=True).transpose(1, 2)
    w_hh = _pad_gates(w_hh, gates, pad_columns=True).transpose(1, 2)
    zeros = w_ih.new_zeros(members, w_ih.shape[-1])
    bias_x = zeros if b_ih is None else _pad_gates(b_ih[..., None], gates)[..., 0]
    bias_h = zeros if b_hh is None else _pad_gates(b_hh[..., None], gates)[..., 0]
    width = w_hh.shape[1]
    state: State = tuple(
        x.new_zeros(members, rows, width) if start is None else pad_to_lane(start, -1, -2)
        for start in (h0, c0)[: len(cell.states)]
    )
    # As large as a state: torch computes some functions in other bits where a tensor is no multiple of its vectors.
    per_unit = tuple(pad_to_lane(w, -1)[:, None].expand(-1, rows, -1).contiguous() for w in unit_weights)

    # A row of padding has one step: a state that grows without bound would make NaN of its gradient of zero.
    lengths = pad(lengths, (0, rows - batch), value=1)
    steps = torch.arange(time, device=x.device)[:, None]
    running = (steps < lengths[:, None]).unsqueeze(-1)  # member time batch 1
    shortest = 0 if is_hidden(lengths) else _shortest(lengths, time)  # masking every step gives the same bits
    if shortest < time:  # a NaN there would stay out of the outputs, but 0 * NaN is no gradient
        x = torch.where(running, x, 0)
    noise = StepNoise(*(None if mask is None else pad_to_lane(mask, -1, -2) for mask in noise))

    watch = None if deltas is None else watch_states(deltas, running[:, :, :batch, 0])

    loop = _Loop(cell, reverse, running, shortest, watch)
    tensors = Tensors(x, w_ih, w_hh, bias_x, bias_h, per_unit, noise)
    given = x, w_ih, w_hh, bias_x, bias_h, *per_unit, *state
    keeps_segments = segment is not None and torch.is_grad_enabled() and any(t.requires_grad for t in given)
    if segment is not None and keeps_segments and not is_intercepted(*given, *noise):
        y, state = in_segments(loop, tensors, state, -(-segment // CHUNK) * CHUNK, outputs)
    else:
        # not by the method: torch.compile stumbles over one whose types are checked
        at_steps, state = _take_steps(loop, 0, time, tensors, state)
        y = torch.stack(at_steps, 1) if outputs else x.new_empty(members, 0, rows, width)
    if outputs and shortest < time:
        y = torch.where(running, y, 0)
    return (y[:, :, :batch, :units], *(end[:, :batch, :units] for end in state))


class _Loop(NamedTuple):
    """The loop over the steps: what in it carries no gradient."""

    cell: CellSpec
    reverse: bool
    running: Bool[Tensor, "member time batch 1"]
    #: steps that all series have
    shortest: int
    watch: Callable[..., None] | None

    def take(self, begin: int, end: int, tensors: Tensors, state: State) -> tuple[list[Tensor], State]:
        """Take the steps begin..end, of which alone ``tensors.x`` is; gives h at each, and the last states."""
        return _take_steps(self, begin, end, tensors, state)


def _take_steps(loop: _Loop, begin: int, end: int, tensors: Tensors, state: State) -> tuple[list[Tensor], State]:
    """Take the steps begin..end, of which alone ``tensors.x`` is; gives h at each, and the last states.

    ``begin`` is a multiple of ``CHUNK``.
    """
    x, w_ih, w_hh, bias_x, bias_h, per_unit, noise = tensors
    members, _, rows, _ = x.shape
    outputs: list[Tensor] = [x] * (end - begin)
    for start in reversed(range(begin, end, CHUNK)) if loop.reverse else range(begin, end, CHUNK):
        stop = min(start + CHUNK, end)
        chunk = x[:, start - begin : stop - begin]
        if stop - start < CHUNK:  # the last product has as many rows as the others, for the same reason
            chunk = pad(chunk, (0, 0, 0, 0, 0, CHUNK - (stop - start)))
        product = torch.baddbmm(bias_x[:, None], chunk.reshape(members, CHUNK * rows, -1), w_ih)
        from_x = product.view(members, CHUNK, rows, -1).unbind(1)
        for t in reversed(range(start, stop)) if loop.reverse else range(start, stop):
            h = state[0] if noise.recurrent is None else state[0] * noise.recurrent
            from_h = torch.baddbmm(bias_h[:, None], h, w_hh)
            mask = None if noise.candidate is None else noise.candidate[:, t]
            new = loop.cell.step(from_x[t - start], from_h, state, per_unit, mask)
            fresh_c = new[1:]
            new = apply_zoneout(noise, t, state, new)
            if t < loop.shortest:
                state = new
            else:
                now = loop.running[:, t]
                state = tuple(torch.where(now, after, before) for after, before in zip(new, state, strict=True))
            outputs[t - begin] = state[0]
            if loop.watch is not None:
                loop.watch(t, state[0], *fresh_c)
    return outputs, state


def apply_zoneout(noise: StepNoise, t: int, before: State, fresh: State) -> State:
    """What zoneout makes of the states of step ``t``."""
    kept = [None if share is None else share[:, t] for share in (noise.zoneout_h, noise.zoneout_c)]
    return tuple(
        new if k is None else k * old + (1 - k) * new for k, old, new in zip(kept, before, fresh, strict=False)
    )


def _shortest(lengths: Tensor, time: int) -> int:
    """The least length of all; refuses what no series can have, as the kernels do."""
    shortest, longest = (int(extreme) for extreme in lengths.aminmax())
    if shortest < 1 or longest > time:
        raise ValueError(f"lengths needs values from 1 to {time}, got {shortest if shortest < 1 else longest}")
    return shortest


def _pad_gates(weight: Tensor, gates: int, pad_columns: bool = False) -> Tensor:
    """Pad the units of each gate, and the columns on request, to the lane: a padded unit starts and stays at zero."""
    members, rows, columns = weight.shape
    by_gate = weight.view(members, gates, rows // gates, columns)
    padded = pad_to_lane(by_gate, -2, -1) if pad_columns else pad_to_lane(by_gate, -2)
    return padded.reshape(members, gates * padded.shape[2], -1)
