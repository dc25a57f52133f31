"""A run gives back what the study held, and names the file that keeps it from that."""

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import FLAGS, archive, arrays, classifier, data_of, labeled, rain, regressor
from typer.testing import CliRunner

from throughtime import evaluate, read, storage
from throughtime.cli.app import app
from throughtime.errors import ParameterError, StorageError
from throughtime.shift import ShiftDiagnosis
from throughtime.storage import MANIFEST, read_run
from throughtime.storage.manifest import manifest_bytes
from throughtime.study import Run, Study, outcome_of

X, Y = arrays()
#: What a run is asked for, and the file that it is in.
READERS: dict[str, tuple[str, ...]] = {
    "config": ("config.json",),
    "data": ("data.json",),
    "folds": ("folds.json",),
    "metrics": ("metrics.json",),
    "findings": ("metrics.json",),
    "estimator": ("model.json", "model.safetensors"),
    "members": ("members.json", "members.safetensors"),
    "failures": ("members.json",),
    "flow": ("flow.safetensors",),
    "reference": ("shift.json", "shift.safetensors"),
    "shift_to_test": ("test_shift.json",),
    "curves": ("curves.csv",),
    "out_of_fold": ("out_of_fold.csv",),
    "test_predictions": ("test_predictions.csv",),
    "pictures": ("curves.png", "out_of_fold.png", "test_predictions.png"),
}
VALUES = [None, True, 0, -1, 0.5, 10**30, "", "x", [], ["x"], [[]], {}, {"x": 1}]


