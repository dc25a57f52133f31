"""``module=``: a network of the user's own, trained in lockstep, is what torch alone makes of it."""

import numpy as np
import pytest
import torch
from pairs import assert_same
from sklearn.base import clone
from torch import nn

from throughtime import SequenceClassifier, SequenceRegressor, fit_members
from throughtime.data import Sequences
from throughtime.errors import ParameterError
from throughtime.nn import GRU, FactoryNetwork, forward
from throughtime.training import Purpose, derived_seed

#: float64 through 15 steps of Adam, which divides by the root of squares as small as 1e-8: half the digits
TRAINED = {"rtol": 1e-6, "atol": 1e-8}


class Net(nn.Module):
    """torch's own recurrent layer, ragged series by a masked mean."""

    dropout = 0.0

    def __init__(self, n_channels: int, n_outputs: int) -> None:
        super().__init__()
        self.encode = nn.LSTM(n_channels, 6, batch_first=True)
        self.norm, self.drop = nn.LayerNorm(6), nn.Dropout(self.dropout)
        self.out = nn.Linear(6, n_outputs)
        self.spare = nn.Linear(2, 2)  # that forward does not use
        self.fixed = nn.Parameter(torch.ones(6), requires_grad=False)

    def forward(self, x, lengths):
        inside = (torch.arange(x.shape[1]) < lengths[:, None]).unsqueeze(-1)
        y, _ = self.encode(x)
        return self.out(self.drop(self.norm((y * inside).sum(1) / lengths[:, None])) * self.fixed)


class Silenced(Net):
    dropout = 0.4


class ByStep(nn.Module):
    def __init__(self, n_channels: int, n_outputs: int) -> None:
        super().__init__()
        self.encode, self.out = GRU(n_channels, 6, batch_first=True), nn.Linear(6, n_outputs)

    def forward(self, x, lengths):
        return self.out(self.encode(x, lengths=lengths)[0])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 3)) for n in rng.integers(3, 9, 30)]
    return X, np.array([series[:, 0].mean() + 0.1 * series[-1, 1] for series in X])


PLAIN = {"normalize": "none", "lr_schedule": "constant", "clip_norm": None, "batch_size": 32, "max_epochs": 15}


