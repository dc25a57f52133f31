"""Long lags are learned from weights whose gradient lives that long, and from torch's they are not.

One network of a shorter task by default; ``THROUGHTIME_SOAK=1`` takes ten of each, as they are claimed.
"""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from learning import learn, solved
from sklearn.base import clone
from tasks import SEEDS, SEPARATING, SHORT, Setting, copy

from throughtime import SequenceClassifier, fit_members
from throughtime.nn import Init, Scheme, initial_weights
from throughtime.parameters import CellName

SOAK = os.environ.get("THROUGHTIME_SOAK", "") != ""
SETTINGS, NETWORKS, TIME = (SEPARATING, SEEDS, 101) if SOAK else ((SHORT,), SEEDS[:1], 61)


def who_learns(setting: Setting, *inits: Init) -> list[int]:
    """How many networks of each initialization learn, all of them in lockstep."""
    starts = [initial_weights(setting.net(), init, seed, torch.float32) for init in inits for seed in NETWORKS]
    weights = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}
    losses = learn(setting, weights, [*NETWORKS] * len(inits))
    counts: list[int] = solved(setting, losses).reshape(len(inits), -1).sum(1).tolist()
    return counts


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: f"{setting.task}-{setting.cell}")
def test_a_long_lag_is_learned_from_chrono_and_not_from_torchs_initialization(setting: Setting) -> None:
    from_chrono, from_torch = who_learns(setting, Scheme(biases="chrono", lag=setting.time), "torch")
    assert from_chrono >= 0.9 * len(NETWORKS)
    assert from_torch <= 0.1 * len(NETWORKS)


def test_what_is_learned_depends_on_no_neighbor() -> None:
    setting = replace(SEPARATING[0], time=11, steps=50)
    start = {
        name: torch.stack([w] * 3) for name, w in initial_weights(setting.net(), "torch", 0, torch.float32).items()
    }
    together = learn(setting, start, [0, 1, 2])
    alone = learn(setting, {name: w[:1] for name, w in start.items()}, [2])
    assert np.array_equal(together[:, 2:], alone)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_estimators_learn_a_long_lag_from_chrono_alone(cell: CellName) -> None:
    x, y = copy(np.random.default_rng(0), 2048, TIME)
    unseen, targets = copy(np.random.default_rng(1), 1000, TIME)
    shape = SequenceClassifier(cell=cell, hidden_size=16, lr=3e-3, max_epochs=16, clip_norm=1.0, batch_size=32)
    nets = [clone(shape).set_params(init=init, random_state=seed) for init in ("chrono", "torch") for seed in NETWORKS]
    accuracies = np.array([fitted.score(unseen, targets) for fitted in fit_members(nets, x, y)])
    from_chrono, from_torch = accuracies.reshape(2, -1)
    assert (from_chrono > 0.99).all()
    # chance is 1/4, with a standard deviation of .014 on 1,000 series
    assert (np.abs(from_torch - 0.25) < 0.06).all()