def studies(place: Path) -> dict[str, Callable[[], Study]]:
    flags = np.arange(20) % 2 == 0
    numbered = read(str(archive(place, "numbered.npz", 24)))
    return {
        "text": lambda: evaluate(classifier(), data_of(labeled(place)), cv="group:2", seeds=2, test=0.3),
        "numbers": lambda: evaluate(classifier(), numbered, test=numbered, cv=2),
        "flags": lambda: evaluate(classifier(), X, flags, cv=2, test=0.5),
        "days": lambda: evaluate(regressor(), data_of(rain(place)), test=0.5, cv="kfold:2"),
        "forecast": lambda: evaluate(
            regressor(horizon=2), data_of(rain(place), own_past=True), season=3, cv="kfold:2", test=0.4
        ),
        "values": lambda: evaluate(regressor(), X, X.sum((1, 2)) / 3, cv="loo", test=0.8, sample_weight=np.ones(20)),
        "a fold failed": lambda: evaluate(
            classifier(), X, np.repeat(["nan", "b"], 10), cv=[(range(10), range(10, 20)), (range(5, 15), range(5))],
            scoring="accuracy", test=(X[:3], np.array(["nan", "b", "longer than either"])),
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def saved(place: Path) -> tuple[Study, Path]:
    study = studies(place)["text"]()
    study.save(place / "saved")
    return study, place / "saved"


@pytest.fixture
def copy(saved: tuple[Study, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved[1], tmp_path / "copy"))


def rewrite(run: Path, name: str, content: bytes | None) -> None:
    """Change or remove a file, and make the manifest again."""
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_bytes(content)
    files = {path.name: path.read_bytes() for path in run.iterdir() if path.name != MANIFEST}
    (run / MANIFEST).write_bytes(manifest_bytes(files, {}))


def asked(run: Run, reader: str) -> Any:
    """What a run gives when it is asked for something."""
    value = getattr(run, reader)
    return value() if callable(value) else value


def refusal(run: Path, reader: str) -> str:
    """What a reader refuses a run with; nothing when its content is harmless."""
    try:
        asked(Run.open(run), reader)
    except StorageError as error:
        return str(error)
    return ""


def bits(estimator: Any) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in estimator.module_.state_dict().items()}


@pytest.mark.parametrize("kind", ["text", "numbers", "flags", "days", "forecast", "values", "a fold failed"])
def test_a_run_gives_back_what_the_study_held(kind: str, place: Path, tmp_path: Path) -> None:
    study = studies(place)[kind]()
    study.save(tmp_path / "run")
    run = Run.open(str(tmp_path / "run"))
    assert run.seeds == study.config["seeds"]
    plain = json.loads(storage.json_to_bytes(study.config))
    assert {name: run.config[name] for name in plain if name != "seconds"} == {
        name: value for name, value in plain.items() if name != "seconds"
    }
    np.testing.assert_equal(asdict(run.metrics), asdict(study.metrics))  # NaN where there is no score
    assert run.config["columns"] == study.config["columns"]
    assert run.findings == study.findings
    assert repr(run.scores) == repr(study.scores)
    for fold, held in zip(run.folds, study.folds, strict=True):
        np.testing.assert_equal(vars(fold), vars(held))
    for name in ("curves", "out_of_fold", "test_predictions"):
        read_again, held_table = getattr(run, name), getattr(study, name)
        assert list(read_again) == list(held_table)
        for column, values in held_table.items():
            # digits of float32 are read as the float64 that they spell
            np.testing.assert_array_equal(read_again[column].astype(values.dtype), values)
            if column in ("truth", "prediction") and values.dtype.kind != "O":
                assert read_again[column].dtype.kind == values.dtype.kind
    assert bits(run.estimator) == bits(study.estimator)
    assert list(map(bits, run.estimators)) == list(map(bits, study.estimators))
    assert [(one.seed, one.fold, one.failure) for one in run.failures] == [
        (one.seed, one.fold, one.failure) for one in study.members if one.failure is not None
    ]
    found = study.shift_to_test
    kept = outcome_of(found) if isinstance(found, ShiftDiagnosis) else found
    assert storage.json_to_bytes({"": run.shift_to_test}) == storage.json_to_bytes({"": kept})  # NaN where none is
    for member, held_member in zip(run.members, study.members, strict=True):
        assert (member.seed, member.fold, member.failure) == (held_member.seed, held_member.fold, held_member.failure)
        assert (member.estimator is None) == (held_member.estimator is None)
        if member.estimator is not None:
            assert bits(member.estimator) == bits(held_member.estimator)
            assert member.estimator.history_ == held_member.estimator.history_
    predicted, expected = (model.predict(study.train.X) for model in (run.estimator, study.estimator))
    if study.estimator.by_step_:
        predicted, expected = predicted.values, expected.values
    np.testing.assert_array_equal(predicted, expected)


def test_a_run_says_what_its_bits_depend_on(saved: tuple[Study, Path]) -> None:
    run = Run.open(saved[1])
    assert run.facts == read_run(saved[1]).manifest.facts
    assert run.facts["bitwise_reproducible"]
    assert run.created in repr(run)
    assert set(run.names) == {path.name for path in saved[1].iterdir()} - {MANIFEST}
    assert all(content.startswith(b"\x89PNG") for content in run.pictures.values())
    assert set(run.data.fingerprint or {}) == {"targets", "inputs"}
    assert run.data.train["n_series"] == len(saved[0].train.X)
    assert run.search is None


def test_a_searched_run_holds_its_settings(tmp_path: Path) -> None:
    source, columns = labeled(tmp_path)
    (tmp_path / "grid.toml").write_text('lr = [0.01, 0.1]\ncell = ["rnn", "gru"]\n')
    words = [word for name, column in columns.items() for word in (f"--{name}", column)]
    arguments = ["search", str(source), *words, *FLAGS, "--grid", str(tmp_path / "grid.toml"), "--cv", "2"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.stderr
    run = Run.open(tmp_path / "run")
    assert run.search is not None
    assert run.search["param_lr"].tolist() == [0.01, 0.1, 0.01, 0.1]
    assert run.search["param_cell"].tolist() == ["rnn", "rnn", "gru", "gru"]
    best = run.search["mean_test_accuracy"].max()
    assert run.scores[len(run.metrics.models) - 1].validation == pytest.approx(best)
    assert run.config["search"]["n_settings"] == 4


def test_every_file_is_read_by_something(saved: tuple[Study, Path]) -> None:
    named = {name for files in READERS.values() for name in files}
    pictures = {name for name in Run.open(saved[1]).names if name.endswith(".png")}
    assert set(Run.open(saved[1]).names) == named | pictures


@pytest.mark.parametrize("reader", READERS)
def test_a_file_damaged_or_gone_after_opening_is_named_when_it_is_read(reader: str, copy: Path) -> None:
    for name in READERS[reader]:
        content = (copy / name).read_bytes()
        for damaged in (content[:-1], content + b"\0", b"", content[:-1] + bytes([content[-1] ^ 1]), None):
            run = Run.open(copy)
            assert asked(Run.open(copy), reader) is not None
            (copy / name).unlink() if damaged is None else (copy / name).write_bytes(damaged)
            with pytest.raises(StorageError, match=name):
                asked(run, reader)
            with pytest.raises(StorageError, match=name):
                Run.open(copy)
            (copy / name).write_bytes(content)


@pytest.mark.parametrize("reader", ["config", "data", "folds", "metrics", "findings", "members"])
def test_a_file_of_another_content_under_a_manifest_made_again_is_named(reader: str, copy: Path) -> None:
    draw = random.Random(reader)
    for name in READERS[reader]:
        original = (copy / name).read_bytes()
        contents = [original[: len(original) // 2], b"\xff\xfe", b"1e999", b"[" * 100_000]
        if name.endswith(".json"):
            contents += [json.dumps(value).encode() for value in VALUES]
            value = json.loads(original)
            keys = list(value) if isinstance(value, dict) else list(range(len(value)))
            for key in draw.sample(keys, min(4, len(keys))):
                for other in VALUES:
                    changed = value.copy()
                    changed[key] = other
                    contents.append(json.dumps(changed).encode())
        for content in contents:
            rewrite(copy, name, content)
            message = refusal(copy, reader)
            assert not message or name in message
        rewrite(copy, name, None)
        assert name in refusal(copy, reader)
        rewrite(copy, name, original)


@pytest.mark.parametrize("reader", ["curves", "out_of_fold", "test_predictions"])
def test_a_table_of_another_content_is_named(reader: str, copy: Path) -> None:
    (name,) = READERS[reader]
    original = (copy / name).read_bytes()
    head, *rows = original.split(b"\n")
    contents = [b"", b"\xff", b"a", b'"', head.replace(b'"seed"', b'"s') + b"\n" + b"\n".join(rows)]
    contents += [head + b"\n1,2,3\n", head + b"\n" + b"\n".join(rows).replace(b"0", b"x")]
    for content in contents:
        rewrite(copy, name, content)
        with pytest.raises(StorageError, match=f"{name} needs to"):
            getattr(Run.open(copy), reader)


def test_arrays_that_are_not_those_of_the_members_are_named(copy: Path) -> None:
    arrays_ = read_run(copy).arrays("members.safetensors")
    for changed in (
        {name: array for name, array in arrays_.items() if not name.startswith("seed0.fold1.")},
        arrays_ | {"seed0.fold1.scale": np.zeros(1)},
        {},
    ):
        rewrite(copy, "members.safetensors", storage.arrays_to_bytes(changed))
        with pytest.raises(StorageError, match=r"members\.json: seed0\.fold"):
            _ = Run.open(copy).members


def test_a_run_of_an_earlier_version_opens(saved: tuple[Study, Path], copy: Path) -> None:
    for name in ("model.json", "members.json", "curves.csv"):
        rewrite(copy, name, (copy / name).read_bytes().replace(b"eval_loss", b"watched_loss"))
    metrics = json.loads((copy / "metrics.json").read_bytes())
    del metrics["leakage"]
    rewrite(copy, "metrics.json", json.dumps(metrics).encode())
    facts = json.loads((copy / "data.json").read_bytes())
    del facts["fingerprint"]
    rewrite(copy, "data.json", json.dumps(facts).encode())
    study, run = saved[0], Run.open(copy)
    assert bits(run.estimator) == bits(study.estimator)
    assert run.estimator.history_ == study.estimator.history_
    assert run.members[0].estimator is not None
    assert run.members[0].estimator.history_ == study.members[0].estimator.history_  # type: ignore[union-attr]
    assert list(run.curves) == list(study.curves)
    np.testing.assert_array_equal(run.curves["eval_loss"], study.curves["eval_loss"])
    assert list(run.findings) == []
    assert run.data.fingerprint is None


def test_a_save_that_is_refused_or_interrupted_leaves_nothing(
    saved: tuple[Study, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = saved[0]
    (tmp_path / "taken").mkdir()
    with pytest.raises(StorageError, match="exists"):
        study.save(tmp_path / "taken")
    calls = 0
    real = os.replace

    def interrupted(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.save(tmp_path / "deep" / "run")
    assert [path.name for path in tmp_path.rglob("*")] == ["taken"]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="needs to be the directory of a run, got nothing"):
        Run.open(tmp_path / "none")
    with pytest.raises(ParameterError, match=r"^directory needs a path, got 3$"):
        Run.open(3)  # type: ignore[arg-type]
    with pytest.raises(StorageError, match=r"needs a manifest\.json to be a run, got none"):
        Run.open(tmp_path)
