"""``throughtime flow``: what it prints is what is measured, of a run or at initialization."""

import io
import math
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from vowels import COLUMNS, run

from throughtime import storage
from throughtime.cli import fit as fit_module
from throughtime.cli import flow as flow_module
from throughtime.cli.lag_plot import plot_lines
from throughtime.data import read
from throughtime.estimators import SequenceClassifier, at_initialization, lag_curve_of
from throughtime.stability import LagCurve, LayerLagCurve
from throughtime.storage import read_run
from throughtime.study import Run

QUICK = ["--hidden-size", "3", "--max-epochs", "1", "--cv", "2", "--random-state", "4"]
NET = ["--cell", "lstm", "--hidden-size", "3", "--num-layers", "2", "--bidirectional", "--random-state", "4"]


@pytest.fixture(scope="module")
def fitted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    code, said, error = run("fit", table, *COLUMNS, *QUICK, "--out", out)
    assert code == 0, error
    assert "Gradient of the last state: " in said
    return out


def test_a_source_is_measured_as_training_would_start(table: Path, tmp_path: Path) -> None:
    code, out, error = run("flow", table, *COLUMNS, *NET, "--out", tmp_path / "flow")
    assert code == 0, error
    data = read(str(table), id="series", time="step", target="label")
    model = SequenceClassifier(cell="lstm", hidden_size=3, num_layers=2, bidirectional=True, random_state=4)
    curve = lag_curve_of(at_initialization(model, data.X, data.y), data.X)
    table_rows = [line for line in out.splitlines() if " recurrent layer " in line and "(STA" not in line]
    assert len(table_rows) == len(curve.layers) == 4
    for line, layer in zip(table_rows, curve.layers, strict=True):
        assert f"{layer.label} " in line
        assert f"{layer.gradient_horizon:.3g} (" in line
        assert f"{layer.mean[1]:.2f}" in line
    assert "at initialization" in out
    assert "vanishing gradient (STA001): 1 % of the gradient is left at lag" in out
    assert "which lag the task needs is not known; --lag says it." in out
    files = read_run(tmp_path / "flow").manifest.files
    assert set(files) == {"lag_curve.svg", "gradient_flow.svg", "unrolled.svg"}
    for name in files:
        assert ElementTree.parse(tmp_path / "flow" / name).getroot().tag.endswith("svg")


def test_a_run_is_measured_as_trained_on_its_data_or_on_others(fitted: Path, table: Path, tmp_path: Path) -> None:
    code, out, error = run("flow", fitted)
    assert code == 0, error
    assert "as trained" in out
    model, data = Run.open(fitted).estimator, read(str(table), id="series", time="step", target="label")
    assert f" {lag_curve_of(model, data.X).gradient_horizon:.3g} (" in out
    assert run("flow", fitted, table)[1].partition("\n\n")[2] == out.partition("\n\n")[2]

    half = pd.read_csv(table).drop(columns="label")
    half[half["step"] < 6].to_csv(tmp_path / "short.csv", index=False)
    code, short, error = run("flow", fitted, tmp_path / "short.csv")
    assert code == 0, error
    assert "lag  0    5" in short
    assert "layer without gradient" not in short  # no targets, no loss


def test_a_lag_that_the_task_needs_makes_it_a_finding(table: Path) -> None:
    code, out, error = run("flow", table, *COLUMNS, *NET, "--lag", "12")
    assert code == 0, error
    assert "the task needs 12; try " in out
    assert "not known" not in out
    assert "--lag says it" not in out
    assert "lag 1  lag 10  lag 12" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "--hidden-size", "3"], "--hidden-size needs a source, got a run, which has its own"),
        (["RUN", "--target", "label"], "--target needs a source, got a run"),
        (["TABLE", "TABLE", *COLUMNS], "a second source needs a run before it"),
        (["TABLE", *COLUMNS, "--lag", "500"], "lag needs to be 1 to"),
        (["TABLE", *COLUMNS, "--lag", "0"], "lag needs to be 1 to"),
        (["TABLE", "--id", "series", "--time", "step", "--channels", "c0,c1"], "needs the column to predict"),
        (["TABLE", *COLUMNS, "--out", "RUN"], "exists"),
        (["RUN", "absent.csv"], "absent.csv"),
        (["RUN", "RUN"], "needs to be data, got a directory with a run's manifest"),
        (["NO_MANIFEST"], "and it is no run, for it holds no manifest.json"),
        (["PICTURES"], "needs to be a run of fit or search, got the pictures that flow wrote"),
        (["absent.csv"], "absent.csv"),
    ],
)
def test_what_cannot_be_measured_is_refused_and_leaves_nothing(
    words: list[str], message: str, fitted: Path, table: Path, tmp_path: Path
) -> None:
    storage.write_run(tmp_path / "pictures", {"lag_curve.svg": b"<svg/>"}, {"kind": "flow"})
    shutil.copytree(fitted, tmp_path / "bare")
    (tmp_path / "bare" / storage.MANIFEST).unlink()
    places = {"RUN": fitted, "TABLE": table, "NO_MANIFEST": tmp_path / "bare", "PICTURES": tmp_path / "pictures"}
    out = [] if "--out" in words else ["--out", tmp_path / "new" / "flow"]
    code, _, error = run("flow", *(places.get(word, word) for word in words), *out)
    assert code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "new").exists()


