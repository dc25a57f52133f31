"""Runs of ``fit`` damaged, edited and killed on the way: a typed error or a right result, a whole run or none.

A sample by default; ``THROUGHTIME_SOAK=1`` takes every edit, and ten times as many kills.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import run_writer
from test_run import rewrite_manifest

from throughtime import storage
from throughtime.cli.compare import compare
from throughtime.cli.fit import fit
from throughtime.cli.predict import predict
from throughtime.errors import StorageError, ThroughtimeError
from throughtime.estimators import FACTS, WEIGHTS
from throughtime.estimators import load_estimator as load
from throughtime.storage import MANIFEST, arrays_to_bytes, read_run
from throughtime.storage.manifest import manifest_bytes

SOAK = os.environ.get("THROUGHTIME_SOAK", "") != ""
EDITED = ("model.json", "config.json", "folds.json", "metrics.json", "data.json", "members.json", MANIFEST)
VALUES = [None, True, False, 0, 1, -1, 0.5, 10**30, 1e308, "", "x", "1", [], ["x"], {}, {"x": 1}]
GONE = object()


def table(rows: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    series = np.repeat(np.arange(rows), 4)
    return pd.DataFrame(
        {
            "series": [f"s{i}" for i in series],
            "a": rng.normal(size=rows * 4),
            "label": np.where(series % 2, "ebb", "flow"),
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fuzz")
    table().to_csv(place / "table.csv", index=False)
    numbers = table().assign(label=np.repeat(np.arange(12.0), 4))
    numbers.to_csv(place / "numbers.csv", index=False)
    flags = {"hidden_size": "2", "max_epochs": "2", "verbose": "0", "random_state": "0"}
    for name, task in (("table", "classification"), ("numbers", "regression")):
        columns = {"id": "series", "target": "label"}
        fit(str(place / f"{name}.csv"), columns, {"cv": "2"}, flags, task=task, out=place / task)  # type: ignore[arg-type]
    return place


@pytest.fixture(params=["classification", "regression"])
def run(request: pytest.FixtureRequest, place: Path, tmp_path: Path) -> Path:
    """A run to damage."""
    return Path(shutil.copytree(place / request.param, tmp_path / request.param))


def put(run: Path, name: str, content: bytes) -> None:
    """Change a file, and make the manifest again."""
    if name == MANIFEST:
        rewrite_manifest(run, content)
        return
    (run / name).write_bytes(content)
    files = {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    del files[MANIFEST]
    (run / MANIFEST).write_bytes(manifest_bytes(files, {}))


def read_all(run: Path, place: Path, output: Path) -> None:
    """Whatever reads a run, with its result: right in kind, or an error of ours."""
    source = place / ("table.csv" if run.name == "classification" else "numbers.csv")
    before = place / run.name

    def predicted() -> None:
        predict(run, str(source), output)
        found = pd.read_csv(output, keep_default_na=False)  # a class may be called "nan"
        assert len(found) == 12

    def loaded() -> None:
        estimator = load(run)
        X = [series[["a"]] for _, series in table().groupby("series", sort=False)]
        assert len(estimator.predict(X)) == 12

    readers: list[Callable[[], object]] = [
        loaded,
        predicted,
        lambda: compare(run, before),
        lambda: compare(before, run),
    ]
    for read in readers:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # names may be gone: a model fitted without names takes data with names, and says so
            warnings.filterwarnings("ignore", "X has feature names, but")
            try:
                read()
            except ThroughtimeError:
                pass
            finally:
                output.unlink(missing_ok=True)


def edits(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place in a JSON value, with every other value; of long lists the first and last places."""
    for other in (*VALUES, *([GONE] if path else [])):
        if type(other) is not type(value) or other != value:
            yield path, other
    if isinstance(value, dict):
        for key, item in value.items():
            yield from edits(item, (*path, key))
        yield (*path, "surprise"), 1
    elif isinstance(value, list) and value:
        for place in sorted({0, len(value) - 1}):
            yield from edits(value[place], (*path, place))
        yield path, [*value, value[-1]]
        yield path, value[:-1]


