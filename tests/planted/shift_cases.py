"""Reference and deployed series with a planted shift, for `diagnose_shift` to name, whose density ratio is known.

The law, the kinds and the seeds were fixed before any rule was tuned on them; held-out seeds are for the last run.

Series have 12 to 30 steps of autoregressive channels. Classes move the means of two channels along curves over time, so
that the probability of a class given a series has a closed form; a number, or a number per step, is what the curves
pick out of two channels, and noise. Channels from the third on say nothing of the target.

What is planted: *covariate*, *label*: series are drawn and kept with a probability that grows with ``exp(t g)``, where
g of standard deviation 1 is bounded and looks at x alone, or at y alone. *Concept*: two classes change names with
probability t; of numbers, the direction that matters turns by t radians, or all grow by t standard deviations.

Sizes are in units of the *oracle's*: t at which a one-sided two-sample test at .05 of the log density ratio, which
no test without the two laws can beat by much, has a power of .95 with as many series. Of two shifts at once each has
its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.random import Generator
from scipy.optimize import brentq
from scipy.signal import lfilter
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.data import Sequences

Part = Literal["relevant", "irrelevant", "label", "concept"]
TargetForm = Literal["classes", "numbers", "steps"]

#: The parts of each kind of shift, and the name that is right.
KINDS: Mapping[str, tuple[tuple[Part, ...], str]] = {
    "none": ((), "none detected"),
    "covariate, relevant": (("relevant",), "covariate"),
    "covariate, irrelevant": (("irrelevant",), "covariate"),
    "label": (("label",), "label"),
    "concept": (("concept",), "concept"),
    "label + concept": (("label", "concept"), "mixed"),
    "label + covariate": (("label", "irrelevant"), "mixed"),
}
#: Rules may look at the former; the latter are for the last run alone. Times seven kinds, 504 cases.
DEVELOPMENT, HELD_OUT = range(72), range(10_000, 10_072)
SIZES = (1.0, 1.5, 2.0)
#: Of the nulls: coefficient of the autoregression, channels. Times 84 seeds, 504 cases.
NULLS = tuple((phi, channels) for phi in (0.0, 0.5, 0.9) for channels in (1, 20))
SHORTEST, LONGEST = 12, 30
REFERENCE, DEPLOYED = 300, (200, 300)
#: Distance between the means of two classes, in standard deviations of the best linear filter: accuracy .81 at best.
SEPARATION = 2.4
#: Standard deviation of a number's noise: of a whole series and of its steps.
NOISE = {"numbers": (0.0, 0.5), "steps": (0.4, 0.3)}
#: Series that stand for the law where its moments are needed.
POOL = 10_000


@dataclass(frozen=True, eq=False)
class Drawn:
    """Series padded to the longest, their targets, (n,) or (n, time), and what the law knows of them.

    ``known`` is the log probability of each class given the series, (n, 3), before any shift; or what numbers follow
    and what they would after a quarter turn, (n, 1 or time, 2).
    """

    x: Float[ndarray, "series time channel"]
    lengths: Int[ndarray, "series"]
    y: ndarray
    known: ndarray

    @cached_property
    def valid(self) -> ndarray:
        """Which steps are there."""
        return np.arange(LONGEST) < self.lengths[:, None]

    @property
    def series(self) -> Sequences:
        """The series."""
        return Sequences(self.x[self.valid].astype(np.float32), np.cumsum([0, *self.lengths]))

    @property
    def targets(self) -> ndarray | Sequences:
        """As estimators take them."""
        if self.y.ndim == 1:
            return self.y
        return Sequences(self.y[self.valid][:, None].astype(np.float32), np.cumsum([0, *self.lengths]))

    def take(self, indices: ndarray) -> "Drawn":
        """Some of the series."""
        return Drawn(self.x[indices], self.lengths[indices], self.y[indices], self.known[indices])


@dataclass(frozen=True)
class Law:
    """How series and targets come about; what the seed varies is which curves, classes and statistics.

    ``phi`` is the coefficient of the autoregression, whose channels have standard deviation 1.
    """

    form: TargetForm = "classes"
    seed: int = 0
    phi: float = 0.6
    channels: int = 4

    @property
    def pair(self) -> tuple[int, int]:
        """The two classes that shifts are about."""
        return ((0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2))[self.seed % 6]

    @property
    def irrelevant(self) -> str:
        """The statistic of the last channel that an irrelevant covariate shift tilts."""
        return ("mean", "slope", "deviation")[self.seed % 3]

    @property
    def concept(self) -> str:
        """What concept shift does."""
        return "swap" if self.form == "classes" else "turn" if self.form == "numbers" and self.seed % 2 == 0 else "bias"

    def draw(self, rng: Generator, n: int) -> Drawn:
        """Series without a shift."""
        lengths = rng.integers(SHORTEST, LONGEST + 1, n)
        noise = rng.normal(size=(n, LONGEST, self.channels))
        noise[:, 1:] *= np.sqrt(1 - self.phi**2)
        x = lfilter([1.0], [1.0, -self.phi], noise, axis=1)
        if self.form == "classes":
            y = rng.integers(3, size=n)
            means = self._means(lengths)
            for channel, own in means:
                x[:, :, channel] += own[y, np.arange(n)]
            return Drawn(x, lengths, y, self._log_posterior(x, lengths, means))
        signals = self._signals(x, lengths)
        between, within = NOISE[self.form]
        numbers = signals[..., 0] + between * rng.normal(size=(n, 1)) + within * rng.normal(size=signals.shape[:2])
        return Drawn(x, lengths, numbers[:, 0] if self.form == "numbers" else numbers, signals)

    def _means(self, lengths: ndarray) -> list[tuple[int, Float[ndarray, "class series time"]]]:
        """The channels that classes move, and along what: corners of a triangle in the plane of two curves."""
        names = (("level", "rise"), ("rise", "level"), ("rise", "rise"))[self.seed % 3]
        if self.channels == 1:
            names = ("level", "ramp")
        angles = 2 * np.pi * np.arange(3) / 3
        corners = SEPARATION / np.sqrt(3) * np.stack([np.cos(angles), np.sin(angles)])
        every = np.arange(SHORTEST, LONGEST + 1)
        found = []
        for number, name in enumerate(names):
            power = np.square(self._whitened(_curve(name, every), every)).sum(1).mean()
            curve = _curve(name, lengths) / np.sqrt(power)
            found.append((min(number, self.channels - 1), corners[number][:, None, None] * curve))
        return found

    def _whitened(self, values: Float[ndarray, "series time"], lengths: ndarray) -> Float[ndarray, "series time"]:
        """Innovations of one channel, 0 beyond the end."""
        found = values.copy()
        found[:, 1:] = (values[:, 1:] - self.phi * values[:, :-1]) / np.sqrt(1 - self.phi**2)
        return np.where(np.arange(LONGEST) < lengths[:, None], found, 0.0)

    def _log_posterior(
        self, x: ndarray, lengths: ndarray, means: list[tuple[int, ndarray]]
    ) -> Float[ndarray, "series class"]:
        found = np.zeros((len(x), 3))
        for channel in {channel for channel, _ in means}:
            for c in range(3):
                apart = x[:, :, channel] - sum(own[c] for other, own in means if other == channel)
                found[:, c] -= np.square(self._whitened(apart, lengths)).sum(1) / 2
        return np.asarray(log_softmax(found, axis=1))

    def _signals(self, x: ndarray, lengths: ndarray) -> Float[ndarray, "series time 2"]:
        if self.form == "steps":
            # the mean of the past, faded; its standard deviation is 1 in the long run
            gain = np.sqrt((1 - 0.7**2) * (1 - 0.7 * self.phi) / (1 + 0.7 * self.phi))
            return np.asarray(lfilter([gain], [1.0, -0.7], x[:, :, :2], axis=1))
        curve = _curve(("rise", "level", "rise")[self.seed % 3], lengths)
        sums = np.einsum("ntc,nt->nc", x[:, :, :2], curve) / np.sqrt(np.square(curve).sum(1))[:, None]
        return np.asarray(sums / np.sqrt((1 + self.phi) / (1 - self.phi)))[:, None]  # of deviation 1 nearly

    def statistic(self, part: Part, drawn: Drawn) -> Float[ndarray, "series"]:
        """What is tilted, before it is scaled and bounded."""
        if part == "label":
            if self.form == "classes":
                return np.asarray(1.0 * (drawn.y == self.pair[0]) - (drawn.y == self.pair[1]))
            return drawn.y if drawn.y.ndim == 1 else np.mean(drawn.y, 1, where=drawn.valid)
        if part == "relevant":
            if self.form == "classes":
                return np.asarray(drawn.known[:, self.pair[0]] - drawn.known[:, self.pair[1]])
            signal = drawn.known[..., 0]
            return signal[:, 0] if self.form == "numbers" else np.mean(signal, 1, where=drawn.valid)
        values, valid = drawn.x[:, :, -1], drawn.valid
        if self.irrelevant == "mean":
            return np.asarray(np.mean(values, 1, where=valid))
        if self.irrelevant == "deviation":
            return np.asarray(np.std(values, 1, where=valid))
        ramp = _curve("ramp", drawn.lengths)
        return np.asarray((values * ramp).sum(1, where=valid) / np.square(ramp).sum(1))

    def changed(self, rng: Generator, drawn: Drawn, t: float) -> Drawn:
        """The series with targets of a shifted concept."""
        if self.form != "classes":
            moved = self._moved(drawn, t)
            return replace(drawn, y=drawn.y + (moved[:, 0] if self.form == "numbers" else moved))
        return replace(drawn, y=np.where(rng.random(len(drawn.y)) < t, self.swapped(drawn).y, drawn.y))

    def _moved(self, drawn: Drawn, t: float) -> ndarray:
        first, second = np.moveaxis(drawn.known, -1, 0)
        return (np.cos(t) - 1) * first + np.sin(t) * second if self.concept == "turn" else np.full_like(first, t)

    def swapped(self, drawn: Drawn) -> Drawn:
        """All series of the two classes with the name of the other."""
        y = drawn.y.copy()
        for old, new in (self.pair, self.pair[::-1]):
            y[drawn.y == old] = new
        return replace(drawn, y=y)

    def concept_log_ratio(self, drawn: Drawn, t: float) -> Float[ndarray, "series"]:
        """Log of the targets' density after the shift over that before, given the series."""
        rows = np.arange(len(drawn.y))
        if self.form == "classes":
            given = drawn.known[rows, self.swapped(drawn).y] - drawn.known[rows, drawn.y]
            return np.asarray(np.log1p(t * np.expm1(given)))
        between, within = NOISE[self.form]
        moved, signal = self._moved(drawn, t), drawn.known[..., 0]
        residual = drawn.y.reshape(signal.shape) - signal
        valid = drawn.valid if self.form == "steps" else np.ones((len(rows), 1), bool)
        moved, residual = np.where(valid, moved, 0.0), np.where(valid, residual, 0.0)
        # the inverse of within² I + between² 11' (Sherman & Morrison, 1950)
        pull = between**2 / (within**2 + valid.sum(1) * between**2)
        direction = (moved - pull[:, None] * moved.sum(1, keepdims=True) * valid) / within**2
        return np.asarray((direction * (residual - moved / 2)).sum(1))


