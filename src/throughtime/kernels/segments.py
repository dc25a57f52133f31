"""Checkpointed BPTT in torch's operations: states between segments are kept, the segments run forward again.

Reference: Chen et al. (2016), https://arxiv.org/abs/1604.06174. ``torch.utils.checkpoint`` adds up a weight's gradient
within each segment and the segments' sums then, which rounds otherwise than one sum over all steps. Here a segment's
backward pass begins with the sums so far, so that each has the order that autograd gives it without segments.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from throughtime.kernels.cells import State
from throughtime.kernels.noise import StepNoise
from throughtime.kernels.transforms import is_batched_gradient, is_intercepted


class Tensors(NamedTuple):
    """What a loop over the steps reads at each of them."""

    x: Tensor
    w_ih: Tensor
    w_hh: Tensor
    bias_x: Tensor
    bias_h: Tensor
    per_unit: tuple[Tensor, ...]
    noise: StepNoise


@runtime_checkable
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
    """Take all steps, and keep the states where each segment begins.

    Returns
    -------
    h at each step, without steps unless ``outputs``, and the last states.

    Raises
    ------
    ValueError
        For a step that takes gradients of what it is not given.
    """
    call = _Call(loop, segment, outputs, len(tensors.per_unit))
    leaves = *tensors[:5], *tensors.per_unit, *state
    y, *ends = _InSegments.apply(call, *tensors.noise, *leaves)  # type: ignore[no-untyped-call]
    return y, tuple(ends)


class _Call(NamedTuple):
    """What a call is besides its tensors: ``leaves`` are x, w_ih, w_hh, both biases, those per unit, the states."""

    loop: Loop
    segment: int
    outputs: bool
    per_unit: int

    def spans(self, time: int) -> list[tuple[int, int]]:
        """Steps of each segment, in the order in which they run."""
        spans = [(begin, min(begin + self.segment, time)) for begin in range(0, time, self.segment)]
        return spans[::-1] if self.loop.reverse else spans

    def take(
        self, begin: int, end: int, leaves: Sequence[Tensor], noise: StepNoise
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Take some steps, of which alone x is."""
        x, w_ih, w_hh, bias_x, bias_h, *others = leaves
        tensors = Tensors(x, w_ih, w_hh, bias_x, bias_h, tuple(others[: self.per_unit]), noise)
        return self.loop.take(begin, end, tensors, tuple(others[self.per_unit :]))


class _Kept(NamedTuple):
    """What the backward pass starts from."""

    call: _Call
    noise: StepNoise
    leaves: Sequence[Tensor]
    #: which of them a gradient is wanted of
    needed: Sequence[bool]
    #: the states before each segment
    starts: Sequence[Sequence[Tensor]]


_NOISE = len(StepNoise._fields)


class _InSegments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *given: Any) -> tuple[Tensor, ...]:
        noise, leaves = StepNoise(*given[:_NOISE]), [leaf.detach() for leaf in given[_NOISE:]]
        first_state = 5 + call.per_unit
        x, fixed, state = leaves[0], leaves[1:first_state], tuple(leaves[first_state:])
        members, time, rows, _ = x.shape
        y = state[0].new_empty(members, time if call.outputs else 0, rows, state[0].shape[-1])
        starts: list[Tensor] = []
        for begin, end in call.spans(time):
            starts.extend(state)
            with torch.enable_grad():  # nothing here asks for a gradient, unless the cell has weights of its own
                steps, state = call.take(begin, end, [x[:, begin:end], *fixed, *state], noise)
            if any(part.requires_grad for part in state):
                raise ValueError(
                    "segments need a cell whose step takes gradients of its unit_weights alone, got one that reads "
                    "other weights; name them in its unit_weights, or leave segment out"
                )
            if call.outputs:
                torch.stack(steps, 1, out=y[:, begin:end])
        ctx.call, ctx.count = call, len(given)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*given, *starts)
        return y, *state

    @staticmethod
    def backward(ctx: Any, *outer: Tensor | None) -> tuple[Tensor | None, ...]:
        call, (dy, *ends) = ctx.call, outer
        count: int = ctx.count
        dy = dy if call.outputs else None
        if dy is None and all(grad is None for grad in ends):
            return (None,) * (1 + count)
        given, starts = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        by_segment = [starts[at : at + len(ends)] for at in range(0, len(starts), len(ends))]
        needed = ctx.needs_input_grad[1 + _NOISE :]
        kept = _Kept(call, StepNoise(*given[:_NOISE]), given[_NOISE:], needed, by_segment)
        whole = torch.is_grad_enabled() or is_intercepted(*outer) or any(map(is_batched_gradient, outer))
        grads = (_gradients_of_one_segment if whole else _gradients)(kept, dy, ends)
        wanted = (grad if need else None for grad, need in zip(grads, needed, strict=True))
        return (None, *[None] * _NOISE, *wanted)


