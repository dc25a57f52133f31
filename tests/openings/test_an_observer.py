"""An observer from a file outside the package is handed what it needs, and what it watches stays as it is."""

import numpy as np
import torch
from largest_weight import LargestWeight
from sklearn.base import clone
from widest_gradient import WidestGradient

from throughtime import SequenceRegressor, fit_members

X = np.random.default_rng(0).normal(size=(20, 6, 2))
Y = X.mean((1, 2))
NETS = [SequenceRegressor(hidden_size=3, max_epochs=2, batch_size=10, random_state=seed) for seed in range(2)]


def test_it_sees_the_gradient_fade_from_the_last_step_and_changes_no_bit() -> None:
    observer = WidestGradient()
    watched = fit_members(NETS, X, Y, observers=[observer])
    # the loss is read from the last state; a small GRU's gradient only fades on its way back
    assert observer.places == [[5, 5]] * 4
    for one, other in zip(watched, fit_members(NETS, X, Y), strict=True):
        assert all(map(torch.equal, one.module_.state_dict().values(), other.module_.state_dict().values()))


def test_it_looks_at_members_between_steps_and_changes_no_bit() -> None:
    observer = LargestWeight()
    nets = [net.set_params(max_epochs=6) for net in map(clone, NETS)]
    watched = fit_members(nets, X, Y, observers=[observer])
    for place, (one, other) in enumerate(zip(watched, fit_members(nets, X, Y), strict=True)):
        assert all(map(torch.equal, one.module_.state_dict().values(), other.module_.state_dict().values()))
        # 12 steps of two an epoch, and the end
        assert len(observer.largest[place]) == 7
        weights = [weight for name, weight in one.module_.named_parameters()]
        assert observer.largest[place][-1] == max(float(weight.detach().abs().max()) for weight in weights)
