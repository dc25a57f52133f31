"""``throughtime shift``: the verdict first, what it rests on after it; and what predict and fit say of a shift."""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from vowels import COLUMNS, long_table, run

from shifted import CHANNELS, CLASSES, NO_SHIFT, SHIFT, STRETCHES, TESTS
from throughtime import load, storage
from throughtime.cli import screen, shift_screen
from throughtime.errors import DataWarning, StorageError, warn
from throughtime.records import Records
from throughtime.shift import ShiftDiagnosis
from throughtime.storage import MANIFEST
from throughtime.storage.manifest import manifest_bytes
from throughtime.study import Run, inputs_left, shift_to_test, shifting

NET = ["--hidden-size", "3", "--max-epochs", "1", "--cv", "2"]
ITEMS = ["--id", "item", "--time", "step", "--target", "label"]


class Asked:
    """Answers as ``diagnose_shift`` would, and keeps what it was asked."""

    answer = SHIFT

    def __call__(self, reference: Any, deployed: Any, y: Any = None, **options: Any) -> ShiftDiagnosis:
        for _ in range(2):  # as of two networks
            warn("some series are odd", DataWarning)
        self.reference, self.deployed, self.y, self.options = reference, deployed, y, options
        return self.answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    double = Asked()
    for module in (shifting, shift_to_test):
        monkeypatch.setattr(module, "diagnose_shift", double)
    return double


@pytest.fixture(scope="module")
def fitted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    code, _, error = run("fit", table, *COLUMNS, *NET, "--out", out)
    assert code == 0, error
    return out


def people(place: Path, name: str, persons: int, moved: float, first: int = 0, **columns: Any) -> Path:
    """Six series of each of some persons, with a level of their own."""
    rng = np.random.default_rng(first + persons)
    n = 6 * persons
    level = np.repeat(rng.normal(size=persons), 6)
    rows = {
        "item": np.repeat(np.arange(n), 5),
        "step": np.tile(np.arange(5), n),
        "person": np.repeat([f"p{first + k}" for k in range(persons)], 30),
        "label": np.repeat(np.where(np.arange(n) % 2, "ebb", "flow"), 5),
        "a": np.repeat(level + moved, 5) + rng.normal(size=5 * n),
    }
    pd.DataFrame(rows | columns).to_csv(place / name, index=False)
    return place / name


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("people")
    source = people(place, "people.csv", 12, 0.0)
    code, _, error = run("fit", source, *ITEMS, "--group", "person", *NET, "--out", place / "run")
    assert code == 0, error
    return place / "run"


def test_the_verdict_is_the_first_line_and_the_sentence_the_second(fitted: Path, table: Path, asked: Asked) -> None:
    code, out, error = run("shift", fitted, table)
    assert code == 0, error
    first, second, third, fourth, *_ = out.splitlines()
    assert first == "verdict: covariate"
    assert second == SHIFT.sentence
    assert third == "some series are odd"  # said of the data before there was a verdict
    assert fourth == ""
    assert asked.y is None
    for verdict in ("none detected", "label", "concept", "mixed", "undetermined", "insufficient"):
        asked.answer = replace(SHIFT, verdict=verdict)  # type: ignore[arg-type]
        assert run("shift", fitted, table)[1].splitlines()[0] == f"verdict: {verdict}"


def test_labels_are_used_when_they_are_asked_for(fitted: Path, table: Path, asked: Asked) -> None:
    code, _, error = run("shift", fitted, table, "--labels")
    assert code == 0, error
    assert asked.y is not None
    assert len(asked.y) == len(asked.deployed) == 24
    assert asked.reference.classes.tolist() == [1, 2, 3]
    assert asked.options == {"groups": None}


def test_with_labels_series_without_one_are_left_out_and_counted(
    fitted: Path, table: Path, asked: Asked, tmp_path: Path
) -> None:
    rows = pd.read_csv(table)
    some = rows["series"].unique()[::2]
    rows.assign(label=rows["label"].where(rows["series"].isin(some))).to_csv(tmp_path / "half.csv", index=False)
    code, out, error = run("shift", fitted, tmp_path / "half.csv", "--labels")
    assert code == 0, error
    assert len(asked.y) == len(asked.deployed) == 12
    assert out.startswith("verdict: ")
    assert "12 of 24 series have no target and are left out" in " ".join(out.split())
    code, out, error = run("shift", fitted, tmp_path / "half.csv")
    assert code == 0, error
    assert len(asked.deployed) == 24