def edited(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    if not path:
        return to
    copy = value.copy()
    if len(path) > 1:
        copy[path[0]] = edited(value[path[0]], path[1:], to)
    elif to is GONE:
        del copy[path[0]]
    else:
        copy[path[0]] = to
    return copy


@pytest.mark.parametrize("name", EDITED)
def test_a_value_edited_under_a_manifest_made_again_is_refused_by_name_or_harmless(
    name: str, run: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (run / name).read_bytes()
    value = json.loads(content)
    every = list(edits(value))
    for path, to in every if SOAK else random.Random(name + run.name).sample(every, 6):
        put(run, name, json.dumps(edited(value, path, to)).encode())
        try:
            read_all(run, place, run.parent / "predicted.csv")
        except BaseException as error:
            raise AssertionError(f"{name}: {'.'.join(map(str, path))} = {to!r}") from error
        capsys.readouterr()
    put(run, name, content)


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("parameters", "hidden_size"), 3),
        (("parameters", "cell"), "lstm"),
        (("architecture", "hidden_size"), 10**6),
        (("architecture", "num_layers"), 10**9),
        (("architecture", "n_inputs"), True),
        (("architecture", "pooling"), "mean"),
        (("noise", "zoneout"), 0.5),
        (("learned", "n_static_"), 1),
        (("learned", "masked_"), 1),
        (("learned", "n_iter_"), 3),
        (("learned", "known_"), [7]),
        (("learned", "horizon_"), 2),
        (("classes", "dtype"), "<U2"),
        (("classes", "dtype"), "<U1000000000"),
        (("classes", "values"), ["ebb", "ebb"]),
        (("classes", "values"), ["ebb", "flow", "slack"]),
        (("classes", "values"), [1, 2]),
        (("history", 0, "epoch"), "0"),
    ],
    ids=str,
)
def test_facts_that_contradict_each_other_are_refused(
    path: tuple[Any, ...], to: Any, place: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(place / "classification", tmp_path / "classification"))
    facts = json.loads((run / FACTS).read_bytes())
    put(run, FACTS, json.dumps(edited(facts, path, to)).encode())
    with pytest.raises(StorageError, match="classification needs to hold a saved estimator, got "):
        load(run)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(word: str, place: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(place / "regression", tmp_path / "regression"))
    facts = json.loads((run / FACTS).read_bytes())
    mean = json.dumps(facts["learned"]["target_mean_"])
    put(run, FACTS, json.dumps(facts).replace(f'"target_mean_": {mean}', f'"target_mean_": {word}').encode())
    with pytest.raises(StorageError, match=r"model\.json needs to be JSON, got "):
        load(run)


def spoiled(arrays: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, array in arrays.items():
        for value in (np.nan, np.inf):
            poisoned = array.copy()
            poisoned.flat[-1] = value
            yield f"{name} holds {value}", arrays | {name: poisoned}
        for dtype in {"float16", "float32", "float64", "int64", "bool"} - {str(array.dtype)}:
            yield f"{name} is {dtype}", arrays | {name: array.astype(dtype)}
        yield f"{name} has an axis more", arrays | {name: array[None]}
        yield f"{name} is empty", arrays | {name: array[:0]}
        yield f"{name} is gone", {key: value for key, value in arrays.items() if key != name}
    yield "one too many", arrays | {"surprise": np.zeros(1, np.float32)}
    yield "all in half precision", {name: array.astype("float16") for name, array in arrays.items()}
    yield "scale is zero", arrays | {"scale": 0 * arrays["scale"]}
    yield "none at all", {}


def test_weights_that_are_not_of_the_network_are_refused_though_the_manifest_lists_them(run: Path) -> None:
    arrays = read_run(run).arrays(WEIGHTS)
    for name, array in arrays.items():
        assert array.dtype == ("float64" if name in ("shift", "scale") else "float32")
    for what, other in spoiled(arrays):
        put(run, WEIGHTS, arrays_to_bytes(other))
        with pytest.raises(StorageError, match="needs to hold a saved estimator, got "):
            raise AssertionError(f"{what}: {load(run)}")
    put(run, WEIGHTS, b"no safetensors")
    with pytest.raises(StorageError, match=WEIGHTS):
        load(run)


@pytest.mark.parametrize("version", ['"1"', "0", "-1", "true", "1.0", "null", "[1]"])
def test_a_format_version_that_is_none_is_refused(version: str, run: Path) -> None:
    content = (run / MANIFEST).read_bytes()
    rewrite_manifest(run, content.replace(b'"format_version": 1', b'"format_version": ' + version.encode()))
    with pytest.raises(StorageError, match="needs a run format of 1 to 1, got "):
        read_run(run)


def test_bits_flipped_and_files_cut_are_named(run: Path) -> None:
    draw = random.Random(run.name)
    names = sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())
    for name in names * (30 if SOAK else 1):
        path = run / name
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        for damaged in (flipped, content[: draw.randrange(len(content))], content + b"\0"):
            path.write_bytes(damaged)
            with pytest.raises(StorageError, match=name):
                read_run(run)
        path.unlink()
        with pytest.raises(StorageError, match=name):
            read_run(run)
        path.write_bytes(content)
    read_run(run)


