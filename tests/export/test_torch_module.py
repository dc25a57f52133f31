"""A model exported as plain torch gives what the estimator gives."""

import json
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported import SHAPES, check, expected_of, exported, fitted, inputs_of, series

from throughtime import SequenceClassifier
from throughtime.data import Sequences
from throughtime.estimators import at_initialization, recalibrate
from throughtime.export import export_torch

CELLS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "relu": {"cell": "rnn", "nonlinearity": "relu"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
    "linear": {"cell": "linear"},
    "peephole": {"cell": "peephole_lstm"},
}
ZONEOUT: dict[str, dict[str, Any]] = {
    "of an rnn": {"cell": "rnn", "zoneout": 0.1},
    "of a gru": {"cell": "gru", "zoneout": 0.2, "bidirectional": True},
    "of an lstm": {"cell": "lstm", "zoneout": 0.1, "cell_zoneout": 0.3, "bidirectional": True},
    "of c": {"cell": "lstm", "cell_zoneout": 0.3, "num_layers": 2},
    "of h": {"cell": "peephole_lstm", "zoneout": 0.25, "num_layers": 2},
}
#: What else a model may have, taken in turn over the grid of networks.
EXTRAS: list[dict[str, Any]] = [
    {},
    {"missing": True},
    {"static": True, "dtype": "float64"},
    {"static": True, "missing": True, "features": "diff,rolling:4:7:min:max"},
    {"missing": True, "features": "lag:1:6,rolling:3:11:20", "dtype": "float64"},
    {"features": "fourier:5.5,diff:2,fourier:3"},
    {"ragged": False},
]
#: Every cell x depth x direction x pooling; each as a classifier or, as often, as a regressor.
GRID = [
    (*net, number % 2 == 0, EXTRAS[number % len(EXTRAS)])
    for number, net in enumerate(product(CELLS, ("last", "mean", "max", "steps"), (1, 2), (False, True)))
]


def data(options: dict[str, Any], n: int = 8, longest: int = 14, **more: Any) -> Sequences:
    return series(n, longest, **{name: value for name, value in options.items() if name != "features"} | more)


@pytest.mark.parametrize(("cell", "pooling", "depth", "both", "classes", "extras"), GRID)
def test_an_exported_model_gives_what_the_estimator_gives(
    cell: str, pooling: str, depth: int, both: bool, classes: bool, extras: dict[str, Any], tmp_path: Path
) -> None:
    by_step = pooling == "steps"
    shape = {"num_layers": depth, "bidirectional": both} | ({} if by_step else {"pooling": pooling})
    estimator = fitted(
        data(extras), by_step=by_step, classes=classes, features=extras.get("features"), **CELLS[cell], **shape
    )
    model = exported(estimator, tmp_path / "model").load()
    for n, longest in SHAPES:
        check(model, estimator, data(extras, n, longest, seed=7))


@pytest.mark.parametrize("kind", ZONEOUT)
def test_zoneout_acts_as_it_does_in_prediction(kind: str, tmp_path: Path) -> None:
    estimator = fitted(series(8, 14), pooling="mean", **ZONEOUT[kind])
    model = exported(estimator, tmp_path / "model").load()
    for n, longest in SHAPES:
        check(model, estimator, series(n, longest, seed=7))


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"horizon": 1},
        {"horizon": 3, "known": [1]},
        {"horizon": 2, "known": [0, 2], "features": "diff,rolling:3,fourier:6"},
    ],
)
def test_a_forecast_reads_and_stands_where_the_estimators_does(
    options: dict[str, Any], missing: bool, tmp_path: Path
) -> None:
    kind: dict[str, Any] = {"static": True, "missing": missing, "shortest": 4}
    estimator = fitted(series(8, 14, **kind), by_step=True, classes=False, cell="lstm", **options)
    model = exported(estimator, tmp_path / "model").load()
    for n, longest in SHAPES:
        X = series(n, longest, seed=7, **kind)
        check(model, estimator, X)
        given, steps = inputs_of(X), torch.arange(longest)
        there = (steps >= options["horizon"]) & (steps < given["lengths"][:, None])
        assert torch.equal(~model(**given).isnan(), there)


