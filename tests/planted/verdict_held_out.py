"""The second set of planted cases: other laws, other sizes, other cells, written after the rules, never tuned on.

The laws: which of some frequencies a noisy oscillation of unknown phase has; how strongly a step of an autoregressive
series follows the one before; a filter's output at each step; a count of events.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator
from sklearn.model_selection import KFold
from verdict_cases import Drawn, Kinds, Plan

from throughtime.data import Sequences


def oscillations(
    rng: Generator,
    n: int,
    *,
    classes: int = 3,
    amplitude: float = 1.0,
    flips: float = 0.0,
    channels: int = 2,
    signal: bool = True,
) -> Drawn:
    """A class per series of 18 to 26 steps: the frequency of an oscillation in noise; all channels have its phase."""
    y = rng.integers(0, classes, n)
    lengths = rng.integers(18, 27, n)
    shown = y if signal else rng.integers(0, classes, n)
    arrays = []
    for k, time in zip(shown, lengths, strict=True):
        wave = np.sin(2 * np.pi * (0.06 + 0.1 * k) * np.arange(time) + rng.uniform(0, 2 * np.pi))
        arrays.append((amplitude * wave[:, None] + rng.normal(size=(time, channels))).astype(np.float32))
    told = np.where(rng.random(n) < flips, rng.integers(0, classes, n), y)
    return Drawn(Sequences.from_arrays(arrays), told)


def persistence(
    rng: Generator, n: int, *, time: int = 20, noise: float = 0.0, unseen: float = 0.0, signal: bool = True
) -> Drawn:
    """A number per series: the coefficient of an autoregression, standardized, plus another that is not recorded."""
    coefficient, other = rng.uniform(-0.9, 0.9, n), rng.normal(size=n)
    x = rng.normal(size=(n, time, 1))
    for step in range(1, time):
        x[:, step, 0] += coefficient * x[:, step - 1, 0]
    told = coefficient if signal else rng.permutation(coefficient)
    y = told / (0.9 / np.sqrt(3)) + noise * rng.normal(size=n) + unseen * other
    feature = np.repeat(other, time)[:, None].astype(np.float32) if unseen else None
    return Drawn(Sequences.from_arrays(list(x.astype(np.float32))), y, feature=feature)


def counts(rng: Generator, n: int, *, classify: bool, rate: float = 0.15, flips: float = 0.0) -> Drawn:
    """Of 16 steps, the number of marked steps on which both of two channels are up: as it is, or whether it is odd."""
    up = rng.random((n, 16, 2)) < np.sqrt(rate)
    count = up.all(2).sum(1)
    x = np.where(up, 1.0, -1.0) + 0.2 * rng.normal(size=up.shape)
    X = Sequences.from_arrays(list(x.astype(np.float32)))
    if classify:
        return Drawn(X, ((count % 2 == 1) ^ (rng.random(n) < flips)).astype(int))
    return Drawn(X, count / np.sqrt(16 * rate * (1 - rate)) + flips * rng.normal(size=n))


def filtered(
    rng: Generator, n: int, *, classify: bool, noise: float, signal: bool = True, memory: float = 0.7
) -> Drawn:
    """A target each step: a leaky sum of what has come in, standardized, with noise; or whether that is positive."""
    arrays, targets = [], []
    for time in rng.integers(15, 31, n):
        x, other = rng.normal(size=(2, time, 2))
        level, levels = 0.0, []
        for value in x[:, 0] if signal else other[:, 0]:
            level = memory * level + np.sqrt(1 - memory**2) * value
            levels.append(level)
        y = np.array(levels) + noise * rng.normal(size=time)
        y[: rng.integers(0, 3)] = np.nan  # before the first observation
        arrays.append(x.astype(np.float32))
        targets.append(np.where(np.isnan(y), np.nan, y > 0) if classify else y)
    X = Sequences.from_arrays(arrays)
    return Drawn(X, Sequences(np.concatenate(targets)[:, None], X.offsets))


def sessions(rng: Generator, n: int, *, each: int, overlap: float) -> Drawn:
    """Noisy recordings of one person share the person's own pattern, and the person's class, which no pattern tells."""
    person = rng.permutation(np.repeat(np.arange(-(-n // each)), each)[:n])
    patterns, labels = rng.normal(size=(person.max() + 1, 12, 4)), rng.integers(0, 2, person.max() + 1)
    x = np.sqrt(overlap) * patterns[person] + np.sqrt(1 - overlap) * rng.normal(size=(n, 12, 4))
    return Drawn(Sequences.from_arrays(list(x.astype(np.float32))), labels[person], person)


def _fit(cell: str, hidden_size: int, lr: float, max_epochs: int, **others: Any) -> dict[str, Any]:
    return {"cell": cell, "hidden_size": hidden_size, "lr": lr, "max_epochs": max_epochs, **others}


def _healthy(rng: Generator, seed: int) -> Plan:
    law = partial(oscillations, amplitude=rng.uniform(2.2, 2.8))
    return Plan(law, int(rng.integers(220, 301)), _fit("lstm" if seed % 2 else "gru", 16, 0.02, 30))


def _healthy_steps(rng: Generator, seed: int) -> Plan:
    law = partial(filtered, classify=False, noise=rng.uniform(0.1, 0.2))
    return Plan(law, int(rng.integers(50, 81)), _fit("gru" if seed % 2 else "rnn", 8, 0.02, 30, batch_size=8), True)


def _under_fit(rng: Generator, seed: int) -> Plan:
    n, amplitude = int(rng.integers(220, 301)), rng.uniform(2.2, 2.8)
    if seed % 2:
        decay = float(rng.uniform(80, 150))
        return Plan(partial(oscillations, amplitude=amplitude), n, _fit("gru", 16, 0.02, 30, weight_decay=decay))
    return Plan(partial(oscillations, classes=4, amplitude=amplitude), n, _fit("gru", 1, 0.03, 60))


def _under_fit_regression(rng: Generator, seed: int) -> Plan:
    decay = float(rng.uniform(60, 100))
    parameters = _fit("lstm" if seed % 2 else "gru", 12, 0.02, 40, weight_decay=decay)
    return Plan(partial(persistence, time=30), int(rng.integers(250, 351)), parameters, True)


def _not_optimized(rng: Generator, seed: int) -> Plan:
    law = partial(oscillations, amplitude=rng.uniform(2.2, 2.8))
    n = int(rng.integers(180, 261))
    return Plan(law, n, _fit("lstm", 16, 0.001, 15) if seed % 2 else _fit("gru", 12, 0.008, 4))


def _not_optimized_steps(rng: Generator, seed: int) -> Plan:
    law = partial(filtered, classify=bool(seed % 2), noise=0.1)
    return Plan(law, int(rng.integers(50, 81)), _fit("gru", 10, 0.002, 8), not seed % 2)


def _over_fit(rng: Generator, seed: int) -> Plan:
    law = partial(oscillations, classes=2, amplitude=rng.uniform(0.4, 0.6), channels=6, flips=rng.uniform(0.1, 0.2))
    return Plan(law, int(rng.integers(90, 131)), _fit("lstm" if seed % 2 else "gru", 32, 0.03, 40))


def _over_fit_regression(rng: Generator, _: int) -> Plan:
    law = partial(persistence, time=15, noise=rng.uniform(0.5, 0.9))
    return Plan(law, int(rng.integers(90, 131)), _fit("gru", 32, 0.04, 60), True)


def _data_limited(rng: Generator, _: int) -> Plan:
    law = partial(oscillations, classes=4, amplitude=rng.uniform(1.5, 1.9))
    return Plan(law, int(rng.integers(40, 61)), _fit("gru", 16, 0.02, 120))


def _data_limited_regression(rng: Generator, _: int) -> Plan:
    law = partial(counts, classify=False, flips=0.05)
    return Plan(law, int(rng.integers(24, 41)), _fit("gru", 16, 0.02, 80), True)


def _noise_limited(rng: Generator, _: int) -> Plan:
    law = partial(oscillations, classes=2, amplitude=2.5, flips=rng.uniform(0.4, 0.55))
    return Plan(law, int(rng.integers(260, 361)), _fit("gru", 12, 0.02, 40, weight_decay=2.0))


def _noise_limited_steps(rng: Generator, seed: int) -> Plan:
    law = partial(filtered, classify=bool(seed % 2), noise=rng.uniform(0.8, 1.2))
    return Plan(law, int(rng.integers(70, 101)), _fit("gru", 6, 0.02, 25, weight_decay=1.0), not seed % 2)


def _missing_feature(rng: Generator, _: int) -> Plan:
    law = partial(persistence, time=30, unseen=rng.uniform(0.8, 1.2))
    return Plan(law, int(rng.integers(300, 401)), _fit("gru", 8, 0.01, 40, weight_decay=3.0), True)


def _no_signal(rng: Generator, seed: int) -> Plan:
    law = partial(oscillations, classes=2 + seed % 2, amplitude=2.0, signal=False)
    return Plan(law, int(rng.integers(100, 201)), _fit("lstm" if seed % 2 else "gru", 12, 0.02, 25), signal=False)


def _no_signal_regression(rng: Generator, seed: int) -> Plan:
    if seed % 2:
        law = partial(filtered, classify=False, noise=0.3, signal=False)
        return Plan(law, int(rng.integers(50, 81)), _fit("gru", 8, 0.01, 15), True, signal=False)
    law = partial(persistence, signal=False)
    return Plan(law, int(rng.integers(100, 161)), _fit("gru", 8, 0.01, 25), True, signal=False)


def _leaky(rng: Generator, seed: int) -> Plan:
    each = int(rng.integers(3, 7))
    law = partial(sessions, each=each, overlap=rng.uniform(0.8, 0.95))
    cv = KFold(5, shuffle=True, random_state=seed)
    return Plan(law, each * int(rng.integers(30, 41)), _fit("lstm" if seed % 2 else "gru", 16, 0.02, 40), cv=cv)


KINDS: Kinds = {
    "healthy": _healthy,
    "healthy steps": _healthy_steps,
    "under-fit": _under_fit,
    "under-fit regression": _under_fit_regression,
    "not optimized": _not_optimized,
    "not optimized steps": _not_optimized_steps,
    "over-fit": _over_fit,
    "over-fit regression": _over_fit_regression,
    "data-limited": _data_limited,
    "data-limited regression": _data_limited_regression,
    "noise-limited": _noise_limited,
    "noise-limited steps": _noise_limited_steps,
    "missing feature": _missing_feature,
    "no signal": _no_signal,
    "no signal regression": _no_signal_regression,
    "leaky": _leaky,
}
