"""``input_noise`` and ``label_smoothing`` as parameters of the estimators."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor
from throughtime.errors import ParameterError
from throughtime.estimators import fit_members

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 6, 2)).astype(np.float32)
Y = np.arange(30) % 3
SETTINGS = [{}, {"input_noise": 0.5}, {"label_smoothing": 0.3}, {"input_noise": 0.2, "label_smoothing": 0.1}]


class MeanNetwork(torch.nn.Module):
    """A linear layer on the mean of a series."""

    def __init__(self, n_channels: int, n_outputs: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(n_channels, n_outputs)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.layer(x.sum(1) / lengths[:, None])


def net(**own: object) -> SequenceClassifier:
    return SequenceClassifier(hidden_size=4, max_epochs=3, random_state=0, **own)


def test_each_changes_training_and_members_that_differ_in_them_are_what_they_are_alone():
    members = fit_members([net(**own) for own in SETTINGS], X, Y)
    scores = [member.predict_proba(X) for member in members]
    for own, score in zip(SETTINGS, scores, strict=True):
        assert_array_equal(score, net(**own).fit(X, Y).predict_proba(X))
    for place, score in enumerate(scores):
        assert not any(np.array_equal(score, other) for other in scores[:place])


def test_a_search_over_both_trains_in_lockstep():
    grid = {"input_noise": [0.0, 0.3], "label_smoothing": [0.0, 0.2]}
    found = LockstepSearchCV(net(), grid, cv=3).fit(X, Y)
    assert len(found.cv_results_["params"]) == 4
    best = net(**found.best_params_).fit(X, Y)
    assert_array_equal(found.predict_proba(X), best.predict_proba(X))


def test_missing_values_stay_missing_under_noise():
    gaps = X.copy()
    gaps[:, 2:4, 0] = np.nan
    noisy = net(input_noise=0.3).fit(gaps, Y)
    assert noisy.masked_
    assert not np.array_equal(noisy.predict_proba(gaps), net().fit(gaps, Y).predict_proba(gaps))


def test_a_module_of_ones_own_trains_with_both():
    plain = net(module=MeanNetwork).set_params(hidden_size=64).fit(X, Y).predict_proba(X)
    for own in SETTINGS[1:]:
        changed = net(module=MeanNetwork, **own).set_params(hidden_size=64).fit(X, Y).predict_proba(X)
        assert not np.allclose(changed, plain)


def test_smoothed_labels_end_in_less_certain_probabilities():
    easy = np.repeat(Y[:, None, None] * 3.0, 6, 1).astype(np.float32)
    certain, smoothed = (
        SequenceClassifier(hidden_size=8, max_epochs=150, random_state=0, label_smoothing=own).fit(easy, Y)
        for own in (0.0, 0.3)
    )
    assert certain.predict_proba(easy).max(1).min() > 0.95
    # the smoothed loss is least at 1 - e + e/K
    assert smoothed.predict_proba(easy).max(1) == pytest.approx(np.full(30, 1 - 0.3 + 0.1), abs=0.05)


@pytest.mark.parametrize(("own", "rule"), [
    ({"label_smoothing": 1.0}, "label_smoothing needs a finite number of at least 0 and below 1, got 1.0"),
    ({"label_smoothing": -0.1}, "label_smoothing needs a finite number of at least 0 and below 1, got -0.1"),
    ({"input_noise": -1.0}, "input_noise needs a finite number of at least 0 and of at most 1,000, got -1.0"),
    ({"input_noise": "much"}, "input_noise needs a finite number"),
])  # fmt: skip
def test_what_is_no_fraction_or_deviation_is_refused(own, rule):
    with pytest.raises(ParameterError, match=rule):
        net(**own).fit(X, Y)


def test_values_have_noise_but_no_labels_to_smooth():
    targets = RNG.normal(size=30)
    plain, noisy = (
        SequenceRegressor(hidden_size=4, max_epochs=2, random_state=0, input_noise=own).fit(X, targets)
        for own in (0.0, 0.5)
    )
    assert not np.array_equal(plain.predict(X), noisy.predict(X))
    with pytest.raises(TypeError, match="label_smoothing"):
        SequenceRegressor(label_smoothing=0.1)
