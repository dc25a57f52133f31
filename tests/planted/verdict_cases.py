"""Data sets with a planted cause of error, for `diagnose` to name: each is drawn from a law that can be drawn again.

The first set was fixed, seeds and all, before any rule was tuned on it. What a case is called is what was planted, not
what is true there: a remedy may help elsewhere too, or no longer at its size. `benchmarks/verdict.py` measures that on
fresh series.

The laws: of 15 steps of noise, bit k is the sign of a pulse in channel k, 3 steps wide, ending at step 12 - 3k, and the
target is the bits' parity, or the product of the pulses' sizes; with a target each step, it is what the last pulse
before it was.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator
from sklearn.model_selection import KFold

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.data import Sequences

TIME, PULSE = 15, 3
Targets = ndarray | Sequences


@dataclass(frozen=True, eq=False)
class Drawn:
    """Series of a law. The feature is a channel that is not among them and would help, one row per step of X."""

    X: Sequences
    y: Targets
    groups: ndarray | None = None
    feature: Float[ndarray, "step channel"] | None = None


Law = Callable[[Generator, int], Drawn]
#: What draws the plan of a case from a seed, by kind.
Kinds = Mapping[str, "Callable[[Generator, int], Plan]"]


@dataclass(frozen=True)
class Plan:
    """A law, how many series are drawn of it, and how a network is fitted on them."""

    law: Law
    n: int
    parameters: dict[str, Any]
    regression: bool = False
    cv: Any = 5
    #: Probes to ask for besides the automatic ones.
    asked: tuple[str, ...] = ()
    signal: bool = True


@dataclass(frozen=True, eq=False)
class Case:
    """One data set and the estimator to be diagnosed on it."""

    kind: str
    seed: int
    plan: Plan
    drawn: Drawn = field(repr=False)

    @property
    def estimator(self) -> SequenceClassifier | SequenceRegressor:
        """Unfitted; to be diagnosed on the drawn series, under ``plan.cv``, with ``plan.asked`` probes besides."""
        kind = SequenceRegressor if self.plan.regression else SequenceClassifier
        return kind(**self.plan.parameters, random_state=self.seed)

    def fresh(self, n: int, stream: int = 1) -> Drawn:
        """Draw ``n`` other series of the same law, the same ones for the same positive stream."""
        return self.plan.law(_rng(self.kind, self.seed, stream), n)


def case(kind: str, seed: int, kinds: Kinds | None = None) -> Case:
    """The case of a kind and seed, by default of the first set; all of it follows from the two."""
    plan = (KINDS if kinds is None else kinds)[kind](_rng(kind, seed, 0), seed)
    return Case(kind, seed, plan, plan.law(_rng(kind, seed, 0, 0), plan.n))


def _rng(kind: str, *key: int) -> Generator:
    return np.random.default_rng([zlib.crc32(kind.encode()), *key])


# --- laws -----------------------------------------------------------------------------------------------------------


def pulses(
    rng: Generator,
    n: int,
    *,
    bits: int,
    channels: int,
    amplitude: float,
    flips: float = 0.0,
    noise: float | None = None,
    level: float = 0.0,
    hidden: float = 0.0,
    signal: bool = True,
    ragged: bool = False,
) -> Drawn:
    """One target per series: a class, or with ``noise`` a number.

    Parameters
    ----------
    flips
        Probability that a class is the other one.
    noise
        Standard deviation added to targets, which are of variance 1.
    level
        Standard deviation of a constant added to each series' channels, which their differences know nothing of.
    hidden
        Probability that a channel which is not handed out turns the class around.
    signal
        Whether the target has to do with the series.
    ragged
        Whether up to 4 steps more follow.
    """
    lengths = rng.integers(TIME, TIME + 5, n) if ragged else np.full(n, TIME)
    x = rng.normal(size=(n, TIME + 4, channels))
    sizes = rng.choice([-1.0, 1.0], size=(n, bits)) if noise is None else rng.normal(size=(n, bits))
    for bit in range(bits):
        end = TIME - 3 - PULSE * bit
        x[:, end - PULSE : end, bit] += amplitude * sizes[:, bit, None]
    product = sizes.prod(1) if signal else rng.permutation(sizes.prod(1))
    x += level * rng.normal(size=(n, 1, channels))
    turned = rng.random(n) < hidden
    steps = np.arange(TIME + 4) < lengths[:, None]
    feature = None
    if level:
        feature = np.diff(x, axis=1, prepend=x[:, :1])[steps]
    elif hidden:
        feature = np.repeat(np.where(turned, 1.0, -1.0), lengths)[:, None]
    if noise is None:
        y = ((product > 0) ^ turned ^ (rng.random(n) < flips)).astype(int)
    else:
        y = product * np.where(turned, -1, 1) + noise * rng.normal(size=n)
    X = Sequences(x[steps].astype(np.float32), np.cumsum([0, *lengths]))
    return Drawn(X, y, feature=None if feature is None else feature.astype(np.float32))


def copies(
    rng: Generator, n: int, *, size: int, spread: float, channels: int, amplitude: float, regression: bool
) -> Drawn:
    """Groups of ``size`` near-copies of one series of pulses, which have its target; series are shuffled."""
    one = pulses(rng, -(-n // size), bits=1, channels=channels, amplitude=amplitude, noise=1.0 if regression else None,
                 flips=0.2)  # fmt: skip
    group = rng.permutation(np.repeat(np.arange(len(one.X)), size)[:n])
    x = one.X.padded()[group]
    x = x + spread * rng.normal(size=x.shape)
    return Drawn(Sequences.from_arrays(list(x.astype(np.float32))), np.asarray(one.y)[group], group)


def latches(
    rng: Generator,
    n: int,
    *,
    bits: int,
    regression: bool,
    flips: float = 0.0,
    noise: float = 0.0,
    signal: bool = True,
    rate: float = 0.2,
    spread: float = 0.3,
) -> Drawn:
    """A target each step: the product of what the last pulse of each channel was; NaN before all have had one."""
    lengths = rng.integers(16, 29, n)
    arrays, targets = [], []
    for time in lengths:
        sizes, others = rng.choice([-1.0, 1.0], size=(2, time, bits)) * (
            rng.uniform(0.5, 1.5, size=(2, time, bits)) if regression else 1.0
        )
        marked = rng.random((time, bits)) < rate
        marked[rng.integers(4)] = True
        last = np.maximum.accumulate(np.where(marked, np.arange(time)[:, None], -1))
        held = np.take_along_axis(sizes if signal else others, last.clip(0), 0).prod(1)
        targets.append(np.where((last >= 0).all(1), held, np.nan))
        arrays.append(np.where(marked, sizes, 0.0) + spread * rng.normal(size=(time, bits)))
    values = np.concatenate(targets)
    if regression:
        values += noise * rng.normal(size=len(values))
    else:
        turned = rng.random(len(values)) < flips
        values = np.where(np.isnan(values), np.nan, (values > 0) ^ turned)
    X = Sequences.from_arrays([x.astype(np.float32) for x in arrays])
    return Drawn(X, Sequences(values[:, None], X.offsets))


def motifs(rng: Generator, n: int, *, ordered: bool, time: int = 24, amplitude: float = 2.2) -> Drawn:
    """A pulse up and one down, at any places: is the first one up, if ``ordered``; else one pulse: is it up.

    Segments of a series in another order are still a series of the latter class, and not of the former.
    """
    x = rng.normal(size=(n, time, 2))
    y = rng.integers(0, 2, n)
    for series in range(n):
        half = time // 2
        first, second = rng.integers(0, half - PULSE), rng.integers(half, time - PULSE)
        up = amplitude if y[series] else -amplitude
        if ordered:
            x[series, first : first + PULSE, 0] += up
            x[series, second : second + PULSE, 0] -= up
        else:
            place = first if rng.random() < 0.5 else second
            x[series, place : place + PULSE, 0] += up
    return Drawn(Sequences.from_arrays(list(x.astype(np.float32))), y)


# --- kinds ----------------------------------------------------------------------------------------------------------


def _fit(hidden_size: int, lr: float = 0.02, max_epochs: int = 30, **others: Any) -> dict[str, Any]:
    return {"hidden_size": hidden_size, "lr": lr, "max_epochs": max_epochs, **others}


def _healthy(rng: Generator, seed: int) -> Plan:
    law = partial(pulses, bits=1, channels=5, amplitude=rng.uniform(2.6, 3.2), ragged=seed % 2 == 1)
    return Plan(law, int(rng.integers(140, 181)), _fit(int(rng.choice([8, 12, 16]))))


def _under_fit(rng: Generator, seed: int) -> Plan:
    n, amplitude = int(rng.integers(140, 201)), rng.uniform(1.7, 2.2)
    if seed % 2:
        law = partial(pulses, bits=1, channels=5, amplitude=amplitude)
        return Plan(law, n, _fit(12, weight_decay=float(rng.uniform(60, 100))))
    return Plan(partial(pulses, bits=2, channels=3, amplitude=amplitude), n, _fit(1, lr=0.03, max_epochs=60))


def _not_optimized(rng: Generator, seed: int) -> Plan:
    law = partial(pulses, bits=1, channels=5, amplitude=rng.uniform(1.7, 2.2), ragged=seed % 4 > 1)
    n, slow = int(rng.integers(120, 161)), bool(seed % 2)
    parameters = _fit(12, 0.0006, 20) if slow else _fit(12, float(rng.uniform(0.003, 0.005)), 3)
    return Plan(law, n, parameters)


def _over_fit(rng: Generator, seed: int) -> Plan:
    law = partial(pulses, bits=1, channels=8, amplitude=rng.uniform(0.5, 0.65), flips=rng.uniform(0.08, 0.15),
                  ragged=seed % 2 == 1)  # fmt: skip
    return Plan(law, int(rng.integers(80, 121)), _fit(24, lr=0.04))


def _data_limited(rng: Generator, seed: int) -> Plan:
    if seed % 2:
        return Plan(partial(pulses, bits=3, channels=3, amplitude=2.2), 100, _fit(16, lr=0.08, max_epochs=60))
    law = partial(pulses, bits=2, channels=3, amplitude=rng.uniform(1.8, 2.2))
    return Plan(law, int(rng.integers(36, 53)), _fit(12, max_epochs=60))


def _noise_limited(rng: Generator, seed: int) -> Plan:
    law = partial(pulses, bits=1, channels=5, amplitude=2.0, flips=rng.uniform(0.2, 0.28), ragged=seed % 2 == 1)
    return Plan(law, int(rng.integers(220, 301)), _fit(8, weight_decay=2.0))


def _missing_feature(rng: Generator, seed: int) -> Plan:
    n = int(rng.integers(220, 301))
    if seed % 2:
        law = partial(pulses, bits=1, channels=5, amplitude=2.0, hidden=rng.uniform(0.2, 0.28))
        return Plan(law, n, _fit(8, weight_decay=2.0))
    law = partial(pulses, bits=1, channels=2, amplitude=2.0, level=rng.uniform(100, 200))
    return Plan(law, n, _fit(12), asked=("features:diff",))


def _no_signal(rng: Generator, seed: int) -> Plan:
    law = partial(pulses, bits=1, channels=5, amplitude=2.0, signal=False, ragged=seed % 2 == 1)
    return Plan(law, int(rng.integers(80, 161)), _fit(int(rng.choice([8, 16]))), signal=False)


def _leaky(rng: Generator, seed: int) -> Plan:
    size, regression = int(rng.integers(4, 6)), seed % 4 == 3
    law = partial(copies, size=size, spread=rng.uniform(0.1, 0.3), channels=5, amplitude=0.5, regression=regression)
    n = size * int(rng.integers(24, 31))
    return Plan(law, n, _fit(16, max_epochs=40), regression, cv=KFold(5, shuffle=True, random_state=seed))


def _healthy_groups(rng: Generator, seed: int) -> Plan:
    """Groups that folds by series part, and that share nothing."""

    def law(rng: Generator, n: int) -> Drawn:
        drawn = pulses(rng, n, bits=1, channels=5, amplitude=amplitude)
        return Drawn(drawn.X, drawn.y, rng.permutation(np.arange(n) // 4))

    amplitude = rng.uniform(2.6, 3.2)
    return Plan(law, int(rng.integers(140, 181)), _fit(12), cv=KFold(5, shuffle=True, random_state=seed))


def _healthy_regression(rng: Generator, seed: int) -> Plan:
    law = partial(pulses, bits=1, channels=5, amplitude=rng.uniform(2.8, 3.4), noise=0.1, ragged=seed % 2 == 1)
    return Plan(law, int(rng.integers(180, 241)), _fit(12, max_epochs=40, weight_decay=0.3), True)


def _under_fit_regression(rng: Generator, seed: int) -> Plan:
    n, amplitude = int(rng.integers(160, 241)), rng.uniform(2.2, 2.8)
    if seed % 2:
        law = partial(pulses, bits=1, channels=5, amplitude=amplitude, noise=0.1)
        return Plan(law, n, _fit(12, weight_decay=float(rng.uniform(60, 100))), True)
    law = partial(pulses, bits=2, channels=3, amplitude=amplitude, noise=0.1)
    return Plan(law, n, _fit(1, max_epochs=60), True)


def _not_optimized_regression(rng: Generator, seed: int) -> Plan:
    law = partial(pulses, bits=1, channels=5, amplitude=rng.uniform(2.2, 2.8), noise=0.1)
    n, slow = int(rng.integers(140, 201)), bool(seed % 2)
    return Plan(law, n, _fit(12, 0.0005, 20) if slow else _fit(12, 0.005, 3), True)


def _over_fit_regression(rng: Generator, _: int) -> Plan:
    law = partial(pulses, bits=1, channels=8, amplitude=rng.uniform(0.6, 0.8), noise=0.6)
    return Plan(law, int(rng.integers(80, 121)), _fit(24, lr=0.04), True)


def _data_limited_regression(rng: Generator, _: int) -> Plan:
    law = partial(pulses, bits=2, channels=3, amplitude=rng.uniform(2.5, 3.0), noise=0.05)
    return Plan(law, int(rng.integers(50, 81)), _fit(16, max_epochs=80), True)


def _noise_limited_regression(rng: Generator, _: int) -> Plan:
    law = partial(pulses, bits=1, channels=5, amplitude=2.5, noise=rng.uniform(0.8, 1.2))
    return Plan(law, int(rng.integers(220, 301)), _fit(8, lr=0.01, weight_decay=2.0), True)


def _no_signal_regression(rng: Generator, _: int) -> Plan:
    law = partial(pulses, bits=1, channels=5, amplitude=2.0, noise=0.5, signal=False)
    return Plan(law, int(rng.integers(80, 161)), _fit(8), True, signal=False)


def _healthy_steps(rng: Generator, seed: int) -> Plan:
    law = partial(latches, bits=1, regression=bool(seed % 2), spread=0.1)
    return Plan(law, int(rng.integers(60, 91)), _fit(12, lr=0.04, max_epochs=25, batch_size=16), bool(seed % 2))


def _under_fit_steps(rng: Generator, seed: int) -> Plan:
    law = partial(latches, bits=2, regression=bool(seed % 2), spread=0.2, rate=0.3)
    return Plan(law, int(rng.integers(80, 121)), _fit(2, lr=0.03, max_epochs=40, batch_size=16), bool(seed % 2))


def _not_optimized_steps(rng: Generator, seed: int) -> Plan:
    law = partial(latches, bits=1, regression=bool(seed % 2), spread=0.2)
    return Plan(law, int(rng.integers(60, 91)), _fit(12, lr=0.003, max_epochs=5, batch_size=16), bool(seed % 2))


def _noise_limited_steps(rng: Generator, seed: int) -> Plan:
    law = partial(latches, bits=1, regression=bool(seed % 2), spread=0.2, flips=0.25, noise=1.0)
    parameters = _fit(8, max_epochs=20, batch_size=16, weight_decay=2.0)
    return Plan(law, int(rng.integers(80, 121)), parameters, bool(seed % 2))


def _no_signal_steps(rng: Generator, seed: int) -> Plan:
    law = partial(latches, bits=1, regression=bool(seed % 2), signal=False)
    return Plan(law, int(rng.integers(60, 91)), _fit(8, max_epochs=20, batch_size=16), bool(seed % 2), signal=False)


def _augmentation_wins(rng: Generator, _: int) -> Plan:
    law = partial(motifs, ordered=False, time=40)
    return Plan(law, int(rng.integers(40, 57)), _fit(16, max_epochs=60), asked=("augment:permutation:4",))


def _augmentation_breaks(rng: Generator, _: int) -> Plan:
    law = partial(motifs, ordered=True)
    return Plan(law, int(rng.integers(120, 161)), _fit(16, max_epochs=60), asked=("augment:permutation:4",))


#: The first set.
KINDS: Kinds = {
    "healthy": _healthy,
    "healthy groups": _healthy_groups,
    "under-fit": _under_fit,
    "not optimized": _not_optimized,
    "over-fit": _over_fit,
    "data-limited": _data_limited,
    "noise-limited": _noise_limited,
    "missing feature": _missing_feature,
    "no signal": _no_signal,
    "leaky": _leaky,
    "healthy regression": _healthy_regression,
    "under-fit regression": _under_fit_regression,
    "not optimized regression": _not_optimized_regression,
    "over-fit regression": _over_fit_regression,
    "data-limited regression": _data_limited_regression,
    "noise-limited regression": _noise_limited_regression,
    "no signal regression": _no_signal_regression,
    "healthy steps": _healthy_steps,
    "under-fit steps": _under_fit_steps,
    "not optimized steps": _not_optimized_steps,
    "noise-limited steps": _noise_limited_steps,
    "no signal steps": _no_signal_steps,
    "augmentation wins": _augmentation_wins,
    "augmentation breaks": _augmentation_breaks,
}
