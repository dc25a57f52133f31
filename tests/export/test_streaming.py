"""An exported model that goes on from a state gives at each step what it gives of the series up to there."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from exported import exported, fitted, inputs_of, series
from torch import Tensor

from throughtime.errors import ParameterError
from throughtime.export import export_torch

#: How the ten steps of a series come.
PARTS = ([1] * 10, [4, 1, 5], [10])

MODELS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn", "pooling": "last"},
    "relu, mean": {"cell": "rnn", "nonlinearity": "relu", "pooling": "mean"},
    "gru, max": {"cell": "gru", "pooling": "max", "num_layers": 2},
    "lstm, numbers": {"cell": "lstm", "num_layers": 2, "classes": False},
    "linear": {"cell": "linear", "pooling": "mean", "num_layers": 2},
    "peephole": {"cell": "peephole_lstm", "num_layers": 2, "zoneout": 0.1, "cell_zoneout": 0.2},
    "zoneout": {"cell": "gru", "zoneout": 0.3, "pooling": "max"},
    "steps": {"cell": "lstm", "by_step": True},
    "numbers of steps": {"cell": "gru", "by_step": True, "classes": False, "target_transform": "sqrt"},
    "missing": {"missing": True, "static": True},
    "lags": {"features": "lag:1:3,diff:2", "missing": True, "dtype": "float64"},
    "windows": {"features": "rolling:2:mean:std,rolling:4:min:max", "static": True, "pooling": "mean"},
    "season": {"features": "fourier:3.5", "by_step": True},
    "season of times": {"features": "diff,fourier:3.5", "times": "numbers"},
}
DATA = ("missing", "static", "times", "dtype")


def model_of(options: dict[str, Any], directory: Path) -> tuple[Any, dict[str, Tensor]]:
    """A streaming model, and two series of ten steps for it."""
    kind = {name: options[name] for name in DATA if name in options}
    estimator = fitted(series(8, 14, **kind), **{name: options[name] for name in options if name not in DATA})
    module: ModuleType = exported(estimator, directory / "model", streaming=True)
    given = inputs_of(series(2, 10, seed=7, ragged=False, **kind), options.get("times"))
    del given["lengths"]
    return module.load(), given


def streamed(model: Any, given: dict[str, Tensor], parts: list[int]) -> Tensor:
    """Outputs at every step, when series come in parts."""
    state, found, begin = model.start(len(given["x"])), [], 0
    for steps in parts:
        part = {key: value if key == "static" else value[:, begin : begin + steps] for key, value in given.items()}
        outputs, state = model.step(part.pop("x"), state, **part)
        found.append(outputs)
        begin += steps
    return torch.cat(found, 1)


def up_to(given: dict[str, Tensor], steps: int) -> dict[str, Tensor]:
    return {name: value if name == "static" else value[:, :steps] for name, value in given.items()}


@pytest.mark.parametrize("kind", MODELS)
def test_a_stream_gives_at_each_step_what_the_whole_pass_gives_of_the_series_up_to_it(
    kind: str, tmp_path: Path
) -> None:
    model, given = model_of(MODELS[kind], tmp_path)
    with torch.no_grad():
        if MODELS[kind].get("by_step"):
            expected = model(**given)
        else:
            expected = torch.stack([model(**up_to(given, steps)) for steps in range(1, 11)], 1)
        for parts in PARTS:
            # in the precision of the network, whose sums are taken in other orders
            torch.testing.assert_close(streamed(model, given, parts), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("features", [None, "diff,fourier:4.5"])
def test_a_stream_of_a_forecast_reads_ahead_what_is_known_and_says_what_comes(
    features: str | None, tmp_path: Path
) -> None:
    horizon, known = 3, [0, 2]
    estimator = fitted(
        series(8, 14, shortest=5), by_step=True, classes=False, horizon=horizon, known=known, features=features
    )
    model = exported(estimator, tmp_path / "model", streaming=True).load()
    x = inputs_of(series(2, 10, seed=7, ragged=False))["x"]
    read = x[:, :-horizon].clone()
    read[..., known] = x[:, horizon:, known]
    found = streamed(model, {"x": read}, [1, 4, 2])
    torch.testing.assert_close(found, model.predict(x)[:, horizon:], rtol=1e-6, atol=1e-6)


def test_a_state_is_not_changed_and_keeps_no_more_than_the_steps_it_needs(tmp_path: Path) -> None:
    model, given = model_of({"features": "lag:3,rolling:3", "missing": True}, tmp_path)
    _, state = model.step(given["x"][:, :6], model.start(2))
    assert state["rows"].shape == (2, 3, 3)
    before = {name: value.clone() for name, value in state.items()}
    first, _ = model.step(given["x"][:, 6:], state)
    again, _ = model.step(given["x"][:, 6:], state)
    assert torch.equal(first, again)
    torch.testing.assert_close(state, before, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"bidirectional": True}, "streaming needs a network that reads forward, got bidirectional=True"),
        ({"features": "diff,summary"}, "streaming needs features of a step and those before it, got a summary"),
    ],
)
def test_what_needs_the_end_of_a_series_is_refused(options: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=reason):
        export_torch(fitted(series(8, 14), **options), tmp_path / "model", streaming=True)
    assert list(tmp_path.iterdir()) == []


def test_a_stream_refuses_missing_values_where_training_did(tmp_path: Path) -> None:
    estimator = fitted(series(8, 14), missing="error")
    model = exported(estimator, tmp_path / "model", streaming=True).load()
    with pytest.raises(ValueError, match="every value, got NaN"):
        model.step(torch.full((1, 1, 3), np.nan), model.start(1))


def test_a_model_that_was_not_asked_to_stream_has_no_steps(tmp_path: Path) -> None:
    assert not hasattr(exported(fitted(series(8, 14)), tmp_path / "model").load(), "step")
