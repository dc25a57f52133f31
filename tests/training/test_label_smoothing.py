"""Label smoothing: what a member is trained on, and nothing that is recorded or chosen by."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_lockstep import NET, RECIPE, Data, N, PlainLoop, curve_of, same_bits
from torch.nn import functional

from throughtime.kernels.native import NativeBackend
from throughtime.nn import Architecture
from throughtime.training import train


class SmoothedLoop(PlainLoop):
    """A plain loop of torch that descends torch's smoothed loss and records the loss of the data."""

    def __init__(self, data: Data, net: Architecture, recipe: object, member: object, smoothing: float) -> None:
        super().__init__(data, net, recipe, member)
        self.smoothing = smoothing

    def objective(self, positions):
        rows = self.member.train.rows[positions]
        classes = torch.from_numpy(self.data.classes[rows])
        loss = self.losses(rows).mean()
        logits = self.outputs(rows)
        return loss, functional.cross_entropy(logits, classes, label_smoothing=self.smoothing)


@pytest.mark.usefixtures("either_path")
def test_each_member_descends_torchs_smoothed_loss_and_records_the_loss_of_the_data():
    data = Data()
    members = [data.member(seed=seed, label_smoothing=own) for seed, own in enumerate((0.3, 0.0, 0.1))]
    for member, found in zip(members, train(NET, RECIPE, data.inputs, members), strict=True):
        plain = SmoothedLoop(data, NET, RECIPE, member, member.label_smoothing)
        # float64; thirty steps
        assert curve_of(found) == pytest.approx(plain.run(), rel=1e-9)
        for name, weight in plain.named.items():
            torch.testing.assert_close(found.weights[name], weight.detach(), rtol=1e-7, atol=1e-9)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_smoothed_members_have_the_same_bits_alone_and_among_others(dtype, monkeypatch):
    data, recipe = Data(dtype), replace(RECIPE, dtype=dtype)
    sample = data.sample(np.arange(9))
    members = [
        data.member(np.arange(n), seed=n, label_smoothing=own, validation=sample, patience=3, max_epochs=4)
        for n, own in ((41, 0.3), (41, 0.0), (17, 0.0), (30, 0.1))
    ]
    together = train(NET, recipe, data.inputs, members)
    for one, member in zip(together, members, strict=True):
        assert same_bits(one, train(NET, recipe, data.inputs, [member])[0])
    monkeypatch.setattr(NativeBackend, "can_fuse", lambda *_: False)
    for one, other in zip(together, train(NET, recipe, data.inputs, members), strict=True):
        assert same_bits(one, other)


def test_losses_that_stop_and_that_are_watched_are_of_the_data():
    data, sample = Data(), Data().sample(np.arange(N))
    # of weights that do not move, so that all three losses are those of one network
    member = data.member(lr=1e-300, max_epochs=1, validation=sample, eval=sample, patience=1, label_smoothing=0.5)
    (record,) = train(NET, RECIPE, data.inputs, [member])[0].history
    wanted = PlainLoop(data, NET, RECIPE, member).losses(np.arange(N)).mean().item()
    for loss in (record.train_loss, record.validation_loss, record.eval_loss):
        assert loss == pytest.approx(wanted, rel=1e-12)


@pytest.mark.usefixtures("either_path")
def test_classes_of_each_step_are_smoothed_as_well():
    data = Data()
    lengths = data.inputs.lengths
    steps = replace(data.sample(np.arange(N)), targets=np.repeat(data.classes, lengths))
    net, recipe = replace(NET, pooling="steps"), replace(RECIPE, optimizer="sgd", batch_size=N)
    # one full batch and no momentum: the step is the objective's gradient
    member = data.member(train=steps, momentum=0.0, max_epochs=1, lr=1.0, label_smoothing=0.2)
    (found,) = train(net, recipe, data.inputs, [member])
    plain = PlainLoop(data, replace(net, pooling="last"), recipe, member)
    outputs = [plain.readout(plain.layers(data.series(row))[0]) for row in range(N)]
    classes = torch.from_numpy(steps.targets)
    loss = functional.cross_entropy(torch.cat(outputs), classes, label_smoothing=0.2)
    for (name, start), grad in zip(
        plain.named.items(), torch.autograd.grad(loss, list(plain.named.values())), strict=True
    ):
        torch.testing.assert_close(found.weights[name], (start - grad).detach(), rtol=1e-12, atol=1e-14)