@pytest.mark.usefixtures("asked")
def test_every_number_is_printed_once(fitted: Path, table: Path) -> None:
    _, out, _ = run("shift", fitted, table, "--labels")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "test p effect 95 % interval in detectable" in lines
    assert "X 0.005 1.20 1.00 to 1.40 sd 0.31" in lines
    assert "Y given X 0.720 - - - 0.31" in lines
    assert any(line.startswith("80 reference against 60 deployed series, permuted as a whole") for line in lines)
    assert "rain mean +1.20 sd +1.00 to +1.40 0.005" in lines
    assert "length +0.05 sd -0.10 to +0.20 0.900" in lines
    assert "75 to 100 % rain +1.60 sd 0.005" in lines
    assert "ebb 0.500 0.620 0.500 to 0.740 labels" in lines
    assert "inputs moved (SHF003): X moved by 1.2 sd; train on series like them." in lines
    assert "not found: targets moved (SHF004)." in lines
    assert "not judged, there are 60: too few series (SHF001)." in lines


def test_of_numbers_it_prints_how_far_the_targets_moved(fitted: Path, table: Path, asked: Asked) -> None:
    asked.answer = replace(SHIFT, targets=Records([replace(CHANNELS[0], channel="", summary="the target")]))
    _, out, _ = run("shift", fitted, table)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[lines.index("target moved 95 % interval p") + 1] == "the target +1.20 sd +1.00 to +1.40 0.005"


def test_what_there_is_not_is_not_said_and_of_many_the_first_are(fitted: Path, table: Path, asked: Asked) -> None:
    asked.answer = replace(NO_SHIFT, tests=Records(), findings=Records())
    _, out, _ = run("shift", fitted, table)
    assert out.splitlines()[3:] == [""]
    asked.answer = replace(SHIFT, channels=Records([replace(CHANNELS[0], channel=f"c{k}") for k in range(20)]))
    _, out, _ = run("shift", fitted, table)
    assert "c7 mean" in out
    assert "c8 mean" not in out
    assert "and 12 more that moved less" in out