def _curve(name: str, lengths: ndarray) -> Float[ndarray, "series time"]:
    """A curve over each series' own time, 0 beyond its end."""
    steps = np.arange(LONGEST)
    u = steps / (lengths[:, None] - 1)
    shape = {"level": np.ones_like(u), "rise": u, "ramp": 2 * u - 1}
    return np.where(steps < lengths[:, None], shape[name], 0.0)


class Shift:
    """A law, what it is after a shift, and how large the shift must be.

    Parameters
    ----------
    law
        Before.
    parts
        What shifts.
    n_reference, n_deployed
        For how many series sizes are.
    """

    def __init__(self, law: Law, parts: tuple[Part, ...], n_reference: int, n_deployed: int) -> None:
        self.law, self.parts, self.counts = law, parts, (n_reference, n_deployed)
        self._pool = _pool(law) if parts else None
        self._scales: dict[Part, tuple[float, float, float]] = {}
        self.oracle = {part: self._oracle_size(part) for part in parts}

    def tilt(self, part: Part, drawn: Drawn) -> Float[ndarray, "series"]:
        """g: of standard deviation 1 before the shift, and bounded."""
        mean, deviation, after = self._scale(part)
        bounded = (self.law.statistic(part, drawn) - mean) / deviation
        return bounded if self._is_class(part) else np.tanh(bounded) / after

    def _scale(self, part: Part) -> tuple[float, float, float]:
        if part not in self._scales:
            assert self._pool is not None
            values = self.law.statistic(part, self._pool)
            mean, deviation = (0.0, np.sqrt(2 / 3)) if self._is_class(part) else (values.mean(), values.std())
            self._scales[part] = (mean, deviation, float(np.tanh((values - mean) / deviation).std()))
        return self._scales[part]

    def _is_class(self, part: Part) -> bool:
        return part == "label" and self.law.form == "classes"

    def _largest(self, part: Part) -> float:
        _, deviation, after = self._scale(part)
        return 1 / deviation if self._is_class(part) else 1 / after

    def draw(self, rng: Generator, n: int, t: Mapping[Part, float]) -> Drawn:
        """Series after a shift by ``t`` of each part."""
        kept: list[Drawn] = []
        while sum(len(drawn.y) for drawn in kept) < n:
            drawn = self.law.draw(rng, 2 * n)
            excess = np.zeros(2 * n)
            for part in self.parts:
                if part != "concept":
                    excess += t[part] * (self.tilt(part, drawn) - self._largest(part))
            kept.append(drawn.take(np.flatnonzero(np.log(rng.random(2 * n)) < excess)))
        names = ("x", "lengths", "y", "known")
        joined = Drawn(*(np.concatenate([getattr(one, name) for one in kept])[:n] for name in names))
        return self.law.changed(rng, joined, t["concept"]) if "concept" in self.parts else joined

    def log_ratio(self, part: Part, drawn: Drawn, t: float) -> Float[ndarray, "series"]:
        """Of one part alone: log of the density after the shift over that before, but for a constant."""
        return self.law.concept_log_ratio(drawn, t) if part == "concept" else t * self.tilt(part, drawn)

    def log_density_ratio(self, drawn: Drawn, t: Mapping[Part, float]) -> Float[ndarray, "series"]:
        """Log of the density after the whole shift over that before it."""
        if not self.parts:
            return np.zeros(len(drawn.y))

        def exponent(drawn: Drawn) -> ndarray:
            tilts = [t[part] * self.tilt(part, drawn) for part in self.parts if part != "concept"]
            return np.sum(tilts, axis=0) if tilts else np.zeros(len(drawn.y))

        assert self._pool is not None
        log_norm = logsumexp(exponent(self._pool)) - np.log(len(self._pool.y))
        if "concept" not in self.parts:
            return np.asarray(exponent(drawn) - log_norm)
        law, size = self.law, t["concept"]
        if law.form != "classes":
            before = law.changed(np.random.default_rng(), drawn, size)  # adds what is to be taken away
            before = replace(drawn, y=2 * drawn.y - before.y)
            return np.asarray(law.concept_log_ratio(drawn, size) + exponent(before) - log_norm)
        other, rows = law.swapped(drawn), np.arange(len(drawn.y))
        given = drawn.known[rows, other.y] - drawn.known[rows, drawn.y]
        kept, moved = np.log1p(-size) + exponent(drawn), np.log(size) + given + exponent(other)
        return np.asarray(np.logaddexp(kept, moved) - log_norm)

    def oracle_power(self, part: Part, t: float) -> float:
        """Of the one-sided test at .05 of the mean log ratio of one part, by the normal approximation."""
        assert self._pool is not None
        before = self.log_ratio(part, self._pool, t)
        n_reference, n_deployed = self.counts
        if part == "concept":
            after = self.law.concept_log_ratio(self.law.changed(_rng(self.law, 1), self._pool, t), t)
            mean, variance = after.mean(), after.var()
        else:
            weights = np.exp(before)
            mean = np.average(before, weights=weights)
            variance = np.average(np.square(before - mean), weights=weights)
        null = before.std() * np.sqrt(1 / n_reference + 1 / n_deployed)
        other = np.sqrt(before.var() / n_reference + variance / n_deployed)
        return float(norm.cdf((mean - before.mean() - norm.ppf(0.95) * null) / other))

    def _oracle_size(self, part: Part) -> float:
        return float(brentq(lambda t: self.oracle_power(part, t) - 0.95, 0.005, 0.9, xtol=1e-3))


