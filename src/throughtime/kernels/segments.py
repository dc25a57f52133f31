"""Checkpointed BPTT in torch's operations: the states between segments are kept, the segments run forward again.

Reference: Chen et al. (2016), https://arxiv.org/abs/1604.06174. ``torch.utils.checkpoint`` adds up a weight's gradient
within each segment and the segments' sums then, which rounds otherwise than one sum over all steps. Here a segment's
backward pass begins with the sum so far, so that every sum has the order that autograd gives it without segments.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from throughtime.kernels.cells import State
from throughtime.kernels.noise import StepNoise


class Tensors(NamedTuple):
    """What a loop over the steps reads at each of them."""

    x: Tensor
    w_ih: Tensor
    w_hh: Tensor
    bias_x: Tensor
    bias_h: Tensor
    per_unit: tuple[Tensor, ...]
    noise: StepNoise


class Loop(Protocol):
    """A loop over the steps, in either direction."""

    @property
    def reverse(self) -> bool: ...  # noqa: D102

    def take(self, begin: int, end: int, tensors: Tensors, state: State) -> tuple[list[Tensor], State]:
        """Take some steps, of which alone x is; gives h at each, and the last states."""
        ...


def in_segments(
    loop: Loop, tensors: Tensors, state: State, segment: int, outputs: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Take all steps, and keep the states where each segment begins; gives h at each step, if wanted, and the last.

    Raises
    ------
    ValueError
        For a step that takes gradients of what it is not given.
    """
    call = _Call(loop, segment, outputs, len(tensors.per_unit))
    leaves = *tensors[:5], *tensors.per_unit, *state
    y, *ends = _Segments.apply(call, *tensors.noise, *leaves)  # type: ignore[no-untyped-call]
    return y, tuple(ends)


class _Call(NamedTuple):
    loop: Loop
    segment: int
    outputs: bool
    per_unit: int

    def spans(self, time: int) -> list[tuple[int, int]]:
        """Steps of each segment, in the order in which they run."""
        spans = [(begin, min(begin + self.segment, time)) for begin in range(0, time, self.segment)]
        return spans[::-1] if self.loop.reverse else spans

    def take(
        self, span: tuple[int, int], x: Tensor, weights: list[Tensor], noise: StepNoise, state: State
    ) -> tuple[list[Tensor], State]:
        tensors = Tensors(x, *weights[:4], tuple(weights[4:]), noise)
        return self.loop.take(*span, tensors, state)


_NOISE = len(StepNoise._fields)


class _Segments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *given: Tensor) -> tuple[Tensor, ...]:
        noise, (x, *others) = StepNoise(*given[:_NOISE]), [t.detach() for t in given[_NOISE:]]
        weights, state = others[: 4 + call.per_unit], tuple(others[4 + call.per_unit :])
        y = torch.empty(*x.shape[:3] if call.outputs else (x.shape[0], 0, x.shape[2]), state[0].shape[-1]).to(x)
        starts: list[Tensor] = []
        for span in call.spans(x.shape[1]):
            starts.extend(state)
            with torch.enable_grad():  # nothing asks for a gradient, unless the cell has weights of its own
                steps, state = call.take(span, x[:, slice(*span)], weights, noise, state)
            if any(part.requires_grad for part in state):
                raise ValueError(
                    "segments need a cell whose step reads weights that are handed to it, got one that takes gradients "
                    "of others; name them in its unit_weights, or leave segment out"
                )
            if call.outputs:
                torch.stack(steps, 1, out=y[:, slice(*span)])
        ctx.call, ctx.states = call, len(state)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*given, *starts)
        return y, *state

    @staticmethod
    def backward(ctx: Any, *outer: Tensor | None) -> tuple[Tensor | None, ...]:
        call: _Call = ctx.call
        count = len(ctx.needs_input_grad) - 1
        given, starts = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        needed = ctx.needs_input_grad[1 + _NOISE :]
        noise, leaves = StepNoise(*given[:_NOISE]), given[_NOISE:]
        dy = outer[0] if call.outputs else None
        backward = _whole if torch.is_grad_enabled() else _by_segment
        if dy is None and all(grad is None for grad in outer[1:]):
            return (None,) * (1 + count)
        grads = backward(call, noise, leaves, needed, starts, dy, outer[1:])
        return (None, *[None] * _NOISE, *grads)