@pytest.mark.parametrize("transform", ["log", "log1p", "sqrt"])
def test_numbers_come_in_the_targets_own_unit(transform: str, tmp_path: Path) -> None:
    estimator = fitted(series(8, 14), classes=False, target_transform=transform)
    if transform == "sqrt":  # some of what is learned falls below zero, which has no root
        estimator.target_mean_ = 0.0
    model = exported(estimator, tmp_path / "model").load()
    for n, longest in SHAPES:
        check(model, estimator, series(n, longest, seed=7))


@pytest.mark.parametrize("statistics", ["", ":slope:max", ":min:mean"])
def test_summaries_of_whole_series_are_inside(statistics: str, tmp_path: Path) -> None:
    kind: dict[str, Any] = {"static": True, "missing": True, "shortest": 1}
    estimator = fitted(series(8, 14, **kind), features=f"summary{statistics},diff", dtype="float64")
    model = exported(estimator, tmp_path / "model").load()
    for n, longest in (*SHAPES, (6, 1)):
        check(model, estimator, series(n, longest, seed=7, **kind))


@pytest.mark.parametrize("horizon", [0, 2])
@pytest.mark.parametrize("units", ["days", "numbers"])
def test_times_of_a_season_are_an_input(units: str, horizon: int, tmp_path: Path) -> None:
    kind: dict[str, Any] = {"times": units, "shortest": 4}
    forecast = {"horizon": horizon, "by_step": True, "classes": False} if horizon else {}
    estimator = fitted(series(8, 14, **kind), features="fourier:7:0.5", **forecast)
    model = exported(estimator, tmp_path / "model").load()
    for n, longest in SHAPES:
        check(model, estimator, series(n, longest, seed=7, **kind))
    with pytest.raises(TypeError, match="clock"):
        model(torch.zeros(1, 5, 3))


@pytest.mark.parametrize("horizon", [0, 2])
def test_a_clock_that_is_none_is_refused_but_behind_the_end(horizon: int, tmp_path: Path) -> None:
    kind: dict[str, Any] = {"times": "days", "shortest": 4}
    forecast = {"horizon": horizon, "by_step": True, "classes": False} if horizon else {}
    estimator = fitted(series(8, 14, **kind), features="fourier:7:0.5", **forecast)
    model = exported(estimator, tmp_path / "model", streaming=True).load()
    given = inputs_of(series(5, 9, seed=7, **kind), "days")
    whole, x = given["clock"], given["x"]
    expected = model(**given)
    behind = whole.clone()
    for row, length in zip(behind, given["lengths"], strict=True):
        row[length:] = torch.nan
    torch.testing.assert_close(model(**given | {"clock": behind}), expected, rtol=0, atol=0, equal_nan=True)
    for wrong in (whole.float(), whole.long(), whole[:, :-1], whole[:1], whole[0], whole[..., None]):
        message = f"clock needs to be float64 (batch, time), here (5, 9), got {wrong.dtype} {tuple(wrong.shape)}"
        with pytest.raises(ValueError, match=re.escape(message)):
            model(**given | {"clock": wrong})
        with pytest.raises(ValueError, match=re.escape(message)):
            model.step(x, model.start(5), clock=wrong)
    for value in (torch.nan, torch.inf):
        wrong = whole.clone()
        wrong[1, 3] = value
        with pytest.raises(ValueError, match="clock needs the time of every step, got NaN or an infinite one"):
            model(**given | {"clock": wrong})
        with pytest.raises(ValueError, match="clock needs the time of every step, got NaN or an infinite one"):
            model.step(torch.zeros_like(x), model.start(5), clock=wrong)


def test_values_far_from_zero_keep_their_digits(tmp_path: Path) -> None:
    # of a file's float64 values, 1e8 and more, that a network of float32 reads
    rng = np.random.default_rng(0)
    X = Sequences.from_arrays([1e8 + rng.normal(size=(n, 3)) for n in (9, 12, 7, 9)], train_dtype="float32")
    estimator = fitted(X)
    assert estimator.network_.dtype == torch.float32
    check(exported(estimator, tmp_path / "model").load(), estimator, X)


