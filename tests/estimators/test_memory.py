"""How many members train at once."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime import SequenceClassifier, fit_members
from throughtime.data import as_sequences
from throughtime.errors import ParameterError
from throughtime.estimators import Fit, members
from throughtime.estimators.memory import bytes_a_member, masks_of, runs
from throughtime.estimators.pool import Pool, ReadingKey
from throughtime.estimators.preparation import prepare
from throughtime.estimators.problem import Problem
from throughtime.nn import Architecture


@given(n=st.integers(1, 200), each=st.integers(1, 50), budget=st.integers(1, 2000))
def test_runs_are_of_even_size_and_within_the_budget(n: int, each: int, budget: int) -> None:
    found = list(runs(list(range(n)), each, budget))
    assert [member for run in found for member in run] == list(range(n))
    sizes = [len(run) for run in found]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) * each <= budget or max(sizes) == 1
    most = max(1, budget // each)
    assert len(sizes) == -(-n // most)  # no more runs than must be


def test_without_a_budget_all_are_one_run() -> None:
    assert list(runs([1, 2, 3], 10**12, None)) == [[1, 2, 3]]


@pytest.mark.parametrize("budget", [0, -1, float("nan")])
def test_a_budget_of_nothing_is_refused(budget: float) -> None:
    with pytest.raises(ParameterError, match=r"^memory_budget needs a number of bytes above 0, got"):
        list(runs([1], 1, budget))


def test_the_estimate_grows_with_all_that_takes_memory() -> None:
    small: dict[str, Any] = {
        "cell": "gru", "n_inputs": 2, "hidden_size": 8, "num_layers": 1, "bidirectional": False, "pooling": "last",
        "n_outputs": 2,
    }  # fmt: skip

    def size(rows: int = 8, time: int = 10, itemsize: int = 4, training: bool = True, **changed: Any) -> int:
        return bytes_a_member(Architecture(**small | changed), rows, time, itemsize, training=training)

    assert size() > size(training=False)
    assert size(itemsize=8) == 2 * size()
    for larger in (
        size(rows=9), size(time=11), size(n_inputs=3), size(hidden_size=9), size(num_layers=2),
        size(bidirectional=True), size(cell="lstm"),
    ):  # fmt: skip
        assert larger > size()


def test_one_gru_of_16_units_takes_what_was_measured() -> None:
    # benchmarks/memory.py: 2.48 MB for 100 steps of 32 rows; the estimate may be a third above, never below
    net = Architecture("gru", 4, 16, 1, False, "mean", 2)
    assert 2.48e6 < bytes_a_member(net, 32, 100, 4, training=True) < 1.5 * 2.48e6


def test_masks_are_counted_once_for_all_members() -> None:
    X, y = np.zeros((4, 3, 1), np.float32), np.arange(4) % 2
    plain, noisy = SequenceClassifier(max_epochs=1), SequenceClassifier(max_epochs=1, zoneout=0.1, dropout=0.2)
    prepared = [
        prepare(Fit(one, Problem([one], X, y)), Pool(as_sequences(X), ReadingKey((0, ()), ())), np.arange(4))
        for one in (plain, noisy)
    ]
    assert [masks_of([one.member]) for one in prepared] == [0, 2]
    assert masks_of([one.member for one in prepared]) == 2
    net = prepared[0].net
    sizes = [bytes_a_member(net, 32, 100, 4, training=True, masks=masks) for masks in range(3)]
    assert np.diff(sizes).tolist() == [3 * 4 * 32 * 100 * net.hidden_size] * 2


def test_members_of_every_shape_are_divided_and_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(12, 4, 1)).astype("float32")
    y = np.arange(12) % 2
    nets = [
        SequenceClassifier(hidden_size=2 + m % 2, max_epochs=1, batch_size=8, random_state=m, cell="rnn")
        for m in range(7)
    ]
    whole = fit_members(nets, x, y, memory_budget=None)
    sizes: list[int] = []
    real = members.train_jobs
    monkeypatch.setattr(
        members, "train_jobs", lambda jobs, **rest: sizes.extend(len(job.members) for job in jobs) or real(jobs, **rest)
    )
    each = bytes_a_member(Architecture("rnn", 1, 3, 1, False, "last", 2), 8, 4, 4, training=True)
    divided = fit_members(nets, x, y, memory_budget=2 * each)
    assert sum(sizes) == 7
    assert max(sizes) == 2
    for one, other, net in zip(whole, divided, nets, strict=True):
        assert isinstance(one, SequenceClassifier)
        assert isinstance(other, SequenceClassifier)
        assert one.random_state == other.random_state == net.random_state
        np.testing.assert_array_equal(one.predict_proba(x), other.predict_proba(x))