def _whole(
    call: _Call,
    noise: StepNoise,
    leaves: tuple[Tensor, ...],
    needed: tuple[bool, ...],
    starts: tuple[Tensor, ...],
    dy: Tensor | None,
    ends: tuple[Tensor | None, ...],
) -> list[Tensor | None]:
    """Gradients that can be differentiated again, of all steps as one segment."""
    # Aliases: one input may have been computed from another, and that path is not the loop's.
    x, *others = [t.view_as(t) if need else t for t, need in zip(leaves, needed, strict=True)]
    weights, state = others[: 4 + call.per_unit], tuple(others[4 + call.per_unit :])
    steps, last = call.take((0, x.shape[1]), x, weights, noise, state)
    results = [(torch.stack(steps, 1), dy), *zip(last, ends, strict=True)]
    reached = [(result, grad) for result, grad in results if grad is not None]
    wanted = [t for t, need in zip((x, *others), needed, strict=True) if need]
    found = iter(
        torch.autograd.grad(
            [result for result, _ in reached],
            wanted,
            [grad for _, grad in reached],
            create_graph=True,
            materialize_grads=True,
        )
    )
    return [next(found) if need else None for need in needed]


def _by_segment(
    call: _Call,
    noise: StepNoise,
    leaves: tuple[Tensor, ...],
    needed: tuple[bool, ...],
    starts: tuple[Tensor, ...],
    dy: Tensor | None,
    ends: tuple[Tensor | None, ...],
) -> list[Tensor | None]:
    x, *others = leaves
    count, per_step = 4 + call.per_unit, len(ends)
    spans = call.spans(x.shape[1])
    dx = torch.empty_like(x) if needed[0] else None
    sums: list[Tensor | None] = [None] * count
    of_state = list(ends)
    if dy is not None:
        of_state[0] = _added(of_state[0], dy[:, spans[-1][0] if call.loop.reverse else -1])
    for place, span in reversed(list(enumerate(spans))):
        begin, end = span
        with torch.enable_grad():
            own = x[:, begin:end].detach().requires_grad_(needed[0])
            weights = [t.detach().requires_grad_(need) for t, need in zip(others, needed[1 : 1 + count], strict=False)]
            kept = starts[place * per_step : (place + 1) * per_step]
            state = tuple(t.detach().requires_grad_() for t in kept)
            steps, last = call.take(span, own, weights, noise, state)
        # The sums so far, and what reaches a state beside the next step, go in first: autograd adds in that order.
        roots: list[tuple[Tensor, Tensor | None]] = [
            *zip(weights, sums, strict=True),
            *zip(last, of_state, strict=True),
        ]
        if dy is not None:
            inner = range(begin, end)[1:] if call.loop.reverse else range(begin, end)[:-1]
            roots += [(steps[t - begin], dy[:, t]) for t in inner]
            if place > 0:
                roots.append((state[0], dy[:, end if call.loop.reverse else begin - 1]))
        reached = [(result, grad) for result, grad in roots if grad is not None and result.requires_grad]
        wanted = [t for t in (own, *weights, *state) if t.requires_grad]
        found = dict(
            zip(
                map(id, wanted),
                torch.autograd.grad(
                    [result for result, _ in reached], wanted, [grad for _, grad in reached], allow_unused=True
                ),
                strict=True,
            )
        )
        if dx is not None:
            dx[:, begin:end] = found[id(own)]
        sums = [found.get(id(t)) for t in weights]
        of_state = [found[id(t)] for t in state]
    grads = [dx, *sums, *of_state]
    return [grad if need else None for grad, need in zip(grads, needed, strict=True)]


def _added(one: Tensor | None, other: Tensor) -> Tensor:
    return other if one is None else one + other
