"""Gradients through time, watched while members train: a small probe every so many steps, or the steps' own."""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int
from numpy import ndarray

from throughtime.errors import FlowWarning, ParameterError
from throughtime.nn import Architecture
from throughtime.records import Records
from throughtime.stability import (
    EXPLODED,
    FlowRecord,
    Kind,
    horizons_of,
    layer_names,
    log_norms_at,
    pulled_back_norms,
    recorded_lags,
)
from throughtime.training.members import Batch
from throughtime.training.observers import Measurement, Observer, StepRecord
from throughtime.training.probes import Probe
from throughtime.training.streams import Purpose, stream

#: Steps of a member between two probes, and where every step is measured too; fewer in a short training, see
#: `Observer.probe_every`.
EVERY, EVERY_BESIDE_STEPS = 25, 100
#: Series that a probe of training takes at most, of those that training takes in meanwhile one in so many.
PROBE_SERIES, ONE_IN = 8, 32
#: Series that the weights a member ends with are measured on: with fewer a horizon says little.
KEPT_SERIES = 32
#: Members that a warning names.
_NAMED = 5


@dataclass(frozen=True)
class _Measured:
    """What was measured of some members at once."""

    kind: Kind
    members: tuple[int, ...]
    epochs: Sequence[int]
    steps: Sequence[int]
    layers: tuple[str, ...]
    lags: Int[ndarray, "member lag"]
    log_norms: Float32[ndarray, "member layer lag"]

    def record(self, m: int) -> FlowRecord:
        """Of one of them; lags below zero fill up those of members of shorter series."""
        own = self.lags[m] >= 0
        lags, curves = self.lags[m][own], self.log_norms[m][:, own]
        horizons = np.full(len(curves), np.nan) if self.kind == "step" else horizons_of(curves, lags)
        at = self.kind, self.epochs[m], self.steps[m]
        return FlowRecord(*at, self.layers, lags, curves, tuple(horizons.tolist()))