def test_pictures_are_no_run_for_any_command(fitted: Path, table: Path, tmp_path: Path) -> None:
    assert run("flow", fitted, "--out", tmp_path / "pictures")[0] == 0
    for words in (["predict", "IT", table, "-o", tmp_path / "out.csv"], ["compare", "IT", fitted], ["flow", "IT"]):
        code, _, error = run(*(tmp_path / "pictures" if word == "IT" else word for word in words))
        assert code == 2
        assert "needs to be a run of fit or search, got the pictures that flow wrote" in error


def curve_of(*means: Any) -> LagCurve:
    layers = []
    for number, mean in enumerate(means):
        values = np.asarray(mean, dtype=np.float64)
        parts = {"low": values, "median": values, "high": values, "n_series": np.ones(len(values), dtype=np.int64)}
        numbers = {"gradient_horizon": 1.0, "horizon_low": 1.0, "horizon_high": 1.0, "growth": 1.0}
        layers.append(LayerLagCurve(f"layer {number}", "rnn", number, False, values, **parts, **numbers))
    return LagCurve("rnn", tuple(layers), len(means[0]), 1, 0)


def test_the_plot_of_an_exponential_is_a_straight_line() -> None:
    lines = plot_lines(curve_of(10.0 ** -np.arange(14)))
    marks = [(line.index("o"), row) for row, line in enumerate(lines) if "o" in line]
    columns, heights = zip(*marks, strict=True)
    assert [column - columns[0] for column in columns] == list(range(14))
    assert heights == tuple(range(14))
    assert lines[0].startswith("   1e0 |")
    assert lines[13].startswith(" 1e-13 |")
    assert lines[2].startswith("   1 % |--o--")
    assert lines[-1].endswith(" 13")


@pytest.mark.parametrize(
    "means",
    [
        [10.0 ** np.arange(0, 60, 2)],
        [np.array([1.0, math.inf, math.nan])],
        [np.array([1.0, 0.0])],
        [np.full(3, math.nan)],
        [0.99 ** np.arange(100_000), 1.01 ** np.arange(1000)],
        [np.ones(2)] * 20,
    ],
    ids=range(6),
)
def test_any_curve_is_plotted(means: list[Any]) -> None:
    lines = plot_lines(curve_of(*means))
    assert all(len(line) <= 80 and line.isascii() for line in lines)
    assert any("1 %" in line for line in lines)


def test_lags_at_which_nothing_is_left_leave_the_plot_to_the_others() -> None:
    whole = 10.0 ** -(np.arange(1000) / 10)
    lines = plot_lines(curve_of(whole, np.append(whole[:60], np.full(940, math.nan))))
    assert lines[-2].split() == ["lag", "0", "140"]
    assert lines[-1].strip() == "below 1e-14 from there to lag 999"
    assert "o" in lines[13]
    assert lines[:-1] == plot_lines(curve_of(whole[:141], whole[:60]))
    slow = plot_lines(curve_of(0.999 ** np.arange(1000)))
    assert slow[-1].split() == ["lag", "0", "999"]


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_the_plot_is_no_wider_than_the_screen(width: int) -> None:
    lines = plot_lines(curve_of(0.999 ** np.arange(1000)), width)
    assert max(map(len, lines)) == min(width, 80)
    assert lines[-1].endswith(" 999")
    assert lines[0].index("o") == 8


@pytest.mark.parametrize("width", [32, 40, 56, 57, 80, 200])
def test_the_table_has_the_lags_that_the_screen_has_room_for_and_the_one_that_is_needed(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(width=width, file=io.StringIO())
    monkeypatch.setattr(flow_module, "console", lambda: console)
    table = flow_module._table(curve_of(0.999 ** np.arange(1200)), 700)
    with console.capture() as printed:
        console.print(table)
    heading, row = printed.get().splitlines()  # none folded
    shown = [int(lag) for lag in re.findall(r"lag (\d+)", heading)]
    dropped = [lag for lag in (1, 10, 50, 100, 500, 1000) if lag not in shown]
    assert set(shown) == {700, *[1, 10, 50, 100, 500, 1000][: len(shown) - 1]}
    assert shown == sorted(shown)
    assert row.split()[-len(shown) :] == [f"{0.999**lag:.2f}" for lag in shown]
    assert not dropped or len(heading) + len(f"lag {dropped[0]}") + 2 > width


@pytest.mark.parametrize(
    ("norm", "text"),
    [(0.0, "0"), (math.nan, "-"), (math.inf, "inf"), (0.5, "0.50"), (0.004, "4e-03"), (230.0, "2e+02")],
)
def test_what_is_left_is_short(norm: float, text: str) -> None:
    assert flow_module._left(norm) == text


def test_fit_says_how_far_the_trained_networks_gradient_reaches(capsys: pytest.CaptureFixture[str]) -> None:
    def say(horizon: float, bptt: str = "full", k2: int | None = None) -> str:
        record = SimpleNamespace(gradient_horizon=horizon, lags=np.array([0, 5, 28]))
        model = SimpleNamespace(flow_=[None, record], bptt=bptt, k2=k2)
        fit_module.print_reach(model)  # type: ignore[arg-type]
        return capsys.readouterr().out

    fit_module.console.cache_clear()
    assert "1 % of it is left 8.87 steps back, where the longest series goes back 28;" in say(8.8712)
    assert "more than 1 % of it is left 28 steps back" in say(math.inf)
    for horizon in (8.8712, math.inf):
        assert "training cuts it off 4 steps back (k2=5), where the longest" in say(horizon, "truncated", 5)
    assert "1 % of it is left 8.87 steps back" in say(8.8712, "truncated", 12)
    fit_module.print_reach(SimpleNamespace())  # type: ignore[arg-type]
    assert capsys.readouterr().out == ""
    fit_module.console.cache_clear()