def test_a_member_is_what_torch_makes_of_the_same_start(data):
    X, y = data
    fitted = SequenceRegressor(module=Net, random_state=3, weight_decay=0.5, **PLAIN).fit(X, y)

    torch.manual_seed(derived_seed(3, Purpose.INITIAL_WEIGHTS))
    alone = Net(3, 1).double()
    lengths = torch.tensor([len(series) for series in X])
    x = nn.utils.rnn.pad_sequence([torch.tensor(series) for series in X], batch_first=True)
    targets = torch.tensor((y - y.mean()) / y.std())
    decayed = [w for name, w in alone.named_parameters() if not name.rpartition(".")[2].startswith("bias")]
    biases = [w for name, w in alone.named_parameters() if name.rpartition(".")[2].startswith("bias")]
    # the objective's lambda / 2n |w|^2 is torch's weight_decay of lambda / n
    optimizer = torch.optim.Adam([{"params": decayed, "weight_decay": 0.5 / 30}, {"params": biases}], lr=0.01)
    for _ in range(15):
        optimizer.zero_grad()
        (alone(x, lengths)[:, 0] - targets).square().mean().backward()
        optimizer.step()

    assert type(fitted.module_.module.encode) is nn.LSTM
    found = fitted.module_.module.state_dict()
    for name, weight in alone.state_dict().items():
        if not name.startswith("spare"):  # without a gradient torch skips it; here it is decayed as every weight
            torch.testing.assert_close(found[name], weight, **TRAINED)
    expected = alone(x, lengths).detach().numpy()[:, 0] * y.std() + y.mean()
    np.testing.assert_allclose(fitted.predict(X), expected, rtol=1e-5, atol=1e-6)
    outputs = fitted.module_(x, lengths).detach().numpy()[:, 0]
    np.testing.assert_allclose(outputs * y.std() + y.mean(), fitted.predict(X), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("module", [Net, Silenced])
def test_a_member_trains_to_the_same_in_company(data, module):
    X, y = data
    options = {**PLAIN, "batch_size": 8, "max_epochs": 4}
    rows = [np.arange(20), np.arange(5, 30), np.arange(7)]
    members = [SequenceRegressor(module=module, random_state=m, lr=0.01 * (m + 1), **options) for m in range(3)]
    together = fit_members(members, X, y, train_indices=rows)
    for member, own, fitted in zip(members, rows, together, strict=True):
        alone = clone(member).fit([X[row] for row in own], y[own])
        assert_same(fitted.module_.state_dict().values(), alone.module_.state_dict().values(), **TRAINED)
        again = clone(member).set_params(module=Net).fit([X[row] for row in own], y[own])
        assert (module is Net) == np.allclose(again.predict(X), alone.predict(X))  # dropout does act


def test_every_step_can_have_a_target_and_classes_their_outputs(data):
    X, _ = data
    running = [np.cumsum(series[:, 0]) for series in X]
    fitted = SequenceRegressor(module=ByStep, random_state=0, batch_size=4, max_epochs=20).fit(X, running)
    assert isinstance(fitted.predict(X), Sequences)
    assert fitted.score(X, running) > 0.6
    outputs = fitted.module_(torch.tensor(X[4])[None]).detach().numpy()[0, :, 0]
    expected = outputs * fitted.target_scale_ + fitted.target_mean_
    np.testing.assert_allclose(fitted.predict(X)[4][:, 0], expected, rtol=1e-9, atol=1e-9)
    classes = np.array(["low", "mid", "high"])[np.digitize([series[:, 0].mean() for series in X], [-0.3, 0.3])]
    classifier = SequenceClassifier(module=Net, random_state=0, batch_size=4, max_epochs=20).fit(X, classes)
    assert classifier.predict_proba(X).shape == (30, 3)
    assert classifier.score(X, classes) > 0.7


def test_a_saved_network_needs_its_factory_again(data, tmp_path):
    X, y = data
    fitted = SequenceRegressor(module=Net, random_state=0, max_epochs=2).fit(X, y)
    fitted.save(tmp_path / "model")
    again = SequenceRegressor.load(tmp_path / "model", module=Net)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.get_params() == fitted.get_params()
    with pytest.raises(ParameterError, match=r"not its code, and needs the factory again: load\(directory, module="):
        SequenceRegressor.load(tmp_path / "model")
    with pytest.raises(OSError, match="needs to hold a saved estimator"):
        SequenceRegressor.load(tmp_path / "model", module=ByStep)
    SequenceRegressor(hidden_size=4, random_state=0, max_epochs=1).fit(X, y).save(tmp_path / "built-in")
    with pytest.raises(ParameterError, match="holds a built-in network and needs no module"):
        SequenceRegressor.load(tmp_path / "built-in", module=Net)


class Drifting(Net):
    """Its buffer differs from member to member."""

    def __init__(self, n_channels: int, n_outputs: int) -> None:
        super().__init__(n_channels, n_outputs)
        self.register_buffer("noise", torch.rand(6))


class Counting(Net):
    """Running statistics."""

    def __init__(self, n_channels: int, n_outputs: int) -> None:
        super().__init__(n_channels, n_outputs)
        self.norm = nn.BatchNorm1d(6)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"module": nn.Linear(3, 1)}, r"module needs a factory \(n_channels, n_outputs\) -> torch\.nn\.Module or None"),
        ({"module": "lstm"}, "module needs a factory"),
        ({"module": Net, "hidden_size": 8}, "module brings a network of its own and needs hidden_size at its default"),
        ({"module": Net, "dropout": 0.1}, "needs dropout at its default, got 0.1"),
        ({"module": Net, "zoneout": 0.1}, "needs zoneout at its default, got 0.1"),
        ({"module": lambda *_: 5}, r"module needs a factory that gives a torch\.nn\.Module, got int"),
        (
            {"module": lambda n, k: Net(n, k + 1)},
            r"needs to give \(batch, output\), here \(30, 1\), got \(30, 2",
        ),
        ({"module": ByStep}, r"module needs to give \(batch, output\), here \(30, 1\), got \(30, 8, 1\)"),
        ({"module": Counting}, "running statistics, got BatchNorm1d at 'norm'"),
        ({"module": Drifting}, "what is not trained to be the same in every member, got 'noise'"),
    ],
)
def test_what_cannot_train_is_refused_in_words(data, options, told):
    X, y = data
    with pytest.raises(ParameterError, match=told):
        SequenceRegressor(**options, random_state=0, max_epochs=1).fit(X, y)


def test_segments_are_refused_for_a_module():
    net = FactoryNetwork(Net, 3, 1, "last")
    x, lengths = torch.randn(1, 4, 2, 3), torch.tensor([[4, 2]])
    with pytest.raises(ParameterError, match="segment=2 needs the built-in network, got a module"):
        forward(net, {}, x, lengths, segment=2)
