"""Gradients through time, watched while members train: a small probe every so many steps, or the steps' own."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int
from numpy import ndarray
from torch import Tensor

from throughtime.errors import DataError, FlowWarning, ParameterError, warn
from throughtime.kernels import backend_for
from throughtime.nn import Architecture
from throughtime.records import Records
from throughtime.stability import (
    EXPLODED,
    FlowRecord,
    Kind,
    flow_from_arrays,
    flow_to_arrays,
    horizons_of,
    layer_names,
    pulled_back_norms,
    recorded_lags,
)
from throughtime.training.members import Batch
from throughtime.training.observers import Measurement, Observer, StepRecord
from throughtime.training.probes import Probe
from throughtime.training.state import GroupState
from throughtime.training.streams import Purpose, stream

#: Steps of a member between two probes, and where every step is measured too; fewer in a short training, see
#: `Observer.probe_every`.
EVERY, EVERY_BESIDE_STEPS = 25, 100
#: Series that a probe of training takes at most, of those that training takes in meanwhile one in so many.
PROBE_SERIES, ONE_IN = 8, 32
#: Series that the weights a member ends with are measured on: with fewer a horizon says little.
KEPT_SERIES = 32
#: Probes that wait to be measured in one call, for what surrounds a call takes as long as a small network; and numbers
#: that this call may keep for its way back, so many per unit and step.
MOST_WAITING, MOST_KEPT, KEPT_PER_UNIT = 8, 2**21, 6
#: Members that a warning names.
_NAMED = 5

#: What is measured of members, and the epochs and steps that each has behind it.
Moment = tuple[Kind, Sequence[int], Sequence[int]]


@dataclass(frozen=True)
class _Measured:
    """What was measured of some members at one moment."""

    kind: Kind
    members: tuple[int, ...]
    epochs: Sequence[int]
    steps: Sequence[int]
    layers: tuple[str, ...]
    lags: Int[ndarray, "member lag"]
    log_norms: Float32[ndarray, "member layer lag"]
    horizons: Float64[ndarray, "member layer"]

    def record(self, m: int) -> FlowRecord:
        """Of one of them; lags below zero fill up those of members of shorter series."""
        own = np.count_nonzero(self.lags[m] >= 0)
        lags, curves = self.lags[m, :own], self.log_norms[m, :, :own]
        at = self.kind, self.epochs[m], self.steps[m]
        return FlowRecord(*at, self.layers, lags, curves, tuple(self.horizons[m].tolist()))


def _measured_of(place: int, record: FlowRecord) -> _Measured:
    """A record as it was measured, of one member."""
    at = record.kind, (place,), [record.epoch], [record.step]
    return _Measured(*at, record.layers, record.lags[None], record.log_norms[None], np.array([record.horizons]))


@dataclass(frozen=True)
class _Probed:
    """Members that are probed together, on the same series each time, and the probes that wait to be measured."""

    net: Architecture
    members: tuple[int, ...]
    batch: Batch
    waiting: list[tuple[Moment, Mapping[str, Tensor]]]

    @property
    def most(self) -> int:
        """Probes that are measured in one call, as members of one batch: of small networks more."""
        net, (members, time, series, _) = self.net, self.batch.x.shape
        kept = members * time * series * net.hidden_size * net.num_layers * (1 + net.bidirectional) * KEPT_PER_UNIT
        return int(np.clip(MOST_KEPT // kept, 1, MOST_WAITING))


class FlowMonitor(Observer):
    """Keeps how large gradients are at each lag, of every member, and warns of those that vanish or explode.

    A probe pulls a random direction of norm 1 back from the last state of at most 8 of a member's training series, the
    same ones each time and the longest among them (of those up to 8 times the mean length), and costs some percent of
    the steps between; see `throughtime.stability.pulled_back_norms`. Probes of small networks are measured up to eight
    at once, so that a warning may come some probes late.

    Parameters
    ----------
    members
        Places of those to look at; all of them by default.
    every
        Steps of a member between two probes, fewer where its training is short; ``None`` for the weights it ends with
        alone. Those are measured on 32 series, the longest among them.
    warn
        Whether to.
    names
        What a warning calls members, by their places; ``member 1`` is at place 0 by default.

    Warns
    -----
    FlowWarning
        Once per member where its gradient falls to 1 % within the series' length, and once where it grows a
        hundredfold.
    """

    def __init__(
        self,
        members: Collection[int] | None = None,
        *,
        every: int | None = EVERY,
        warn: bool = True,
        names: Mapping[int, str] | None = None,
    ) -> None:
        self.probe_every = every
        self._names = names or {}
        self._warns = warn
        self._members = None if members is None else frozenset(members)
        self._measured: list[_Measured] = []
        #: by members; several threads may each probe their own
        self._probed: dict[tuple[int, ...], _Probed] = {}
        #: of each one's records
        self._lags: dict[int, ndarray] = {}
        #: those of several, as a table
        self._tables: dict[tuple[int, ...], ndarray] = {}
        #: steps that each has taken
        self._steps: dict[int, int] = {}
        self._warned: set[tuple[str, int]] = set()

    def records(self, member: int) -> Records[FlowRecord]:
        """What was measured of a member, by its place, in order."""
        self._measure_of([member])
        found = [(one, one.members.index(member)) for one in self._measured if member in one.members]
        return Records(one.record(m) for one, m in found)

    def on_probe(self, probe: Probe) -> None:
        """Take note of the members that are due, and pull back from their last states once enough wait for it."""
        if self._members is not None:
            probe = probe.take([m for m, place in enumerate(probe.members) if place in self._members])
        if not probe.members:
            return
        self._measure_others(probe.members, probe.kept)
        if probe.members not in self._probed:
            self._probed[probe.members] = self._first_probed(probe)
        probed = self._probed[probe.members]
        moment: Moment = "kept" if probe.kept else "probe", probe.epochs, probe.steps
        probed.waiting.append((moment, {name: weight.clone() for name, weight in probe.weights.items()}))
        self._steps.update(zip(probe.members, probe.steps, strict=True))
        if probe.kept or len(probed.waiting) >= probed.most:
            self._measure(probed)
        if probe.kept:
            del self._probed[probe.members]

    def on_epoch(self, state: GroupState) -> None:
        """Measure what waits of members that have failed: it says why."""
        failed = {own.place for own in state.members if own.result is not None and own.result.failure is not None}
        self._measure_of(failed)

    def to_arrays(self, places: Sequence[int]) -> dict[str, ndarray]:
        """What was measured of those at some places, what waits for it included, and of whom it has warned."""
        own = [m for m, place in enumerate(places) if self._members is None or place in self._members]
        curves = {f"{m}_{name}": a for m in own for name, a in flow_to_arrays(self.records(places[m])).items()}
        text = json.dumps(
            {
                "every": self.probe_every,
                "warns": self._warns,
                "members": own,
                "steps": [self._steps.get(places[m], 0) for m in own],
                "warned": [[what, m] for m in own for what in _ADVICE if (what, places[m]) in self._warned],
            }
        )
        return curves | {"json": np.frombuffer(text.encode(), dtype=np.uint8)}

    def from_arrays(self, places: Sequence[int], arrays: Mapping[str, ndarray]) -> None:
        """Go on from what `to_arrays` gave."""
        try:
            content = json.loads(np.asarray(arrays["json"], dtype=np.uint8).tobytes())
            for m, steps in zip(content["members"], content["steps"], strict=True):
                prefix = f"{m}_"
                own = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
                records = flow_from_arrays(own, "a flow monitor")
                if records:
                    self._steps[places[m]], self._lags[places[m]] = steps, records[0].lags
                    self._measured += [_measured_of(places[m], record) for record in records]
            self._warned.update((what, places[m]) for what, m in content["warned"])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise DataError(
                f"a flow monitor needs the arrays of FlowMonitor.to_arrays, got others: {error!r}"
            ) from error

    def _measure_others(self, members: tuple[int, ...], kept: bool) -> None:
        """Measure what waits of these members in other company, or on other series, as they are at their end."""
        if kept or members not in self._probed:
            for known in [known for known in self._probed if not set(known).isdisjoint(members)]:
                self._measure(self._probed.pop(known))

    def _first_probed(self, probe: Probe) -> _Probed:
        if not isinstance(probe.net, Architecture):
            raise ParameterError("a flow monitor needs the built-in network, got a module of your own")
        return _Probed(probe.net, probe.members, self._load(probe), [])

    def _load(self, probe: Probe) -> Batch:
        """The series that the members are probed on, each by its own seed, the longest first.

        Between two steps the longest of those that cost no more than so many of the mean length: one much longer would
        take longer than the training between.
        """
        chosen = []
        for known in [known for known in self._tables if not set(known).isdisjoint(probe.members)]:
            del self._tables[known]
        for m, (place, rows) in enumerate(zip(probe.members, probe.train_rows, strict=True)):
            lengths = probe.inputs.lengths[rows]
            most, bound = KEPT_SERIES, int(lengths.max())
            self._lags[place] = recorded_lags(bound)
            if not probe.kept:
                most = min(PROBE_SERIES, max(1, probe.series_between[m] // ONE_IN))
                bound = max(int(PROBE_SERIES * lengths.mean()), int(lengths.min()))
            longest = np.where(lengths <= bound, lengths, 0).argmax()
            drawn = stream(probe.seeds[m], Purpose.PROBE).permutation(len(rows))
            chosen.append(rows[np.concatenate([[longest], drawn[drawn != longest]])[:most]])
        return probe.load(chosen)

    def _measure_of(self, members: Collection[int]) -> None:
        """The probes that wait of some of these members."""
        for probed in [probed for known, probed in self._probed.items() if not set(known).isdisjoint(members)]:
            self._measure(probed)

    def _measure(self, probed: _Probed) -> None:
        """The probes that wait, all as members of one call."""
        count, batch = len(probed.waiting), probed.batch
        if not count:
            return
        moments, held = zip(*probed.waiting, strict=True)
        weights = {name: torch.cat([own[name] for own in held]) for name in held[0]}
        x, lengths = batch.x.repeat(count, 1, 1, 1), batch.lengths.repeat(count, 1)
        found = pulled_back_norms(probed.net, weights, x, lengths, seed=0)
        curves = [(one.reverse, one.total.square()) for one in found]
        probed.waiting.clear()
        own_steps = torch.from_numpy(batch.own_steps).to(lengths.device)
        self._keep(moments, probed.members, curves, own_steps.repeat(count, 1))

    def _keep(
        self,
        moments: Sequence[Moment],
        members: tuple[int, ...],
        curves: Sequence[tuple[bool, Float64[Tensor, "moment_member time batch"]]],
        lengths: Int[Tensor, "moment_member batch"],
    ) -> None:
        """Take note of the squared norms that every layer and direction (is it a reverse one?) has at its steps."""
        lags = self._lags_of(members)
        of_all = torch.from_numpy(np.tile(lags, (len(moments), 1))).to(lengths.device)
        backend = backend_for(lengths.device, torch.float64)
        found = [backend.log_means(squares, lengths, of_all, reverse) for reverse, squares in curves]
        layers = layer_names([reverse for reverse, _ in curves])
        whole = torch.stack(found, 1).float().cpu().numpy().reshape(len(moments), len(members), len(curves), -1)
        for (kind, epochs, steps), log_norms in zip(moments, whole, strict=True):
            reach = np.full(log_norms.shape[:2], np.nan) if kind == "step" else horizons_of(log_norms, lags[:, None])
            measured = _Measured(kind, members, epochs, steps, layers, lags, log_norms, reach)
            self._measured.append(measured)
            if self._warns and kind != "step":
                self._warn(measured)

    def _lags_of(self, members: tuple[int, ...]) -> Int[ndarray, "member lag"]:
        """Each one's, filled up with -1."""
        if members not in self._tables:
            own = [self._lags[place] for place in members]
            lags = np.full((len(own), max(map(len, own))), -1)
            for row, filled in zip(lags, own, strict=True):
                row[: len(filled)] = filled
            self._tables[members] = lags
        return self._tables[members]

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
                named = [f"{self._moment(measured, m)}: {in_words(measured.record(m))}" for m in new[:_NAMED]]
                more = [f"and {len(new) - _NAMED} more members"] if len(new) > _NAMED else []
                text = f"a gradient {what}: {'; '.join(named + more)}. {_ADVICE[what]}"
                warn(text, FlowWarning)

    def _moment(self, measured: _Measured, m: int) -> str:
        """One of the members that were measured, and when that was, as people count."""
        place = measured.members[m]
        when = "at the end" if measured.kind == "kept" else f"epoch {measured.epochs[m] + 1}"
        return f"{self._names.get(place, f'member {place + 1}')}, {when}"