def test_a_recalibrated_classifier_is_exported_as_such(tmp_path: Path) -> None:
    estimator = recalibrate(fitted(series(8, 14)), 2.0, np.array([0.5, 0.0, -1.0]))
    check(exported(estimator, tmp_path / "model").load(), estimator, series(5, 9, seed=7))


def test_weights_are_those_that_the_module_has_now(tmp_path: Path) -> None:
    estimator = fitted(series(8, 14))
    with torch.no_grad():
        estimator.module_.readout.bias += 1.5
    model = exported(estimator, tmp_path / "model").load()
    torch.testing.assert_close(model.readout.bias, estimator.module_.readout.bias, rtol=0, atol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_dict_has_torchs_names_and_the_trained_numbers(cell: str, tmp_path: Path) -> None:
    estimator = fitted(series(8, 14), num_layers=2, bidirectional=True, **CELLS[cell])
    export_torch(estimator, tmp_path / "model")
    state = torch.load(tmp_path / "model" / "model.pt", weights_only=True)
    expected = estimator.module_.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in state)
    if cell in ("rnn", "gru", "lstm"):
        layer = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](3, 5, 2, bidirectional=True)
        layer.load_state_dict({name.removeprefix("recurrent."): state[name] for name in state if "_l" in name})


@pytest.mark.parametrize("labels", [["ill", "un\nknown", '\'"""well'], [-1, 7, 20], [False, True]])
def test_classes_are_predicted_by_their_names(labels: list[Any], tmp_path: Path) -> None:
    X = series(9, 14)
    y = np.array(labels)[np.arange(9) % len(labels)]
    estimator = at_initialization(SequenceClassifier(hidden_size=5, random_state=0), X, y)
    model = exported(estimator, tmp_path / "model").load()
    found = model.predict(**inputs_of(X))
    assert found == estimator.predict(X).tolist()
    assert [type(one) for one in found] == [type(labels[0])] * 9
    assert sorted(model.classes) == sorted(labels)


def test_classes_of_steps_are_predicted_up_to_the_end_of_each_series(tmp_path: Path) -> None:
    estimator = fitted(series(8, 14), by_step=True)
    model, X = exported(estimator, tmp_path / "model").load(), series(5, 9, seed=7)
    found = model.predict(**inputs_of(X))
    assert [len(row) for row in found] == X.lengths.tolist()
    assert np.concatenate(found).tolist() == estimator.predict(X).values[:, 0].tolist()


def test_two_dimensional_series_are_of_one_channel(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(9, 12))
    estimator = at_initialization(SequenceClassifier(hidden_size=5, random_state=0), x, np.arange(9) % 2)
    model = exported(estimator, tmp_path / "model").load()
    found = model.predict_proba(torch.from_numpy(x)[..., None])
    np.testing.assert_allclose(found.numpy(), estimator.predict_proba(x), rtol=0, atol=1e-13)


def test_what_is_behind_a_series_end_is_not_read_and_not_predicted(tmp_path: Path) -> None:
    estimator = fitted(series(8, 14, missing=True), by_step=True, bidirectional=True, features="diff")
    model, given = exported(estimator, tmp_path / "model").load(), inputs_of(series(5, 9, seed=7))
    outputs = model(**given)
    other = given["x"].clone()
    for row, length in zip(other, given["lengths"], strict=True):
        row[length:] = torch.nan
    torch.testing.assert_close(model(other, given["lengths"]), outputs, rtol=0, atol=0, equal_nan=True)
    inside = torch.arange(9) < given["lengths"][:, None]
    assert torch.equal(~outputs.isnan().any(2), inside)


@pytest.mark.parametrize("by_step", [False, True])
@pytest.mark.parametrize("kind", [list, np.array, lambda lengths: np.array(lengths, np.uint8)])
def test_lengths_may_be_a_list_or_an_array(kind: Any, by_step: bool, tmp_path: Path) -> None:
    model = exported(fitted(series(8, 14), by_step=by_step), tmp_path / "model").load()
    given = inputs_of(series(5, 9, seed=7))
    lengths = kind(given["lengths"].tolist())
    torch.testing.assert_close(model(given["x"], lengths), model(**given), rtol=0, atol=0, equal_nan=True)
    assert model.predict(given["x"], lengths) == model.predict(**given)


