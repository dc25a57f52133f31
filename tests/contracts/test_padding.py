"""Rows that are padding in every member are not computed, and no bit of a result shows it."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from throughtime import SequenceClassifier, SequenceRegressor, fit_members
from throughtime.data import Sequences
from throughtime.estimators import SequenceEstimator, members
from throughtime.kernels import native_available
from throughtime.kernels.native import NativeBackend
from throughtime.training import evaluation, passes

HUGE = 1_000_000_000
N = 21
RNG = np.random.default_rng(0)
X = Sequences.from_arrays([RNG.normal(size=(length, 2)).astype("f4") for length in RNG.integers(2, 14, N)])
Y = np.array([x.mean() for x in X])
STEPS = [np.cumsum(x[:, 0]) for x in X]
SMALL: dict[str, Any] = {"hidden_size": 5, "max_epochs": 3, "lr": 0.03, "random_state": 0}

needs_native = pytest.mark.skipif(not native_available(), reason="installed without the C++ kernels")


class Own(nn.Module):
    """A network of one's own, with dropout."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.layer, self.dropout = nn.GRU(channels, 6, batch_first=True), nn.Dropout(0.2)
        self.readout = nn.Linear(6, outputs)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        y, _ = self.layer(x, lengths=lengths)
        return self.readout(self.dropout(y).sum(1))


def assert_same(one: SequenceEstimator, other: SequenceEstimator) -> None:
    assert one.history_ == other.history_
    for name, value in one.module_.state_dict().items():
        assert torch.equal(value, other.module_.state_dict()[name]), name


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": "lstm", "bidirectional": True, "pooling": "mean"},
        {"num_layers": 2, "pooling": "max", "optimizer": "sgd"},
        {"dropout": 0.3, "recurrent_dropout": 0.2, "variational_dropout": 0.1},  # one mask for all steps
        {"early_stopping": True},
        {"module": Own},
    ],
    ids=str,
)
def test_a_batch_larger_than_the_data_is_a_batch_of_the_data_to_the_bit(options: dict[str, Any]) -> None:
    for cls, y in ((SequenceRegressor, Y), (SequenceClassifier, Y > 0)):
        exact, huge = (cls(**SMALL | {"batch_size": size} | options) for size in (N, HUGE))
        if "module" in options:
            exact, huge = (cls(module=Own, max_epochs=3, random_state=0, batch_size=size) for size in (N, HUGE))
        assert_same(huge.fit(X, y), exact.fit(X, y))


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}], ids=str)
def test_the_same_of_a_target_each_step(options: dict[str, Any]) -> None:
    exact, huge = (SequenceRegressor(**SMALL | options, batch_size=size).fit(X, STEPS) for size in (N, HUGE))
    assert_same(huge, exact)
    np.testing.assert_array_equal(huge.predict(X).values, exact.predict(X).values)


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("options", [{}, {"dropout": 0.2, "zoneout": 0.1}, {"num_layers": 2, "dropout": 0.2}], ids=str)
@pytest.mark.parametrize("of_steps", [False, True])
def test_members_whose_data_are_smaller_than_a_batch_train_the_same_alone_or_in_company(
    options: dict[str, Any], of_steps: bool
) -> None:
    y: Any = STEPS if of_steps else Y
    rows = [np.arange(N), np.arange(3, 14), np.array([5]), np.arange(0, N, 2)]
    for size in (8, HUGE):
        models = [SequenceRegressor(**SMALL | {"random_state": m} | options, batch_size=size) for m in range(4)]
        for model, own, together in zip(models, rows, fit_members(models, X, y, train_indices=rows), strict=True):
            part: Any = [y[row] for row in own] if of_steps else y[own]
            assert_same(together, model.fit(X[own], part))


class Rows:
    """How many rows each batch had that was loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.training: list[int] = []
        self.evaluation: list[int] = []
        for module, seen in ((passes, self.training), (evaluation, self.evaluation)):

            def load(*arguments: Any, taken: Any = module.load_batches, seen: list[int] = seen) -> Any:
                for batch in taken(*arguments):
                    seen.append(batch.x.shape[2])
                    yield batch

            monkeypatch.setattr(module, "load_batches", load)


@needs_native
@pytest.mark.parametrize("options", [{"num_layers": 2}, {"pooling": "mean"}, {"zoneout": 0.1}], ids=str)
def test_a_step_has_as_many_rows_as_the_largest_members_series(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows(monkeypatch)
    models = [SequenceRegressor(**SMALL | options, batch_size=16)] * 2
    one, _ = fit_members(models, X, Y, train_indices=[np.arange(18), np.arange(5)])
    assert rows.training == [16, 2] * 3
    one.predict(X[:3])
    assert rows.evaluation == [3]


@needs_native
def test_one_long_series_is_trained_and_predicted_as_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows(monkeypatch)
    long = Sequences.from_arrays([RNG.normal(size=(500, 1)).astype("f4")])
    fitted = SequenceRegressor(**SMALL).fit(long, [np.cumsum(long[0])])
    fitted.predict(long)
    assert set(rows.training) == set(rows.evaluation) == {1}


@needs_native
def test_whole_steps_are_handed_no_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []
    taken = NativeBackend.train_steps

    def noted(backend: NativeBackend, *arguments: Any) -> None:
        widths.append(arguments[5].shape[1])
        taken(backend, *arguments)

    monkeypatch.setattr(NativeBackend, "train_steps", noted)
    SequenceRegressor(**SMALL, batch_size=HUGE).fit(X, Y)
    assert set(widths) == {N}


def test_torchs_products_get_no_more_rows_than_the_member_has_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHTIME_ISA", "reference")
    rows = Rows(monkeypatch)
    SequenceRegressor(**SMALL, batch_size=HUGE).fit(X, Y)
    assert set(rows.training) == {N}


def test_how_many_members_train_at_once_is_reckoned_without_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    taken = members.bytes_a_member

    def noted(net: Any, rows: int, *others: Any, **options: Any) -> int:
        counted.append(rows)
        return taken(net, rows, *others, **options)

    monkeypatch.setattr(members, "bytes_a_member", noted)
    SequenceRegressor(**SMALL, batch_size=HUGE).fit(X, Y).predict(X[:2])
    assert counted == [N, 2]