@lru_cache(maxsize=len(KINDS))
def shift_of(kind: str, law: Law, n_deployed: int) -> Shift:
    """The shift of a kind, sized for the reference and so many deployed series."""
    return Shift(law, KINDS[kind][0], REFERENCE, n_deployed)


@lru_cache(maxsize=1)
def _pool(law: Law) -> Drawn:
    return law.draw(_rng(law, 0), POOL)


@dataclass(frozen=True, eq=False)
class Case:
    """Reference and deployed series, and what was planted between them."""

    kind: str
    seed: int
    size: float
    shift: Shift = field(repr=False)
    reference: Drawn = field(repr=False)
    deployed: Drawn = field(repr=False)

    @property
    def verdict(self) -> str:
        """The name that is right."""
        return KINDS[self.kind][1]

    @property
    def t(self) -> dict[Part, float]:
        """How large each part is."""
        return {part: self.size * oracle for part, oracle in self.shift.oracle.items()}

    @property
    def estimator(self) -> SequenceClassifier | SequenceRegressor:
        """Unfitted."""
        parameters: dict[str, Any] = {"hidden_size": 16, "lr": 0.02, "max_epochs": 15, "weight_decay": 3.0}
        kind = SequenceClassifier if self.shift.law.form == "classes" else SequenceRegressor
        return kind(**parameters, random_state=self.seed)

    @property
    def verdict_of_densities(self) -> str:
        """The name of the kind under which the deployed series are likeliest, by the densities themselves.

        No rule can name more of the kinds right on average, without them.
        """
        law, likelihoods = self.shift.law, {}
        for kind, (_, verdict) in KINDS.items():
            own = shift_of(kind, law, len(self.deployed.y))
            t = {part: self.size * oracle for part, oracle in own.oracle.items()}
            likelihoods[kind] = own.log_density_ratio(self.deployed, t).sum(), verdict
        return max(likelihoods.values())[1]

    def fresh(self, n: int, stream: int = 0) -> Drawn:
        """Other deployed series, the same ones for the same stream."""
        return self.shift.draw(_rng(self.shift.law, 4, stream), n, self.t)


def case(
    kind: str, seed: int, size: float = 1.5, *, form: TargetForm = "classes", phi: float = 0.6, channels: int = 4
) -> Case:
    """The case of a kind, a seed and a size in units of the oracle's; all of it follows from them.

    The reference is the same for every kind and size.
    """
    law = Law(form, seed, phi, channels)
    n_deployed = int(_rng(law, 2).integers(DEPLOYED[0], DEPLOYED[1] + 1))
    shift = shift_of(kind, law, n_deployed)
    t = {part: size * oracle for part, oracle in shift.oracle.items()}
    deployed = shift.draw(_rng(law, 3, list(KINDS).index(kind), int(1000 * size)), n_deployed, t)
    return Case(kind, seed, size, shift, law.draw(_rng(law, 5), REFERENCE), deployed)


def _rng(law: Law, *key: int) -> Generator:
    form = ("classes", "numbers", "steps").index(law.form)
    return np.random.default_rng([form, law.seed, int(1000 * law.phi), law.channels, *key])