class FlowMonitor(Observer):
    """Keeps how large gradients are at each lag, of every member, and warns of those that vanish or explode.

    A probe pulls a random direction of norm 1 back from the last state of at most 8 of a member's training series, the
    same ones each time, and costs some percent of the steps between; see `throughtime.stability.pulled_back_norms`.

    Parameters
    ----------
    members
        Places of those to look at; all of them by default.
    every
        Steps of a member between two probes, fewer where its training is short; ``None`` for the weights it ends with
        alone, which are then measured on 32 series.
    warn
        Whether to.

    Warns
    -----
    FlowWarning
        Once per member where its gradient falls to 1 % within the series' length, and once where it grows a
        hundredfold.
    """

    def __init__(self, members: Collection[int] | None = None, *, every: int | None = EVERY, warn: bool = True) -> None:
        self.probe_every = every
        self._warns = warn
        self._members = None if members is None else frozenset(members)
        self._measured: list[_Measured] = []
        #: where the series that each is probed on lie in the inputs, and the lags of its records
        self._chosen: dict[int, ndarray] = {}
        self._lags: dict[int, ndarray] = {}
        #: those of the same members as before, filled up
        self._stacked: tuple[tuple[int, ...], Int[ndarray, "member lag"]] | None = None
        #: steps that each has taken
        self._steps: dict[int, int] = {}
        #: the last batch, for the same members are probed again
        self._loaded: tuple[tuple[int, ...], Batch] | None = None
        self._warned: set[tuple[str, int]] = set()

    def records(self, member: int) -> Records[FlowRecord]:
        """What was measured of a member, by its place, in order."""
        found = [(one, one.members.index(member)) for one in self._measured if member in one.members]
        return Records(one.record(m) for one, m in found)

    def on_probe(self, probe: Probe) -> None:
        """Pull back from the last states of the members that are due."""
        if self._members is not None:
            probe = probe.take([m for m, place in enumerate(probe.members) if place in self._members])
        if not probe.members:
            return
        if not isinstance(probe.net, Architecture):
            raise ParameterError("a flow monitor needs the built-in network, got a module of your own")
        batch = self._load(probe)
        found = pulled_back_norms(probe.net, probe.weights, batch.x, batch.lengths, seed=0)
        curves = [(one.reverse, one.total.square().cpu().numpy()) for one in found]
        kind: Kind = "kept" if probe.kept else "probe"
        self._keep(kind, probe.members, probe.epochs, probe.steps, curves, batch.own_steps)
        self._steps.update(zip(probe.members, probe.steps, strict=True))
        if self._warns:
            self._warn(self._measured[-1])

    def _load(self, probe: Probe) -> Batch:
        """The series that the members are probed on, each by its own seed."""
        if self._loaded is not None and self._loaded[0] == probe.members:
            return self._loaded[1]
        for m, (place, rows) in enumerate(zip(probe.members, probe.train_rows, strict=True)):
            if place in self._chosen:
                continue
            most = KEPT_SERIES
            if self.probe_every is not None:
                most = min(PROBE_SERIES, max(1, probe.series_between[m] // ONE_IN))
            self._chosen[place] = rows[stream(probe.seeds[m], Purpose.PROBE).permutation(len(rows))[:most]]
            self._lags[place] = recorded_lags(int(np.median(probe.inputs.lengths[rows])))
        batch = probe.load([self._chosen[place] for place in probe.members])
        self._loaded = probe.members, batch
        return batch

    def _keep(
        self,
        kind: Kind,
        members: tuple[int, ...],
        epochs: Sequence[int],
        steps: Sequence[int],
        curves: Sequence[tuple[bool, Float64[ndarray, "member time batch"]]],
        lengths: Int[ndarray, "member batch"],
    ) -> None:
        """Take note of the squared norms that every layer and direction (is it a reverse one?) has at its steps."""
        lags = self._lags_of(members)
        log_norms = [log_norms_at(squares, lengths, lags, reverse=reverse) for reverse, squares in curves]
        layers = layer_names([reverse for reverse, _ in curves])
        stacked = np.stack(log_norms, 1, dtype=np.float32, casting="same_kind")
        self._measured.append(_Measured(kind, members, epochs, steps, layers, lags, stacked))

    def _lags_of(self, members: tuple[int, ...]) -> Int[ndarray, "member lag"]:
        """Each one's, filled up with -1."""
        if self._stacked is None or self._stacked[0] != members:
            own = [self._lags[place] for place in members]
            lags = np.full((len(own), max(map(len, own))), -1)
            for row, filled in zip(lags, own, strict=True):
                row[: len(filled)] = filled
            self._stacked = members, lags
        return self._stacked[1]

    def _warn(self, measured: _Measured) -> None:
        """Of members that show it for the first time."""
        with np.errstate(invalid="ignore"):
            growth = measured.log_norms - measured.log_norms[..., :1]
        faults = {
            "vanishes": ((growth <= -EXPLODED).any((1, 2)), _vanishing),
            "explodes": ((growth >= EXPLODED).any((1, 2)), _exploding),
        }
        for what, (found, in_words) in faults.items():
            new = [m for m in np.flatnonzero(found).tolist() if (what, measured.members[m]) not in self._warned]
            if new:
                self._warned.update((what, measured.members[m]) for m in new)
                named = [
                    f"member {measured.members[m]}, epoch {measured.epochs[m]}: {in_words(measured.record(m))}"
                    for m in new[:_NAMED]
                ]
                more = [f"and {len(new) - _NAMED} more members"] if len(new) > _NAMED else []
                text = f"a gradient {what}: {'; '.join(named + more)}. {_ADVICE[what]}"
                warnings.warn(text, FlowWarning, stacklevel=2)


class EveryStepFlowMonitor(FlowMonitor):
    """The same, and besides the gradients at the states in every step of training: dL/dh_t of its own loss and batch.

    They come from the steps' own backward passes, so that they have dropout and noise in them, and cost some percent.
    """

    needs: frozenset[Measurement] = frozenset({"state_gradient_norms"})

    def __init__(
        self, members: Collection[int] | None = None, *, every: int | None = EVERY_BESIDE_STEPS, warn: bool = True
    ) -> None:
        super().__init__(members, every=every, warn=warn)

    def on_step(self, record: StepRecord) -> None:
        """Keep the norms by lag of those who took the step."""
        states, members = record.state_gradient_norms, record.members
        if states is None:
            raise ParameterError("a flow monitor needs the built-in network, got a module of your own")
        taking = record.active.tolist()
        at = [m for m, place in enumerate(members) if taking[m] and place in self._lags]  # probed before
        if not at:
            return
        lengths = np.where(record.series.cpu().numpy() < 0, 0, record.lengths.cpu().numpy())
        curves = [(own.reverse, (own.h if own.c is None else own.h + own.c).cpu().numpy()) for own in states]
        places = members
        if len(at) < len(members):
            places, lengths = tuple(members[m] for m in at), lengths[at]
            curves = [(reverse, squares[at]) for reverse, squares in curves]
        steps = [self._steps[place] for place in places]
        self._keep("step", places, [record.epoch] * len(at), steps, curves, lengths)
        self._steps.update((place, step + 1) for place, step in zip(places, steps, strict=True))


def _vanishing(record: FlowRecord) -> str:
    """Where the gradient falls to 1 % first, in words."""
    worst = int(np.argmin(record.horizons))
    where = f"{record.horizons[worst]:.3g} steps back in {record.layers[worst]}"
    return f"1 % of it is left {where}, of series of {record.lags[-1] + 1}"


def _exploding(record: FlowRecord) -> str:
    """Where the gradient grows most, in words."""
    growth = np.nan_to_num(record.log_norms - record.log_norms[:, :1], nan=0, posinf=np.inf)
    worst, place = np.unravel_index(growth.argmax(), growth.shape)
    most = growth[worst, place]
    times = "overflows" if np.isinf(most) else f"is {10.0**most:.3g} times as large"
    return f"it {times} {record.lags[place]} steps back in {record.layers[worst]}"


_ADVICE = {
    "vanishes": "That is shorter than the series, and no fault unless the task needs longer lags: then try "
    "init='chrono', per-gate orthogonal weights or a forget bias",
    "explodes": "Try clip_norm or clip_value, per-gate orthogonal weights, or a smaller lr",
}
