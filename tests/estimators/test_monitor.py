"""``monitor="flow"``: each network brings its records, and nothing else about it changes."""

import numpy as np
import pytest
import torch

from throughtime import SequenceClassifier, SequenceRegressor, cross_validate, fit_members
from throughtime.errors import DivergenceError, FlowWarning, ParameterError
from throughtime.training import FlowMonitor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 9, 2)).astype("float32")
Y = np.arange(24) % 2


def net(**settings: object) -> SequenceClassifier:
    return SequenceClassifier(**{"hidden_size": 4, "max_epochs": 6, "random_state": 0, "init": "orthogonal"} | settings)


def same_weights(one: SequenceClassifier, other: SequenceClassifier) -> bool:
    return all(map(torch.equal, one.module_.state_dict().values(), other.module_.state_dict().values()))


@pytest.mark.parametrize("monitor", ["flow", "flow-every-step"])
@pytest.mark.filterwarnings("ignore::throughtime.errors.FlowWarning")
def test_a_fit_with_a_monitor_is_the_fit_without_and_has_records(monitor):
    plain, watched = net().fit(X, Y), net(monitor=monitor).fit(X, Y)
    assert same_weights(plain, watched)
    assert plain.history_ == watched.history_
    assert not hasattr(plain, "flow_")
    kinds = [record.kind for record in watched.flow_]
    assert kinds.count("probe") == 6
    assert kinds.count("step") == (6 if monitor == "flow-every-step" else 0)
    assert kinds[-1] == "kept"
    assert not hasattr(watched.set_params(monitor=None).fit(X, Y), "flow_")


@pytest.mark.filterwarnings("ignore::throughtime.errors.FlowWarning")
def test_each_members_records_come_back_with_its_result():
    nets = [net(random_state=0), net(random_state=1, monitor="flow"), net(random_state=2, monitor="flow-every-step"),
            net(random_state=3, monitor="flow", hidden_size=3)]  # fmt: skip
    fitted = fit_members(nets, X, Y)
    assert not hasattr(fitted[0], "flow_")
    for one, estimator in zip(fitted[1:], nets[1:], strict=True):
        alone = estimator.fit(X, Y).flow_
        assert [(record.kind, record.step) for record in one.flow_] == [(r.kind, r.step) for r in alone]
        assert all(np.array_equal(a.log_norms, b.log_norms) for a, b in zip(one.flow_, alone, strict=True))
    estimators = cross_validate(net(monitor="flow"), X, Y, cv=3, return_estimator=True)["estimator"]
    assert [len(one.flow_) for one in estimators] == [7] * 3


def test_a_default_lstm_is_told_to_forget_before_the_series_begin():
    long = RNG.normal(size=(12, 60, 1)).astype("float32")
    with pytest.warns(FlowWarning, match="a gradient vanishes: member 1, epoch 1: 1 % of it is left .* in layer 0"):
        net(cell="lstm", init="torch", monitor="flow", max_epochs=5).fit(long, Y[:12])


def test_a_network_of_the_users_own_takes_no_monitor():
    with pytest.raises(ParameterError, match="module brings a network of its own and needs monitor at its default"):
        net(init="torch", hidden_size=64, monitor="flow", module=lambda *_: torch.nn.Identity()).fit(X, Y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"monitor": "grads"}, "monitor needs one of flow, flow-every-step or None, got 'grads'"),
        ({"monitor": FlowMonitor()}, "monitor needs one of flow, flow-every-step or None, got <"),
        ({"clip_value": 0.0}, "clip_value needs a finite number above 0 or None, got 0.0"),
        ({"clip_value": "1"}, "clip_value needs a finite number above 0 or None, got '1'"),
    ],
)
def test_what_is_no_monitor_or_value_is_refused(settings, message):
    with pytest.raises(ParameterError, match=message):
        net(**settings).fit(X, Y)


def test_a_tanh_net_that_diverges_trains_with_its_gradient_clipped_by_value():
    rng = np.random.default_rng(0)
    series = rng.normal(size=(64, 40, 1)).astype("float32")
    sums = series[:, -3:, 0].sum(1)
    settings = {"cell": "rnn", "init": "he_normal", "optimizer": "sgd", "lr": 0.3, "lr_schedule": "constant"}

    def trained(clip_value: float | None) -> list[SequenceRegressor | Exception]:
        nets = [
            SequenceRegressor(**settings, clip_norm=None, clip_value=clip_value, max_epochs=60, random_state=seed)
            for seed in range(5)
        ]
        return fit_members(nets, series, sums)

    assert sum(isinstance(one, DivergenceError) for one in trained(None)) >= 4
    losses = [one.history_[-1].train_loss for one in trained(0.01) if isinstance(one, SequenceRegressor)]
    assert len(losses) == 5
    assert max(losses) < 0.1  # of targets of variance 1
