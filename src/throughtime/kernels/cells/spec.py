"""What a recurrent cell is: all that layers, kernels, initializers and the estimate of memory ask of one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from throughtime.errors import ParameterError
from throughtime.kernels.noise import StepNoise
from throughtime.kernels.products import LANE

#: Cells that the C++ kernels know, by their names there.
Kind = Literal["rnn_tanh", "rnn_relu", "gru", "lstm"]
State = tuple[Tensor, ...]
Step = Callable[[Tensor, Tensor, State, tuple[Tensor, ...], Tensor | None], State]

#: What a cell may ask for at each step; ``value`` is all that a layer hands over today.
INPUTS = ("value", "mask", "elapsed", "mean")
_TAKEN = frozenset({"weight_ih", "weight_hh", "weight_hr", "bias_ih", "bias_hh"})


@dataclass(frozen=True)
class CellSpec:
    """A recurrent cell, declared once.

    ``SequenceClassifier(cell=spec)`` trains it in lockstep, ``throughtime.nn.CellRNN(spec, ...)`` is its layer.

    Parameters
    ----------
    name
        An identifier; what a saved network remembers of its cell.
    gates
        Names of the blocks of rows in ``weight_ih``, ``weight_hh`` and the biases, in order: one block of ``unit`` rows
        each.
    step
        ``(from_x, from_h, state, unit_weights, mask) -> state``, in plain torch.  ``from_x`` is W x + b and ``from_h``
        is U h + b, both (member, batch, gate * unit); each state, h first, and each of ``unit_weights`` is (member,
        batch, unit); ``mask``, of the same shape, multiplies what the cell would write into its state, and is ``None``
        outside candidate dropout.  Each unit on its own: widths are padded to a multiple of ``LANE``, so nothing may
        be taken over the units (a normalization, say) or mix them.
    states
        ``("h",)`` or ``("h", "c")``.  h enters the next step's product, and is the output.
    unit_weights
        Names of further weights, one number per unit each.  They start as biases do: as torch's with ``init="torch"``,
        else at zero.
    memory_gates
        Of ``gates`` the one that keeps the state, with which it is multiplied, and where another one writes to it, that
        one too: what forget biases and chrono set.
    noise
        Fields of ``StepNoise`` that it has a place for.  ``recurrent`` and ``zoneout_h`` act outside of the step, and
        so does ``zoneout_c`` on a cell with c.
    inputs
        What it takes at each step, of ``INPUTS``.
    kept, passing
        Numbers that a layer keeps per unit, row and step, while it trains and while it only runs forward: as measured
        with benchmarks/memory.py, and about a third more.  By default about what autograd keeps of so many gates.
    native
        Its kernel in C++; ``None`` runs and trains it in plain torch.

    Raises
    ------
    ParameterError
        For parts that do not fit together, and for a step that fails on small numbers, gives states of other shapes,
        or mixes units.

    Examples
    --------
    >>> import torch
    >>> def step(from_x, from_h, state, unit_weights, mask):
    ...     (h,), (rate,) = state, unit_weights
    ...     return (h + torch.sigmoid(rate) * (torch.tanh(from_x + from_h) - h),)
    >>> CellSpec("leaky", gates=("n",), step=step, unit_weights=("weight_rate",))
    CellSpec(name='leaky')
    """

    name: str
    gates: tuple[str, ...] = field(repr=False)
    step: Step = field(repr=False)
    states: tuple[str, ...] = field(default=("h",), repr=False)
    unit_weights: tuple[str, ...] = field(default=(), repr=False)
    memory_gates: tuple[str, ...] = field(default=(), repr=False)
    noise: tuple[str, ...] = field(default=("recurrent", "zoneout_h"), repr=False)
    inputs: tuple[str, ...] = field(default=("value",), repr=False)
    kept: int = field(default=0, repr=False)
    passing: int = field(default=0, repr=False)
    native: Kind | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._check_names()
        for name, per_gate in (("kept", 5), ("passing", 1)):
            if not getattr(self, name):
                object.__setattr__(self, name, per_gate * len(self.gates) + 3 * len(self.states))
        _check_step(self)

    def _check_names(self) -> None:
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise ParameterError(f"a cell's name needs letters, digits and underscores, got {self.name!r}")
        for part in ("gates", "states", "unit_weights", "memory_gates", "noise", "inputs"):
            value = getattr(self, part)
            if not (isinstance(value, tuple) and all(isinstance(word, str) for word in value)):
                raise ParameterError(f"{part} of cell {self.name} needs a tuple of words, got {value!r}")
            if len(set(value)) != len(value):
                raise ParameterError(f"{part} of cell {self.name} needs each word once, got {value!r}")
        if not self.gates:
            raise ParameterError(f"gates of cell {self.name} needs at least one, got none")
        if self.states not in (("h",), ("h", "c")):
            raise ParameterError(f"states of cell {self.name} needs ('h',) or ('h', 'c'), got {self.states!r}")
        if len(self.memory_gates) > 2:
            raise ParameterError(f"memory_gates of cell {self.name} needs at most two, got {self.memory_gates!r}")
        places = [place for place in StepNoise._fields if place != "zoneout_c" or "c" in self.states]
        for part, allowed in (("memory_gates", self.gates), ("noise", places), ("inputs", INPUTS)):
            if strangers := [word for word in getattr(self, part) if word not in allowed]:
                raise ParameterError(
                    f"{part} of cell {self.name} needs words of {', '.join(allowed)}, got {strangers[0]!r}"
                )
        for name in self.unit_weights:
            if not name.isidentifier() or name in _TAKEN:
                raise ParameterError(
                    f"unit_weights of cell {self.name} needs names other than those of its matrices, got {name!r}"
                )


def _check_step(cell: CellSpec) -> None:
    """Run the step on small numbers, once as wide as it is and once padded, and compare."""
    units = 3
    narrow = _try_step(cell, units, units)
    for state in _try_step(cell, units, LANE):
        if not torch.allclose(state[..., :units], narrow.pop(0)):
            raise ParameterError(
                f"step of cell {cell.name} needs each unit on its own, got other states where units of zero are "
                "appended; nothing may be taken over the units"
            )
    if "candidate" in cell.noise:
        pairs = zip(_try_step(cell, units, units), _try_step(cell, units, units, masked=True), strict=True)
        if all(torch.equal(one, other) for one, other in pairs):
            raise ParameterError(
                f"step of cell {cell.name} needs to multiply its candidate with the mask, as its noise says, got the "
                "same states with and without"
            )


def _try_step(cell: CellSpec, units: int, width: int, masked: bool = False) -> list[Tensor]:
    members, batch = 2, 2

    def numbers(rows: int, blocks: int, start: float) -> Tensor:
        values = torch.linspace(start, 1, members * rows * blocks * units, dtype=torch.float64, device="cpu")
        by_block = values.view(members, rows, blocks, units)
        return torch.nn.functional.pad(by_block, (0, width - units)).flatten(2)

    state = tuple(numbers(batch, 1, start) for start in (0.25, -0.5)[: len(cell.states)])
    weights = tuple(numbers(batch, 1, 0.5 - place) for place, _ in enumerate(cell.unit_weights))
    gates = len(cell.gates)
    mask = torch.zeros_like(state[0]) if masked else None
    try:
        new = cell.step(numbers(batch, gates, -1), numbers(batch, gates, -0.75), state, weights, mask)
    except Exception as error:
        raise ParameterError(
            f"step of cell {cell.name} needs to take (from_x, from_h, state, unit_weights, mask) of {gates} gates and "
            f"{len(state)} states, got {type(error).__name__}: {error}"
        ) from error
    found = [tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in new]
    if not isinstance(new, tuple) or found != [(members, batch, width)] * len(state):
        raise ParameterError(
            f"step of cell {cell.name} needs to give a tuple of {len(state)} new states, each like the old, got "
            f"{type(new).__name__} of {found}"
        )
    return list(new)