@pytest.mark.parametrize("width", [80, 120])
def test_no_row_of_a_table_is_wider_than_the_screen(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    for module in (screen, shift_screen):
        monkeypatch.setattr(module, "console", lambda: console)
    wide = replace(SHIFT, tests=Records([replace(TESTS[0], name="X given Y", n_reference=12345)]))
    with console.capture() as printed:
        shift_screen.print_tests(wide)
        shift_screen.print_moved(wide)
    lines = printed.get().splitlines()
    assert max(map(len, lines)) <= width
    assert sum(" to " in line for line in lines) == 1 + len(CHANNELS) + len(STRETCHES) + len(CLASSES)


@pytest.mark.usefixtures("asked")
def test_a_shift_is_written_with_its_pictures_and_is_no_run(fitted: Path, table: Path, tmp_path: Path) -> None:
    code, out, error = run("shift", fitted, table, "--labels", "--out", tmp_path / "it")
    assert code == 0, error
    files = storage.read_run(tmp_path / "it")
    names = {"shift.json", "config.json", "channels.svg", "classes.svg", "stretches.svg"}
    assert set(files.manifest.files) == names
    kept, asked_for = files.json("shift.json"), files.json("config.json")
    assert (kept["verdict"], kept["sentence"], kept["labeled"]) == ("covariate", SHIFT.sentence, True)
    assert [test["p_value"] for test in kept["tests"]] == [test.p_value for test in TESTS]
    assert kept["channels"][0] == vars(CHANNELS[0])
    assert "reference" not in kept
    assert (asked_for["run"], asked_for["source"], asked_for["labels"]) == (str(fitted), str(table), True)
    assert f"written to {tmp_path / 'it'}: shift.json" in out
    for words in (["predict", "IT", table, "-o", tmp_path / "out.csv"], ["flow", "IT"], ["shift", "IT", table]):
        code, _, error = run(*(tmp_path / "it" if word == "IT" else word for word in words))
        assert code == 2
        assert "needs to be a run of fit or search, got a diagnosis of shift" in error


@pytest.mark.usefixtures("asked")
def test_a_verdict_is_printed_though_the_disk_refuses_it(
    fitted: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StorageError("it could not be written: No space left on device")

    monkeypatch.setattr(storage, "write_run", refuse)
    code, out, error = run("shift", fitted, table, "--out", tmp_path / "it")
    assert code == 2
    assert out.startswith("verdict: covariate\n")
    assert "written to" not in out
    assert error == "error: it could not be written: No space left on device\n"


def without_sample(fitted: Path, place: Path) -> Path:
    """A run as an early version wrote it."""
    shutil.copytree(fitted, place)
    for name in ("shift.json", "shift.safetensors"):
        (place / name).unlink()
    files = {path.name: path.read_bytes() for path in place.iterdir() if path.name != MANIFEST}
    (place / MANIFEST).write_bytes(manifest_bytes(files, json.loads((fitted / MANIFEST).read_bytes())["facts"]))
    return place


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "UNLABELED", "--labels"], "target (--target) needs a column of the table"),
        (["RUN", "EMPTY", "--labels"], "EMPTY"),
        (["RUN", "NONE", "--labels"], "got none in any; --labels can be left out"),
        (["RUN", "absent.csv"], "absent.csv"),
        (["RUN", "OTHER"], "got 'c5'"),
        (["RUN", "EMPTY"], "EMPTY"),
        (["RUN", "RUN"], "needs to be data, got a directory with a run's manifest"),
        (["OLD", "TABLE"], "needs shift.safetensors for shift tests, which runs of early versions lack; fit it again"),
        (["RUN", "TABLE", "--out", "RUN"], "exists"),
        (["RUN", "STRANGER", "--labels"], "y needs the classes that the members know (1, 2, 3), got 9"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_leaves_nothing(
    words: list[str], message: str, fitted: Path, table: Path, tmp_path: Path
) -> None:
    rows = pd.read_csv(table)
    places = {"RUN": fitted, "TABLE": table, "OLD": without_sample(fitted, tmp_path / "old")}
    for name, changed in {
        "UNLABELED": rows.drop(columns="label"),
        "OTHER": rows.drop(columns="c5"),
        "EMPTY": rows.iloc[:0],
        "NONE": rows.assign(label=None),
        "STRANGER": rows.assign(label=rows["label"].replace(3, 9)),
    }.items():
        changed.to_csv(tmp_path / f"{name}.csv", index=False)
        places[name] = tmp_path / f"{name}.csv"
    out = [] if "--out" in words else ["--out", tmp_path / "new" / "it"]
    code, printed, error = run("shift", *(places.get(word, word) for word in words), *out)
    assert code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert printed == ""
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("groups", ["given", "absent"])
def test_groups_are_read_where_the_source_has_them(groups: str, grouped: Path, asked: Asked, tmp_path: Path) -> None:
    source = people(tmp_path, "new.csv", 3, 0.0, first=40)
    if groups == "absent":
        pd.read_csv(source).drop(columns="person").to_csv(source, index=False)
    code, _, error = run("shift", grouped, source)
    assert code == 0, error
    found = asked.options["groups"]
    assert (found is None) == (groups == "absent")
    if found is not None:
        assert found.tolist() == ["p40"] * 6 + ["p41"] * 6 + ["p42"] * 6


def test_a_source_without_the_groups_of_the_run_is_said_to_be(grouped: Path, tmp_path: Path) -> None:
    source = people(tmp_path, "new.csv", 12, 0.0, first=40)
    assert "on both sides or on neither" not in run("shift", grouped, source)[1]
    pd.read_csv(source).drop(columns="person").to_csv(source, index=False)
    code, out, error = run("shift", grouped, source)
    assert code == 0, error
    assert "groups on both sides or on neither, got none of the deployed series" in " ".join(out.split())


def test_groups_of_the_training_series_count_as_others_and_it_is_said(
    grouped: Path, asked: Asked, tmp_path: Path
) -> None:
    code, out, error = run("shift", grouped, people(tmp_path, "new.csv", 3, 0.0, first=10))
    assert code == 0, error
    assert "2 of the groups of" in out
    assert "are in the training series too (p10, p11): they are taken for other groups" in out
    assert set(asked.options["groups"]) == {"p10, deployed", "p11, deployed", "p12, deployed"}


# What predict says.


def predicted(run_: Path, source: Path, out: Path, *flags: str) -> str:
    code, printed, error = run("predict", run_, source, "-o", out, *flags)
    assert code == 0, error
    return printed


def moved_vowels(place: Path, by: float, first: int = 8, n: int = 8) -> Path:
    """Other series of the same three speakers, all channels moved."""
    X, y = load("japanese-vowels", split="train")
    assert isinstance(y, np.ndarray)
    rows = np.concatenate([np.flatnonzero(y == speaker)[first : first + n] for speaker in (1, 2, 3)])
    long_table(X[rows].replace(), y[rows]).assign(c0=lambda t: t["c0"] + by).to_csv(place / "new.csv", index=False)
    return place / "new.csv"


def test_predict_says_in_a_line_when_series_have_left_and_else_nothing(fitted: Path, tmp_path: Path) -> None:
    line = "these series are unlike those that the network was trained on (p 0.001, 24 against 24 series)"
    out = predicted(fitted, moved_vowels(tmp_path, 3.0), tmp_path / "a.csv")
    assert out.count("\n") == 2
    assert line in out
    assert f"throughtime shift {fitted} {tmp_path / 'new.csv'} says how" in out
    quiet = predicted(fitted, tmp_path / "new.csv", tmp_path / "b.csv", "--no-shift-check")
    assert quiet.count("\n") == 1
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert predicted(fitted, moved_vowels(tmp_path, 0.0), tmp_path / "c.csv").count("\n") == 1  # the same speakers
    few = predicted(fitted, moved_vowels(tmp_path, 3.0, n=6), tmp_path / "d.csv")
    assert few.count("\n") == 1  # of 18 series
    old = without_sample(fitted, tmp_path / "old")
    assert predicted(old, moved_vowels(tmp_path, 3.0), tmp_path / "e.csv").count("\n") == 1


def test_predict_takes_a_person_for_the_unit(grouped: Path, tmp_path: Path) -> None:
    line = "these series are unlike"
    assert line in predicted(grouped, people(tmp_path, "a.csv", 10, 3.0, first=40), tmp_path / "a-out.csv")
    # a person is unlike others, and that is no shift
    assert line not in predicted(grouped, people(tmp_path, "b.csv", 4, 0.0, first=40), tmp_path / "b-out.csv")
    bare = people(tmp_path, "c.csv", 10, 3.0, first=40)
    pd.read_csv(bare).drop(columns="person").to_csv(bare, index=False)
    assert line not in predicted(grouped, bare, tmp_path / "c-out.csv")


def test_of_many_series_some_are_looked_at(fitted: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from throughtime.cli.predict import read_alike

    opened = Run.open(fitted)
    data = read_alike(str(table), opened.config, opened.estimator)
    data = replace(data, X=data.X.replace(channel_names=data.X.channel_names))
    monkeypatch.setattr(shifting, "MOST_UNASKED", 10)
    monkeypatch.setattr(shifting, "UNASKED", 1.0)
    test = inputs_left(opened, data)
    assert test is not None
    assert (test.n_reference, test.n_deployed) == (10, 10)


# What fit says of a test.


def test_fit_says_whether_test_and_training_differ(table: Path, asked: Asked, tmp_path: Path) -> None:
    _, out, _ = run("fit", table, *COLUMNS, *NET, "--split", ".3", "--out", tmp_path / "a")
    assert f"test against training: covariate. {SHIFT.sentence}" in out
    assert asked.options["level"] == 0.01
    assert len(asked.y) == len(asked.deployed) == 8
    _, out, _ = run("fit", table, *COLUMNS, *NET, "--out", tmp_path / "b")
    assert "test against training" not in out


def test_fit_says_why_a_test_cannot_be_compared(tmp_path: Path) -> None:
    source, stranger = people(tmp_path, "t.csv", 4, 0.0), people(tmp_path, "s.csv", 4, 0.0, label="slack")
    columns = [*ITEMS, "--channels", "a"]
    code, out, error = run("fit", source, *columns, *NET, "--test", stranger, "--out", tmp_path / "run")
    assert code == 0, error
    assert "test against training: not compared, y needs the classes that the members know" in out
