"""What series have in common: which are equal, which differ in their targets alone, and which steps are the same."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from throughtime.data import Sequences, steps_within
from throughtime.generalization.leakage.step_identities import step_identities


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
        known: dict[tuple[int, bytes, bytes], int] = {}
        same = np.empty(len(self.series), dtype=np.int64)
        for i, x in enumerate(self.series):
            digest = blake2b(x.data, digest_size=16).digest()  # the values would take their size once more
            same[i] = known.setdefault((len(x), digest, b"" if static is None else static[i].tobytes()), i)
        return same

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
        for i in np.flatnonzero(np.bincount(self.same)[self.same] > 1):
            target = self.targets[int(i)]
            others = known.setdefault(int(self.same[i]), [])
            variant[i] = next((at for at, other in enumerate(others) if not _differ(target, other)), len(others))
            if variant[i] == len(others):
                others.append(target)
        return variant

    @cached_property
    def whole(self) -> "Copies":
        """The same of whole series: of windows the stretches that they cover, without a target."""
        stretches = self.series.stretches()
        return self if stretches is self.series else Copies(stretches, None, None, 0)

    @cached_property
    def whole_of(self) -> Int[ndarray, "series"]:
        """Which of the whole series each is, or is a window of."""
        stretches = self.whole.series
        if stretches is self.series:
            return np.arange(len(self.series))
        order = np.argsort(stretches.starts, kind="stable")
        found: ndarray = order[np.searchsorted(stretches.starts[order], self.series.starts, "right") - 1]
        return found

    @cached_property
    def views(self) -> bool:
        """Whether some series are pieces of one buffer that overlap there."""
        order = np.argsort(self.series.starts, kind="stable")
        begins, ends = self.series.starts[order], (self.series.starts + self.series.lengths)[order]
        return bool((begins[1:] < np.maximum.accumulate(ends)[:-1]).any())

    @cached_property
    def targeted(self) -> Bool[ndarray, "step"]:
        """Steps whose target counts; one target per series is one of all of its steps."""
        if not isinstance(self.targets, Sequences):
            return np.ones(self.series.n_steps, dtype=bool)
        counted: ndarray = ~np.isnan(self.targets.values[:, 0])
        if self.burn_in:
            counted &= steps_within(self.series.lengths) >= self.burn_in
        return counted

    @cached_property
    def steps(self) -> "SharedSteps":
        """The steps that several series share."""
        return SharedSteps(self)


class SharedSteps:
    """Series as runs of steps, of which several may hold the same."""

    def __init__(self, copies: Copies) -> None:
        series, targets, variant = copies.series, copies.targets, copies.variant
        self._lengths = series.lengths
        by_step = isinstance(targets, Sequences)
        #: a number for each step, the same for those of equal inputs
        self._inputs: ndarray
        if copies.views:
            number = np.int32 if len(series.buffer) < 2**31 else np.int64
            self._inputs = np.repeat((series.starts - series.offsets[:-1]).astype(number), series.lengths)
            self._inputs += np.arange(series.n_steps, dtype=number)
            if variant.any():
                shifted = self._inputs + np.repeat(variant, series.lengths) * len(series.buffer)
                self._inputs = np.unique(shifted, return_inverse=True)[1].ravel()
        else:
            recording = variant
            if copies.groups is not None:
                group = np.unique(copies.groups, return_inverse=True)[1].ravel()
                recording = group * (variant.max() + 1) + variant
            self._inputs = step_identities(series, recording)
        #: the same for those that are equal in their target too; one target per series is one of all of its steps
        self._examples = step_identities(series, recording, targets) if by_step and not copies.views else self._inputs
        self._observed: ndarray | None = ~np.isnan(targets.values[:, 0]) if by_step else None
        self._targeted = copies.targeted

    def shared_targets(self, train: Int[ndarray, "_"], test: Int[ndarray, "_"]) -> float:
        """The fraction of the target steps of test series that are targets in training."""
        tested = self._examples[self._steps_of(test) & self._targeted]
        if not len(tested):
            return 0.0
        return float(_marked(self._examples, self._steps_of(train) & self._targeted)[tested].mean())

    def shared_inputs(self, train: Int[ndarray, "_"], test: Int[ndarray, "_"]) -> float:
        """The fraction of the steps of test series that are inputs in training without sharing a target."""
        if self._observed is None:  # whatever is shared has a target
            return 0.0
        trained, tested = self._steps_of(train), self._steps_of(test)
        examples, inputs, observed = self._examples[tested], self._inputs[tested], self._observed[tested]
        with_target = _marked(self._examples, trained & self._targeted)[examples] & self._targeted[tested]
        # the same inputs with another target are those of another series
        shared = _marked(self._examples, trained)[examples]
        shared |= _marked(self._inputs, trained & ~self._observed)[inputs]
        shared |= _marked(self._inputs, trained)[inputs] & ~observed
        return float((shared & ~with_target).mean())

    def _steps_of(self, indices: Int[ndarray, "_"]) -> Bool[ndarray, "step"]:
        chosen = np.zeros(len(self._lengths), dtype=bool)
        chosen[indices] = True
        return np.repeat(chosen, self._lengths)


def _marked(numbers: Int[ndarray, "step"], which: Bool[ndarray, "step"]) -> Bool[ndarray, "number"]:
    """For each number whether one of these steps has it."""
    marked = np.zeros(int(numbers.max()) + 1, dtype=bool)
    marked[numbers[which]] = True
    return marked


def _differ(one: Any, other: Any) -> bool:
    """Whether two targets differ where both were observed; NaN alone does not equal itself."""
    return bool(np.any((one != other) & (one == one) & (other == other)))