def test_no_series_and_no_steps_are_refused(tmp_path: Path) -> None:
    model = exported(fitted(series(8, 14)), tmp_path / "model", streaming=True).load()
    for shape in ((0, 5, 3), (2, 0, 3)):
        for read in (model, model.predict, lambda x: model.step(x, model.start(2))):
            with pytest.raises(ValueError, match=re.escape(f"x needs one series of one step at least, got {shape}")):
                read(torch.zeros(shape))


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    model = exported(fitted(series(8, 14)), tmp_path / "model").load()
    for wrong in (torch.zeros(2, 5, 4), torch.zeros(5, 3), torch.zeros(2, 5, 3, dtype=torch.int64)):
        with pytest.raises(ValueError, match=re.escape(f"x needs to be floats (batch, time, 3), got {wrong.dtype}")):
            model(wrong)
    lengths: Any
    for lengths in ([5, 0], [6, 5]):
        with pytest.raises(ValueError, match="lengths needs numbers of steps from 1 to 5"):
            model(torch.zeros(2, 5, 3), torch.tensor(lengths))
    for lengths in ([5.0, 5.0], [5], [[5, 5]]):
        with pytest.raises(ValueError, match="lengths needs a whole number for each series, 2 of them, got"):
            model(torch.zeros(2, 5, 3), lengths)
    ahead = exported(fitted(series(8, 14), by_step=True, classes=False, horizon=4), tmp_path / "ahead").load()
    with pytest.raises(ValueError, match="from 5 to 4, those of x"):
        ahead(torch.zeros(2, 4, 3))


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, 1e39])
def test_values_that_the_network_cannot_hold_are_refused_but_behind_the_end(value: float, tmp_path: Path) -> None:
    model = exported(fitted(series(8, 14), features="rolling:2"), tmp_path / "model").load()
    x = torch.zeros(2, 5, 3, dtype=torch.float64)
    x[1, 3:] = value
    assert model(x, torch.tensor([5, 3])).isfinite().all()
    with pytest.raises(ValueError, match="holds once they are scaled, got an infinite"):
        model(x)


def test_missing_values_are_refused_where_training_refused_them(tmp_path: Path) -> None:
    model = exported(fitted(series(8, 14, static=True), missing="error"), tmp_path / "model").load()
    given = inputs_of(series(5, 9, seed=7, static=True))
    given["x"][-1, given["lengths"][-1] :] = torch.nan  # behind the end
    assert model(**given).isfinite().all()
    for name, place in (("x", (0, 3, 1)), ("static", (2, 0))):
        wrong = {key: value.clone() for key, value in given.items()}
        wrong[name][place] = torch.nan
        with pytest.raises(ValueError, match="every value, got NaN"):
            model(**wrong)


@pytest.mark.parametrize("name", ["model.pt", "model.json"])
def test_a_damaged_file_is_not_loaded(name: str, tmp_path: Path) -> None:
    module = exported(fitted(series(8, 14)), tmp_path / "model")
    path = tmp_path / "model" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} needs to be as it was written"):
        module.load()


def test_the_directory_of_another_model_is_not_loaded_into_this_one(tmp_path: Path) -> None:
    one = exported(fitted(series(8, 14), num_layers=2), tmp_path / "one")
    other = exported(fitted(series(8, 14, missing=True), cell="lstm"), tmp_path / "other")
    for directory in (tmp_path / "other", str(tmp_path / "other")):
        with pytest.raises(ValueError, match="load needs the directory of its own") as found:
            one.load(directory)
    names: dict[str, Any] = {}
    exec(str(found.value).partition("own file: ")[2].replace("; ", "\n"), names)  # the cure
    assert names["other"].load().recurrent.hidden_size == other.load().recurrent.hidden_size


def test_a_directory_of_the_same_code_is_loaded_by_its_name(tmp_path: Path) -> None:
    module = exported(fitted(series(8, 14)), tmp_path / "model")
    export_torch(fitted(series(8, 14), random_state=4), tmp_path / "seed")
    for path in (tmp_path / "seed", str(tmp_path / "seed")):
        kept = torch.load(tmp_path / "seed" / "model.pt", weights_only=True)
        assert torch.equal(module.load(path).readout.weight, kept["readout.weight"])
    # one's own file may be changed
    with (tmp_path / "model" / "model.py").open("a") as file:
        file.write("# mine\n")
    module.load(str(tmp_path / "model"))
    with pytest.raises(ValueError, match="load needs the directory of its own"):
        module.load(tmp_path / "seed")


