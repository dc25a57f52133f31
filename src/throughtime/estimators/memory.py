"""How much memory a member takes while it trains, and so how many may train at once."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from throughtime.errors import ParameterError
from throughtime.nn import Architecture, Net, weight_shapes
from throughtime.training import Member

T = TypeVar("T")

#: Bytes that the members of one run may take together, unless the caller says otherwise.
DEFAULT_BUDGET = 2 * 2**30

#: Copies of the weights: themselves, gradients, two moments, and what a step makes in passing.
_WEIGHT_COPIES = 8
#: Where every step's output is read: outputs kept, their sums and their gradients.
_POOLED = 4
#: A mask itself, what it is drawn from, and its copy as a tensor.
_MASK_COPIES = 3


def bytes_a_member(
    net: Net, rows: int, time: int, itemsize: int, *, training: bool, masks: int = 0, reach: int | None = None
) -> int:
    """An estimate of what one more member adds where all take a step together.

    Where the kernels take whole steps, a member at a time, it is less: little more than the weights.

    Parameters
    ----------
    rows, time
        Series in a batch, and the steps of the longest.
    itemsize
        Bytes per number.
    training
        Whether it trains or only runs forward.
    masks
        How many numbers of noise are drawn for a unit and step: `masks_of`.
    reach
        Steps at a time whose gates and states are kept, all by default; of the others an output at the most.
    """
    shapes = weight_shapes(net).values()
    weights = sum(_size(shape) for shape in shapes)
    if not isinstance(net, Architecture):  # what each matrix gives is kept, and about what is made of it
        outputs = sum(shape[0] for shape in shapes if len(shape) > 1)
        return itemsize * (_WEIGHT_COPIES * weights + time * rows * (3 * net.n_inputs + 4 * outputs))
    kept = (net.spec.kept if training else net.spec.passing) + _MASK_COPIES * masks
    if net.pooling != "last":
        kept += _POOLED
    directions = 1 + net.bidirectional
    units = net.hidden_size * net.num_layers * directions
    activations = rows * (3 * time * net.n_inputs + min(time, reach or time) * kept * units)
    if reach is not None:
        activations += rows * time * (1 + _MASK_COPIES * masks) * units
    return itemsize * ((_WEIGHT_COPIES if training else 2) * weights + activations)


def masks_of(members: Iterable[Member]) -> int:
    """Kinds of noise that members who train together have a mask of at every step; one has it for all."""
    members = list(members)
    by_step = ("candidate_dropout", "zoneout", "cell_zoneout")
    return any(m.dropout for m in members) + sum(any(name in m.noise for m in members) for name in by_step)


def runs(members: Sequence[T], each: int, budget: float | None) -> Iterator[Sequence[T]]:
    """The members in runs of as many as the budget allows, one at the least; all at once without a budget.

    Raises
    ------
    ParameterError
        If the budget is not above zero.
    """
    if budget is not None and not budget > 0:
        raise ParameterError(f"memory_budget needs a number of bytes above 0, got {budget!r}")
    most = len(members) if budget is None else max(1, int(min(budget // each, len(members))))
    n_runs = -(-len(members) // most)
    # runs of even size: a last one of a single member would take nearly as long as a full one
    edges = [len(members) * run // n_runs for run in range(n_runs + 1)]
    return (members[begin:end] for begin, end in itertools.pairwise(edges))


def _size(shape: Sequence[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
