"""``throughtime export``: what it writes is the run's network, and what it prints loads it."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from vowels import COLUMNS, run

from throughtime.cli.export import _loading_onnx, _loading_torch
from throughtime.data import Sequences, read
from throughtime.study import Run

QUICK = ["--hidden-size", "3", "--max-epochs", "1", "--cv", "2", "--seeds", "2", "--random-state", "4"]


@pytest.fixture(scope="module")
def fitted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    code, _, error = run("fit", table, *COLUMNS, *QUICK, "--out", out)
    assert code == 0, error
    return out


def ran(printed: str, X: Sequences) -> torch.Tensor:
    """What the printed Python gives at its line that predicts."""
    x = torch.zeros(len(X), int(X.lengths.max()), X.n_channels, dtype=torch.float64)
    for row, values in zip(x, X, strict=True):
        row[: len(values)] = torch.from_numpy(values.copy())
    names = {"x": x, "lengths": torch.tensor(X.lengths), "batch": len(X)}
    if "onnxruntime" in printed:
        names |= {"x": x.numpy(), "lengths": np.array(X.lengths)}
    lines = [line.removeprefix("    ") for line in printed.splitlines() if line.startswith("    ")]
    exec(
        "\n".join("found = " + line if line.startswith(("model.pre", "session.run")) else line for line in lines), names
    )
    sys.modules.pop("model", None)  # another test may import one of its own
    found = names["found"]
    return torch.as_tensor(found[1] if isinstance(found, list) else found)


@pytest.mark.parametrize("flags", [["--seed", "2", "--streaming"], ["--format", "onnx"]])
def test_what_is_printed_loads_the_network_that_was_asked_for(
    flags: list[str], fitted: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "model", raising=False)
    if "onnx" in flags:
        pytest.importorskip("onnxruntime")
    out = tmp_path / "an [red]odd 'name"
    code, printed, error = run("export", fitted, *flags, "-o", out)
    assert code == 0, error
    seed = 2 if "--seed" in flags else 1
    assert printed.startswith(f"written: {out}, the network of seed {seed} of 2; it needs ")
    X = read(str(table), id="series", time="step", target="label").X
    expected = Run.open(fitted).estimators[seed - 1].predict_proba(X)
    np.testing.assert_allclose(ran(printed, X).numpy(), expected, rtol=0, atol=1e-6)


def test_the_model_is_written_beside_the_run_and_what_is_there_stays(fitted: Path) -> None:
    before = sorted(os.listdir(fitted))
    for flags, name in ([], "run-torch"), (["--format", "onnx"], "run.onnx"):
        code, printed, error = run("export", fitted, *flags)
        assert code == 0, error
        assert f"written: {fitted.parent / name}" in printed
        code, printed, error = run("export", fitted, *flags)
        assert (code, printed) == (2, "")
        assert f"{fitted.parent / name} exists; choose another" in error
    assert sorted(os.listdir(fitted)) == before
    code, _, error = run("predict", fitted.parent / "run-torch", "x.csv", "-o", fitted.parent / "p.csv")
    assert (code, "got an exported model" in error) == (2, True)


@pytest.mark.parametrize("seed", ["0", "3"])
def test_a_network_that_the_run_has_not_is_refused(seed: str, fitted: Path, tmp_path: Path) -> None:
    code, _, error = run("export", fitted, "--seed", seed, "-o", tmp_path / "model")
    assert (code, list(tmp_path.iterdir())) == (2, [])
    assert f"--seed needs a network of the run, 1 to 2, got {seed}" in error


def test_a_streaming_model_takes_its_states_and_the_text_says_where_they_are(fitted: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    code, printed, error = run("export", fitted, "--format", "onnx", "--streaming", "-o", tmp_path / "it.onnx")
    assert code == 0, error
    session = onnxruntime.InferenceSession(str(tmp_path / "it.onnx"))
    assert "h0" in [one.name for one in session.get_inputs()]
    assert "next_h0" in [one.name for one in session.get_outputs()]
    assert "what to give as h0 next" in printed


def test_from_within_a_run_the_model_is_written_beside_it(fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fitted)
    _, printed, error = run("export", ".")
    assert str(fitted.parent / "run-torch") in printed + error  # where another test may have written it


@pytest.mark.parametrize(
    ("static", "clock", "names"),
    [
        ((), None, []),
        (("age",), "steps", ["static"]),
        ((), "days", ["clock"]),
        (("age",), "numbers", ["static", "clock"]),
    ],
)
def test_what_a_model_takes_beside_the_series_is_in_the_line_to_type(
    static: tuple[str, ...], clock: str | None, names: list[str], tmp_path: Path
) -> None:
    contents: Any = SimpleNamespace(static=static, clock=clock, channels=("a", "b"), classes=None)
    torch_lines = _loading_torch(tmp_path, contents, streaming=False)
    onnx_lines = _loading_onnx(tmp_path, contents, streaming=False)
    given = "".join(f", {name}={name}" for name in names)
    assert any(line.startswith(f"model.predict(x, lengths{given})  # x (batch, time, 2)") for line in torch_lines)
    assert not any("predict_proba" in line for line in torch_lines)
    fed = ", ".join(f'"{name}": {name}' for name in ("x", "lengths", *names))
    assert any(line.startswith(f"session.run(None, {{{fed}}})") for line in onnx_lines)
