"""Who watches training: what an observer may ask for, and what it is handed at steps, at probes and after epochs.

Watching changes neither path nor bits, and what no observer needs is not computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray
from torch import Tensor

from throughtime.errors import ParameterError
from throughtime.training.group import Group
from throughtime.training.probes import Probe, probe_before, probe_of_ended, probed_steps
from throughtime.training.state import GroupState, MemberState

#: What is computed only where an observer needs it.
Measurement = Literal["tensor_gradient_norms", "state_gradient_norms"]


@dataclass(frozen=True)
class StateGradientNorms:
    """Squared norms of the total gradients dL/dh_t, and of an LSTM's dL/dc_t, of one layer in one direction.

    Total: what reaches a state along every path. L is the loss that the step descends, a mean over its batch. Zero
    beyond a series' end and for padding.
    """

    layer: int
    reverse: bool
    h: Float64[Tensor, "member time batch"]
    c: Float64[Tensor, "member time batch"] | None


@dataclass(frozen=True)
class StepRecord:
    """One step of the optimizer, of members that take it together.

    Members of one run that go different ways (`Backend.can_fuse`) have records of their own: first all of an epoch's
    steps of the one, then those of the other.

    Parameters
    ----------
    epoch, step
        Counted from 0, the step within its epoch.
    members
        Each member's place in the list given to `train`.
    active
        Which members took the step; the others have no more series in this epoch, and what is said of them is void.
    series
        The batch: where each series lies in the inputs; -1 for padding.
    lengths
        Steps of each series, with truncated BPTT those that the gradient reaches; 1 for padding, which the kernels ask
        for.
    gradient_norms
        L2 norm of each member's whole gradient before clipping, in the network's precision.
    tensor_gradient_norms
        The same for each weight tensor by its name, in float64; ``None`` unless needed.
    state_gradient_norms
        One per layer and direction, in torch's order; ``None`` unless needed, and for a network of the user's own.
    """

    epoch: int
    step: int
    members: tuple[int, ...]
    active: Bool[Tensor, "member"]
    series: Int[Tensor, "member batch"]
    lengths: Int[Tensor, "member batch"]
    gradient_norms: Float[Tensor, "member"]
    tensor_gradient_norms: Mapping[str, Float64[Tensor, "member"]] | None = None
    state_gradient_norms: tuple[StateGradientNorms, ...] | None = None


class Observer:
    """Watches a run; a class that derives from this one overrides what it wants to hear.

    Several threads may call it at the same time where jobs train side by side (`train_jobs`).
    """

    #: What `on_step` is to find in its records.
    needs: frozenset[Measurement] = frozenset()
    #: Steps of a member between two calls of `on_probe`, fewer where its training would have less than five; ``None``
    #: for a call at its end alone.
    probe_every: int | None = None

    def on_resume(self, state: GroupState) -> None:
        """Hear, before anything else, that a run goes on from a state, or has ended with it."""

    def on_step(self, record: StepRecord) -> None:
        """Hear of a step.

        The C++ kernels take many steps in one call: records follow it, in the order of the steps, when the weights
        are already those after the last. Without an override no records are made.
        """

    def on_probe(self, probe: Probe) -> None:
        """Look at the members that are due, before a step of theirs; and at those that have ended, before `on_epoch`.

        The first is before a member's first step, the next each ``probe_every`` of its own steps later, whatever its
        neighbors do. The C++ kernels stop their calls there. Without an override nothing stops.
        """

    def on_epoch(self, state: GroupState) -> None:
        """Hear of an epoch, after it; the state is the loop's own and goes on changing (`GroupState.copy`)."""

    def to_arrays(self, places: Sequence[int]) -> dict[str, ndarray]:  # noqa: ARG002
        """What it remembers of a run, for `Checkpoints` to keep; nothing of one without memory.

        Members are known by their positions in ``places``: who goes on may call them by others. Before the first step
        it is how the observer is set, and only one that is set alike goes on from it.
        """
        return {}

    def from_arrays(self, places: Sequence[int], arrays: Mapping[str, ndarray]) -> None:
        """Remember what ``to_arrays`` gave of the run whose members are at these places now."""


@dataclass(frozen=True)
class Watch:
    """Which observers hear of steps and probes: those that override the method."""

    listening: tuple[Observer, ...] = ()
    probing: tuple[Observer, ...] = ()

    @property
    def needs(self) -> frozenset[Measurement]:
        """What of a step's record is optional and needed."""
        return frozenset[Measurement]().union(*(observer.needs for observer in self.listening))

    def on_step(self, record: StepRecord) -> None:
        """Pass a record on."""
        for observer in self.listening:
            observer.on_step(record)

    def probes(self, group: Group, epoch: int) -> "Probes":
        """Who looks at which members before which steps of an epoch."""
        due = [
            (observer, probed_steps(group, epoch, observer.probe_every))
            for observer in self.probing
            if observer.probe_every is not None
        ]
        return Probes(group, epoch, due)

    def on_end(self, group: Group, states: list[MemberState]) -> None:
        """Show the members of a group that have ended."""
        probe = probe_of_ended(group, states) if self.probing else None
        if probe is not None:
            for observer in self.probing:
                observer.on_probe(probe)


@dataclass(frozen=True)
class Probes:
    """The probes of one epoch."""

    group: Group
    epoch: int
    due: list[tuple[Observer, Bool[ndarray, "step member"]]]

    @property
    def steps(self) -> list[int]:
        """Before which steps there are any."""
        return sorted({step for _, due in self.due for step in np.flatnonzero(due.any(1)).tolist()})

    def before(self, step: int, weights: Float[Tensor, "member weight"]) -> None:
        """Show each observer the members that are due."""
        for observer, due in self.due:
            members = np.flatnonzero(due[step]).tolist()
            if members:
                observer.on_probe(
                    probe_before(self.group, weights, self.epoch, step, observer.probe_every or 1).take(members)
                )


def watch_of(observers: Any) -> Watch:
    """Who of the observers hears what.

    Raises
    ------
    ParameterError
        For what is no list of observers, and for one that needs or asks for what there is not.
    """
    if not isinstance(observers, list | tuple):
        raise ParameterError(f"observers needs a list of Observer, got {observers!r}; put it in a list")
    for observer in observers:
        _check(observer)
    listening = tuple(one for one in observers if type(one).on_step is not Observer.on_step)
    return Watch(listening, tuple(one for one in observers if type(one).on_probe is not Observer.on_probe))


def _check(observer: Any) -> None:
    if isinstance(observer, type):
        raise ParameterError(f"observers needs objects, got the class {observer.__name__}; call it")
    if not isinstance(observer, Observer):
        raise ParameterError(f"observers needs objects derived from Observer, got {observer!r}")
    name, needs, every = type(observer).__name__, observer.needs, observer.probe_every
    known = get_args(Measurement)
    if not isinstance(needs, set | frozenset):
        raise ParameterError(f"{name}.needs needs a set of {', '.join(known)}, got {needs!r}")
    if unknown := sorted(map(repr, needs - set(known))):
        raise ParameterError(f"{name}.needs needs some of {', '.join(known)}, got {unknown[0]}")
    whole = isinstance(every, int | np.integer) and not isinstance(every, bool) and every >= 1
    if not (every is None or whole):
        raise ParameterError(f"{name}.probe_every needs a whole number of at least 1 or None, got {every!r}")
