"""How much of the data a report on gradients looks at, and what it lacks without targets."""

from dataclasses import replace

import numpy as np
import pytest

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.data import Dataset, Sequences
from throughtime.errors import DataError
from throughtime.estimators import at_initialization
from throughtime.study import flow_files, report_flow


def data_of(series: int, steps: int) -> Dataset:
    rng = np.random.default_rng(0)
    X = Sequences(rng.normal(size=(series * steps, 2)), np.arange(series + 1) * steps)
    return Dataset(X, rng.normal(size=series), tuple(map(str, range(series))), "noise", source="noise")


def test_at_most_128_series_are_looked_at_and_8_are_drawn() -> None:
    report = report_flow(SequenceRegressor(hidden_size=2), data_of(300, 5))
    assert report.initial
    assert report.curve.n_series == 128
    assert report.graph is not None
    assert {node.shape[0] for node in report.graph.nodes if node.kind == "h"} == {8}
    assert report_flow(SequenceRegressor(hidden_size=2), data_of(40, 5)).curve.n_series == 40


@pytest.mark.parametrize("place", [0, 7, 100, 299])
def test_the_longest_series_is_among_those_that_are_looked_at(place: int) -> None:
    X = Sequences.from_arrays([np.ones((9 if i == place else 5, 1)) * i for i in range(300)])
    data = replace(data_of(300, 5), X=X, y=np.arange(300) / 300)
    report = report_flow(SequenceRegressor(hidden_size=2), data, lag=8)
    assert report.curve.n_series == 128
    assert report.curve.longest == 9


def test_series_of_one_step_have_nothing_to_look_back_on() -> None:
    with pytest.raises(DataError, match="needs series of at least 2 steps to look back in, got series of 1"):
        report_flow(SequenceRegressor(hidden_size=2), data_of(8, 1), lag=1)


def test_fewer_series_are_looked_at_where_they_are_long_and_none_is_drawn() -> None:
    model = SequenceRegressor(hidden_size=200, num_layers=2, bidirectional=True)
    from throughtime.study import flow

    assert flow._most_series(model, data_of(200, 10).X) == 128
    assert flow._most_series(model, data_of(1, 200_000).X) == 32
    report = report_flow(SequenceRegressor(hidden_size=1), data_of(2, 8001))
    assert report.graph is None
    assert set(flow_files(report)) == {"lag_curve.svg", "gradient_flow.svg"}


def test_without_targets_a_fitted_network_has_a_lag_curve_alone() -> None:
    data = data_of(40, 5)
    model = at_initialization(SequenceRegressor(hidden_size=2), data.X, data.y)
    report = report_flow(model, replace(data, y=None))
    assert not report.initial
    assert report.flow is None
    assert report.graph is not None
    assert report.graph.gradients == []
    assert set(flow_files(report)) == {"lag_curve.svg", "unrolled.svg"}
    with pytest.raises(DataError, match="noise needs a target"):
        report_flow(SequenceRegressor(hidden_size=2), replace(data, y=None))


def test_pictures_are_the_same_each_time() -> None:
    data = data_of(40, 5)
    model = SequenceClassifier(hidden_size=2, random_state=0)
    data = replace(data, y=np.arange(40) % 3)
    assert flow_files(report_flow(model, data)) == flow_files(report_flow(model, data))
