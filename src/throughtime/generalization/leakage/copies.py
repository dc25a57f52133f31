"""What series have in common: which are equal, which differ in their targets alone, and which steps are the same."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from throughtime.data import Sequences, steps_within
from throughtime.generalization.leakage.step_identities import numbered, step_identities


@dataclass(frozen=True, eq=False)
class Copies:
    """Series and targets; what is asked of them is measured once, for all checks.

    Attributes
    ----------
    targets
        One per series, `Sequences` with one per step, or ``None``.
    burn_in
        First steps of each series whose targets count for nothing.
    """

    series: Sequences
    targets: Any
    groups: ndarray | None
    burn_in: int

    @cached_property
    def same(self) -> Int[ndarray, "series"]:
        """A number for each series, the same for those that are equal value for value."""
        static = self.series.static
        known: dict[tuple[bytes, bytes], int] = {}
        return np.array(
            [
                known.setdefault((x.tobytes(), b"" if static is None else static[i].tobytes()), i)
                for i, x in enumerate(self.series)
            ]
        )

    @cached_property
    def variant(self) -> Int[ndarray, "series"]:
        """Numbers series of equal inputs by their targets: 0 for the first and for its copies, 1 for the next, ...

        Series that share covariates, such as shops of one town its weather, are no copies: their targets differ, in
        some step that was observed in both.
        """
        variant = np.zeros(len(self.series), dtype=np.int64)
        if self.targets is None:
            return variant
        known: dict[int, list[Any]] = {}
        for i, same in enumerate(self.same):
            target = self.targets[i]
            others = known.setdefault(int(same), [])
            variant[i] = next((at for at, other in enumerate(others) if not _differ(target, other)), len(others))
            if variant[i] == len(others):
                others.append(target)
        return variant

    @cached_property
    def targeted(self) -> Bool[ndarray, "step"]:
        """Steps whose target counts; one target per series is one of all of its steps."""
        if not isinstance(self.targets, Sequences):
            return np.ones(self.series.n_steps, dtype=bool)
        counted: ndarray = ~np.isnan(self.targets.values[:, 0]) & (steps_within(self.series.lengths) >= self.burn_in)
        return counted

    @cached_property
    def steps(self) -> "SharedSteps":
        """The steps that several series share."""
        return SharedSteps(self)


class SharedSteps:
    """Series as runs of steps, of which several may hold the same."""

    def __init__(self, copies: Copies) -> None:
        series, targets, variant = copies.series, copies.targets, copies.variant
        self._edges = series.offsets
        #: a number for each step, the same for those of equal inputs
        self._inputs = np.repeat(series.starts, series.lengths) + steps_within(series.lengths)
        views = len(np.unique(self._inputs)) < len(self._inputs)  # of one buffer
        if not views:
            recording = variant
            if copies.groups is not None:
                group = np.unique(copies.groups, return_inverse=True)[1].ravel()
                recording = numbered(np.column_stack([group, variant]))
            self._inputs = step_identities(series, recording)
        elif variant.any():
            shifted = self._inputs + np.repeat(variant, series.lengths) * (self._inputs.max() + 1)
            self._inputs = np.unique(shifted, return_inverse=True)[1].ravel()
        #: the same for those that are equal in their target too
        self._examples = self._inputs
        #: one target per series is one of all of its steps
        self._observed: ndarray = np.ones(series.n_steps, dtype=bool)
        self._targeted = copies.targeted
        if isinstance(targets, Sequences):
            self._observed = ~np.isnan(targets.values[:, 0])
            if not views:
                self._examples = step_identities(series, recording, targets.values)

    def shared_targets(self, train: Int[ndarray, "_"], test: Int[ndarray, "_"]) -> float:
        """The fraction of the target steps of test series that are targets in training."""
        steps = self._steps_of(test)
        steps = steps[self._targeted[steps]]
        return float(self._shared(self._examples, self._targeted, train)[steps].mean()) if len(steps) else 0.0

    def shared_inputs(self, train: Int[ndarray, "_"], test: Int[ndarray, "_"]) -> float:
        """The fraction of the steps of test series that are inputs in training without sharing a target."""
        everywhere = np.ones_like(self._targeted)
        with_target = self._shared(self._examples, self._targeted, train) & self._targeted
        # the same inputs with another target are those of another series
        shared = self._shared(self._examples, everywhere, train) | self._shared(self._inputs, ~self._observed, train)
        shared |= self._shared(self._inputs, everywhere, train) & ~self._observed
        return float((shared & ~with_target)[self._steps_of(test)].mean())

    def _steps_of(self, indices: Int[ndarray, "_"]) -> Int[ndarray, "_"]:
        return np.concatenate([np.arange(self._edges[i], self._edges[i + 1]) for i in indices])

    def _shared(
        self, steps: Int[ndarray, "step"], which: Bool[ndarray, "step"], indices: Int[ndarray, "_"]
    ) -> Bool[ndarray, "step"]:
        """The steps that are the same as some of ``which`` in these series."""
        marked = np.zeros(int(steps.max()) + 1, dtype=bool)
        theirs = self._steps_of(indices)
        marked[steps[theirs[which[theirs]]]] = True
        shared: ndarray = marked[steps]
        return shared


def _differ(one: Any, other: Any) -> bool:
    """Whether two targets differ where both were observed; NaN alone does not equal itself."""
    return bool(np.any((one != other) & (one == one) & (other == other)))