def test_model_json_says_what_the_inputs_are(tmp_path: Path) -> None:
    X = series(8, 14, static=True, times="days").replace(
        channel_names=["rain", "planned", "a/b"], static_names=["age", "height"]
    )
    estimator = fitted(X, by_step=True, classes=False, horizon=2, known=["planned"], features="fourier:1")
    export_torch(estimator, tmp_path / "model")
    assert json.loads((tmp_path / "model" / "model.json").read_text("utf-8")) == {
        "classes": None,
        "channels": ["rain", "planned", "a/b"],
        "static": ["age", "height"],
        "known": ["planned"],
        "horizon": 2,
        "clock": "days",
        "missing": "NaN",
    }


#: Of many kinds of code: a directory's name, then what `fitted` takes.
WRITTEN: dict[str, dict[str, Any]] = {
    "plain": {},
    "long lines": {"cell": "rnn", "nonlinearity": "relu", "num_layers": 2, "bidirectional": True, "dtype": "float64"},
    "bidirectional": {"bidirectional": True, "num_layers": 2, "pooling": "max"},
    "own layer": {"cell": "peephole_lstm", "zoneout": 0.1, "bidirectional": True, "num_layers": 2},
    "streaming": {"cell": "peephole_lstm", "pooling": "mean", "features": "fourier:7,rolling:3:min:std,lag:1"},
    "numbers": {"classes": False, "target_transform": "log1p", "features": "summary,diff"},
    "forecast": {"classes": False, "by_step": True, "horizon": 2, "known": [0, 1], "cell": "lstm"},
    "times": {"classes": False, "by_step": True, "horizon": 2, "features": "fourier:7"},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of exported models, one of each kind, and series for them with what is to come out."""
    root = tmp_path_factory.mktemp("written")
    for number, (name, options) in enumerate(WRITTEN.items()):
        kind: dict[str, Any] = {"static": number % 2 == 0, "missing": number % 3 == 0, "shortest": 4}
        kind["times"] = "numbers" if name == "times" else None
        estimator = fitted(series(8, 14, **kind), **options)
        export_torch(estimator, root / name, streaming=name == "streaming")
        X = series(5, 9, seed=7, ragged=False, **kind)
        expected = torch.tensor(expected_of(estimator, X))
        expected = expected.view(5, 9) if estimator.by_step_ else expected
        torch.save({"given": inputs_of(X, kind["times"]), "expected": expected}, root / f"{name}.pt")
    return root


def test_written_code_passes_the_linter_and_is_formatted(written: Path) -> None:
    settings = Path(__file__).parents[2] / "pyproject.toml"
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "--config", str(settings), str(written)]
        run = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout


WITHOUT_US = r"""
import os, re, sys, torch
class Absent:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("throughtime", "numpy", "scipy", "sklearn", "jinja2", "safetensors"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
for name in sorted(os.listdir()):
    if not os.path.isdir(name):
        continue
    sys.path.insert(0, name)
    sys.modules.pop("model", None)
    import model
    kept = torch.load(f"{name}.pt", weights_only=True)
    found = model.load()
    outputs = found.predict_proba if hasattr(found, "predict_proba") else found.predict
    torch.testing.assert_close(outputs(**kept["given"]), kept["expected"], rtol=1e-5, atol=1e-6, equal_nan=True)
    readme = open(os.path.join(name, "README.md")).read()
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec("\n".join(blocks).replace("path/to", name), {})
    print(name, len(blocks))
    del sys.path[0], sys.modules["model"]
"""


def test_it_runs_without_this_package_and_as_its_readme_says(written: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_US], cwd=written, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    counts = dict(line.rsplit(maxsplit=1) for line in run.stdout.splitlines() if line.rsplit(maxsplit=1)[0] in WRITTEN)
    assert counts == {name: "3" if name == "streaming" else "2" for name in WRITTEN}
