"""A perturbation from a file outside the package disturbs the members that have it, alone or with others the same."""

import numpy as np
import torch
from jitter import Jitter

from throughtime import SequenceRegressor, fit_members

X = np.random.default_rng(0).normal(size=(24, 6, 2))
Y = X.mean((1, 2))
NETS = [SequenceRegressor(hidden_size=3, max_epochs=3, random_state=seed) for seed in range(3)]


def test_it_acts_on_its_member_alone() -> None:
    plain = fit_members(NETS, X, Y)
    jittered = fit_members(NETS, X, Y, perturbations=[(), (Jitter(0.5),), ()])
    changed = [
        not all(map(torch.equal, one.module_.state_dict().values(), other.module_.state_dict().values()))
        for one, other in zip(plain, jittered, strict=True)
    ]
    assert changed == [False, True, False]


def test_no_noise_is_no_change_and_more_of_it_more() -> None:
    weights = [
        fit_members(NETS[:1], X, Y, perturbations=[(Jitter(deviation),)])[0].module_.readout.weight
        for deviation in (0.0, 1e-3, 1e-1)
    ]
    plain = NETS[0].fit(X, Y).module_.readout.weight
    distances = [float((weight - plain).detach().norm()) for weight in weights]
    assert distances[0] == 0 < distances[1] < distances[2]
