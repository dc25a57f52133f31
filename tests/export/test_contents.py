"""What an estimator is taken apart into, and what is refused, with the cure."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported import exported, fitted, inputs_of, series
from sklearn.exceptions import NotFittedError

from throughtime import SequenceClassifier
from throughtime.errors import ParameterError, StorageError
from throughtime.estimators import SequenceEstimator, at_initialization
from throughtime.export import contents_of, export_onnx, export_torch
from throughtime.kernels import CellSpec
from throughtime.nn import GRU


def test_contents_are_the_estimators_own_numbers_and_names() -> None:
    X = series(8, 14, missing=True, static=True).replace(channel_names=["a", "b", "c"], static_names=["age", "size"])
    estimator = fitted(X, classes=False, cell="rnn", nonlinearity="relu", features="diff", target_transform="log")
    found = contents_of(estimator)
    assert (found.cell, found.torch_layer, found.pooling, found.n_inputs, found.n_outputs) == (
        "rnn_relu", "RNN", "last", 3 * 6 + 2, 1
    )  # fmt: skip
    assert (found.channels, found.static, found.classes, found.masked) == (("a", "b", "c"), ("age", "size"), None, True)
    assert vars(found.target) == {
        "mean": estimator.target_mean_, "scale": estimator.target_scale_, "transform": "log"
    }  # fmt: skip
    for name, value in estimator.module_.state_dict().items():
        own = {"shift": found.shift, "scale": found.scale}.get(name, found.weights.get(name))
        np.testing.assert_array_equal(own, value.numpy())


@pytest.mark.parametrize(("unit", "time"), [("D", ""), ("s", "T00:00:00"), ("ns", "T00:00:00.000000000")])
def test_dates_as_classes_are_text(unit: str, time: str, tmp_path: Path) -> None:
    X = series(9, 14)
    days = np.array(["2024-02-29", "1969-12-31"], f"datetime64[{unit}]")
    estimator = at_initialization(SequenceClassifier(hidden_size=5, random_state=0), X, days[np.arange(9) % 2])
    classes = [f"1969-12-31{time}", f"2024-02-29{time}"]
    assert contents_of(estimator).classes == tuple(classes)
    model = exported(estimator, tmp_path / "model").load()
    assert model.classes == classes
    expected = estimator.predict(X)
    assert model.predict(**inputs_of(X)) == [str(day) for day in expected]
    onnxruntime = pytest.importorskip("onnxruntime")
    export_onnx(estimator, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    given = inputs_of(X)
    (label,) = session.run(["label"], {"x": given["x"].double().numpy(), "lengths": given["lengths"].numpy()})
    np.testing.assert_array_equal(label.astype(expected.dtype), expected)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == classes


def leaky(from_x: Any, from_h: Any, state: Any, _weights: Any, _mask: Any) -> Any:
    return (0.5 * state[0] + 0.5 * torch.tanh(from_x + from_h),)


def other_module() -> SequenceEstimator:
    estimator = fitted(series(8, 14))
    estimator.module_ = torch.nn.ModuleDict({"recurrent": GRU(3, 4), "readout": torch.nn.Linear(4, 3)})
    for name in ("shift", "scale"):
        estimator.module_.register_buffer(name, torch.ones(3))
    return estimator


class Mean(torch.nn.Module):
    def __init__(self, n_channels: int, n_outputs: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(n_channels, n_outputs)

    def forward(self, x: torch.Tensor, _lengths: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.linear(x.mean(1))
        return found


def with_module() -> SequenceEstimator:
    X = series(8, 14)
    return at_initialization(SequenceClassifier(module=Mean, random_state=0), X, np.arange(8) % 2)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (with_module, "a built-in network, got module=, whose code is your own; .* torch.save"),
        (
            lambda: fitted(series(8, 14), cell=CellSpec("leaky", gates=("n",), step=leaky)),
            r"a cell of the package \(rnn_tanh, .*\), got CellSpec\(name='leaky'\), whose code is your own; torch.save",
        ),
        (other_module, "the network that was trained, .* got a module_ of other weights: .*recurrent.weight_ih_l0"),
        (lambda: torch.nn.GRU(2, 3), "a fitted SequenceClassifier or SequenceRegressor, got GRU"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_the_cure(estimator: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=f"export needs {message}"):
        export_torch(estimator(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_catch22_is_refused_with_the_cure() -> None:
    estimator = fitted(series(8, 14), features="summary:mean")
    estimator.features = "summary:mean:catch22"  # aeon, which computes it, need not be there
    with pytest.raises(ParameterError, match=re.escape("got catch22 in features='summary:mean:catch22'; train with")):
        contents_of(estimator)


def test_an_estimator_that_is_not_fitted_is_refused_as_scikit_learn_does() -> None:
    with pytest.raises(NotFittedError):
        contents_of(SequenceClassifier())


def test_an_existing_directory_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(StorageError, match="exists; choose another directory"):
        export_torch(fitted(series(8, 14)), tmp_path / "model")
    assert [path.name for path in tmp_path.rglob("*")] == ["model"]