class EveryStepFlowMonitor(FlowMonitor):
    """The same, and besides the gradients at the states in every step of training: dL/dh_t of its own loss and batch.

    They come from the steps' own backward passes, so that they have dropout and noise in them, and cost some percent.
    """

    needs: frozenset[Measurement] = frozenset({"state_gradient_norms"})

    def __init__(
        self,
        members: Collection[int] | None = None,
        *,
        every: int | None = EVERY_BESIDE_STEPS,
        warn: bool = True,
        names: Mapping[int, str] | None = None,
    ) -> None:
        super().__init__(members, every=every, warn=warn, names=names)

    def on_step(self, record: StepRecord) -> None:
        """Keep the norms by lag of those who took the step."""
        states, members = record.state_gradient_norms, record.members
        if states is None:
            raise ParameterError("a flow monitor needs the built-in network, got a module of your own")
        taking = record.active.tolist()
        at = [m for m, place in enumerate(members) if taking[m] and place in self._lags]  # probed before
        if not at:
            return
        places = tuple(members[m] for m in at)
        self._measure_of(places)  # records are in order
        own: Any = slice(None) if len(at) == len(members) else at
        lengths = torch.where(record.series < 0, 0, record.lengths)[own]
        curves = [(of.reverse, (of.h if of.c is None else of.h + of.c)[own]) for of in states]
        steps = [self._steps[place] for place in places]
        self._steps.update((place, step + 1) for place, step in zip(places, steps, strict=True))
        self._keep([("step", [record.epoch] * len(at), steps)], places, curves, lengths)


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
