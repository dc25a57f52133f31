"""The file that a graph is written to: whole and new or not there, valid by ONNX's own checks, and read without us."""

import builtins
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exported import series
from numpy import ndarray
from onnx_runs import feeds_of, random_model, run, session_of

from throughtime.data import Sequences
from throughtime.errors import MissingDependencyError, ParameterError, StorageError
from throughtime.export import export_onnx


@pytest.fixture(scope="module")
def data() -> Sequences:
    return series(8, 9, dtype="float64")


@pytest.mark.parametrize("name", ["model.onnx", "model", "-", "ein Modell ü?.onnx", "a" * 250 + ".onnx", "%s{0}.onnx"])
def test_a_name_is_taken_as_it_is(name: str, data: Sequences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export_onnx(random_model(data), name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    onnx.load(tmp_path / name)


def test_a_file_that_exists_is_refused_and_kept(data: Sequences, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("mine")
    with pytest.raises(StorageError, match=r"model\.onnx exists; choose another file or remove it"):
        export_onnx(random_model(data), path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["missing/model.onnx", "model\0.onnx", "a" * 300])
def test_a_place_that_cannot_be_written_is_refused(name: str, data: Sequences, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not be written"):
        export_onnx(random_model(data), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_without_onnx_the_error_says_what_to_install(
    data: Sequences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def without_onnx(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "onnx":
            raise ImportError(name)
        return found(name, *args, **kwargs)

    estimator = random_model(data)
    monkeypatch.setattr(builtins, "__import__", without_onnx)
    with pytest.raises(MissingDependencyError, match=r"pip install 'throughtime\[onnx\]'"):
        export_onnx(estimator, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_what_is_the_users_own_code_is_refused(data: Sequences, tmp_path: Path) -> None:
    estimator = random_model(data)
    estimator.network_.net = object()
    with pytest.raises(ParameterError, match="built-in network"):
        export_onnx(estimator, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


FORECAST = {"by_step": True, "classes": False, "horizon": 2, "known": [1], "features": "fourier:3"}
VALID: list[tuple[bool, dict[str, Any]]] = [
    (
        False,
        {"cell": "lstm", "num_layers": 2, "bidirectional": True, "pooling": "max", "features": "rolling:3,summary"},
    ),
    (False, {"zoneout": 0.2, "bidirectional": True, "dtype": "float64"}),
    (False, FORECAST),
    (True, FORECAST),
    (True, {"cell": "peephole_lstm", "pooling": "max", "features": "rolling:3,lag"}),
    (True, {"zoneout": 0.2, "pooling": "mean", "dtype": "float64"}),
]


@pytest.mark.parametrize(("streaming", "parameters"), VALID)
def test_a_graph_is_valid_and_says_what_it_is(streaming: bool, parameters: dict[str, Any], tmp_path: Path) -> None:
    X = series(8, 9, dtype="float64", missing=True, static=True)
    estimator = random_model(X, **parameters)
    export_onnx(estimator, tmp_path / "model.onnx", streaming=streaming)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 13)]
    assert model.ir_version == 7
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["throughtime"] == model.producer_version == version("throughtime")
    assert json.loads(facts["channels"]) == ["x0", "x1", "x2"]
    assert json.loads(facts["static"]) == ["static0", "static1"]
    assert json.loads(facts["streaming"]) is streaming
    assert json.loads(facts["horizon"]) == parameters.get("horizon", 0)
    expected = None if "classes" in parameters else ["ill", "un\nknown", "well"]
    assert json.loads(facts["classes"]) == expected


@pytest.mark.parametrize("streaming", [False, True])
def test_nothing_in_a_file_is_for_nobody(streaming: bool, tmp_path: Path) -> None:
    X = series(8, 9, dtype="float64", missing=True)
    export_onnx(random_model(X, features="lag:2,fourier:3"), tmp_path / "model.onnx", streaming=streaming)
    graph = onnx.load(tmp_path / "model.onnx").graph
    read = {port.name for port in graph.output}
    bodies = [a.g for node in graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    for part in [graph, *bodies]:
        read |= {name for node in part.node for name in node.input} | {port.name for port in part.output}
    assert read >= {array.name for array in graph.initializer} | {port.name for port in graph.input}
    assert all(read.intersection(node.output) for part in [graph, *bodies] for node in part.node)


def test_the_same_estimator_gives_the_same_bytes(data: Sequences, tmp_path: Path) -> None:
    estimator = random_model(data)
    for name in ("one", "two"):
        export_onnx(estimator, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


ALONE = """
import sys
for name in ("throughtime", "torch", "sklearn", "onnx"):
    sys.modules[name] = None
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
feeds = dict(np.load(sys.argv[2]))
np.savez(sys.argv[3], **dict(zip(("probabilities", "label"), session.run(["probabilities", "label"], feeds))))
"""


def test_a_file_runs_without_this_package_and_without_torch(data: Sequences, tmp_path: Path) -> None:
    estimator = random_model(data)
    expected: dict[str, ndarray] = run(session_of(estimator, tmp_path / "m.onnx"), feeds_of(estimator, data))
    np.savez(tmp_path / "in.npz", **feeds_of(estimator, data))
    files = [str(tmp_path / name) for name in ("m.onnx", "in.npz", "out.npz")]
    subprocess.run([sys.executable, "-c", ALONE, *files], check=True, capture_output=True)
    with np.load(tmp_path / "out.npz", allow_pickle=True) as found:
        np.testing.assert_array_equal(found["probabilities"], expected["probabilities"])
        np.testing.assert_array_equal(found["label"], expected["label"])