def _gradients(kept: _Kept, dy: Tensor | None, ends: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Of x, of what is the same at all steps, of the first states: one segment after the other, the last first."""
    call, reverse = kept.call, kept.call.loop.reverse
    x, first_state = kept.leaves[0], 5 + call.per_unit
    dx = torch.empty_like(x) if kept.needed[0] else None
    sums: list[Tensor | None] = [None] * (first_state - 1)
    of_state = list(ends)
    spans = call.spans(x.shape[1])
    if dy is not None:
        last = dy[:, 0 if reverse else -1]
        of_state[0] = last if of_state[0] is None else of_state[0] + last
    for place in reversed(range(len(spans))):
        begin, end = spans[place]
        with torch.enable_grad():
            fixed = zip(kept.leaves[1:first_state], kept.needed[1:first_state], strict=True)
            leaves = [x[:, begin:end].detach().requires_grad_(kept.needed[0])]
            leaves += [leaf.detach().requires_grad_(need) for leaf, need in fixed]
            leaves += [state.detach().requires_grad_() for state in kept.starts[place]]
            steps, states = call.take(begin, end, leaves, kept.noise)
        # Autograd adds to a sum in the order of the steps, the last first. So what there is already goes in as the
        # gradient of the leaf itself, before any step.
        roots = [*zip(leaves[1:first_state], sums, strict=True), *zip(states, of_state, strict=True)]
        if dy is not None:
            inner = range(begin + 1, end) if reverse else range(begin, end - 1)
            roots += [(steps[t - begin], dy[:, t]) for t in inner]
            if place > 0:
                roots.append((leaves[first_state], dy[:, end if reverse else begin - 1]))
        of_x, *found = _grad(roots, leaves)
        if dx is not None and of_x is not None:
            dx[:, begin:end] = of_x
        sums, of_state = found[: first_state - 1], found[first_state - 1 :]
    return [dx, *sums, *of_state]


def _gradients_of_one_segment(kept: _Kept, dy: Tensor | None, ends: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The same where gradients are differentiated again, or stand for many."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Aliases: one input may have been computed from another, and that path is not the loop's.
        leaves = [leaf.view_as(leaf) for leaf in kept.leaves]
        steps, states = kept.call.take(0, leaves[0].shape[1], leaves, kept.noise)
        roots = [(torch.stack(steps, 1), dy), *zip(states, ends, strict=True)]
    return _grad(roots, leaves, create_graph=again)


def _grad(
    roots: Sequence[tuple[Tensor, Tensor | None]], leaves: Sequence[Tensor], create_graph: bool = False
) -> list[Tensor | None]:
    """Of each leaf, where it has one."""
    reached = [(root, grad) for root, grad in roots if grad is not None and root.requires_grad]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    found = iter(
        torch.autograd.grad(
            [root for root, _ in reached],
            wanted,
            [grad for _, grad in reached],
            create_graph=create_graph,
            allow_unused=True,
        )
    )
    return [next(found) if leaf.requires_grad else None for leaf in leaves]