@pytest.mark.parametrize("call", ["open", "scandir"])
def test_what_may_not_be_read_is_named(call: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = getattr(os, call)

    def refuse(path: Any, *rest: Any) -> Any:  # root may read everything
        if Path(path).name in (WEIGHTS, run.name):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest)

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(StorageError, match="could not be read: Permission denied"):
        read_run(run)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_run_killed_at_any_change_of_the_disk_is_whole_or_absent(tmp_path: Path) -> None:
    kills = 200 if SOAK else 20
    table().to_csv(tmp_path / "table.csv", index=False)
    subprocess.run([sys.executable, run_writer.__file__, str(tmp_path), str(kills)], check=True, timeout=300)
    whole = read_run(tmp_path / "runs" / "whole")
    found = 0
    for path in (tmp_path / "runs").iterdir():
        if path.name.startswith("."):
            assert path.name.endswith(".partial")
        else:
            found += path.name != "whole"
            assert read_run(path).manifest.files == whole.manifest.files
            load(path)
    assert 0 < found < kills
    assert set(os.listdir(tmp_path)) == {"table.csv", "runs"}
    storage.claim(tmp_path / "runs" / "next")


def test_a_setting_that_is_gone_is_refused_or_not_needed(run: Path, place: Path, tmp_path: Path) -> None:
    settings = json.loads((run / "config.json").read_bytes())
    for key in settings:
        put(run, "config.json", json.dumps({name: value for name, value in settings.items() if name != key}).encode())
        read_all(run, place, tmp_path / "predictions.csv")


@pytest.mark.parametrize("name", ["target_mean_", "target_scale_"])
def test_a_regressor_without_the_scale_of_its_target_is_refused(name: str, place: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(place / "regression", tmp_path / "regression"))
    facts = json.loads((run / FACTS).read_bytes())
    put(run, FACTS, json.dumps(edited(facts, ("learned", name), None)).encode())
    with pytest.raises(StorageError, match=f"{name} needs a number"):
        load(run)


@pytest.mark.parametrize("name", ["target_mean_", "target_scale_"])
def test_a_scale_that_no_target_has_is_refused(name: str, place: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(place / "regression", tmp_path / "regression"))
    facts = json.loads((run / FACTS).read_bytes())
    put(run, FACTS, json.dumps(edited(facts, ("learned", name), 1e141)).encode())
    with pytest.raises(StorageError, match=name):
        load(run)


def test_a_history_with_the_former_name_of_a_loss_is_read(place: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(place / "regression", tmp_path / "regression"))
    facts = json.loads((run / FACTS).read_bytes())
    before = load(run).history_
    for number, record in enumerate(facts["history"]):
        del record["eval_loss"]
        record["watched_loss"] = 0.5 + number
    put(run, FACTS, json.dumps(facts).encode())
    assert [record.eval_loss for record in load(run).history_] == [0.5, 1.5]
    assert [record.train_loss for record in load(run).history_] == [record.train_loss for record in before]
