"""``throughtime diagnose``: the verdict first, what it rests on after it, and a configuration that ``fit`` takes."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from vowels import COLUMNS, run

from diagnosed import BARE, DIAGNOSIS, EFFECTS, effect
from throughtime import storage
from throughtime.cli import diagnosis_screen
from throughtime.cli.config import read_config
from throughtime.cli.forest import forest_lines
from throughtime.errors import DataWarning, StorageError, warn
from throughtime.generalization import Diagnosis
from throughtime.records import Records
from throughtime.study import Run, diagnosing, read_diagnosis

NET = ["--hidden-size", "3", "--max-epochs", "1", "--random-state", "4"]


class Asked:
    """Answers as ``diagnose`` would, and keeps what it was asked."""

    answer = DIAGNOSIS

    def __call__(self, estimator: Any, X: Any, y: Any, **options: Any) -> Diagnosis:
        warn("some series are odd", DataWarning)
        self.checkpoints = options.pop("checkpoints")
        self.estimator, self.X, self.y, self.options = estimator, X, y, options
        return self.answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    double = Asked()
    monkeypatch.setattr(diagnosing, "diagnose", double)
    return double


@pytest.fixture(scope="module")
def fitted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    code, _, error = run("fit", table, *COLUMNS, *NET, "--cv", "3", "--split", ".25", "--lr", "0.02", "--out", out)
    assert code == 0, error
    return out


def test_the_verdict_is_the_first_line_and_the_sentence_the_second(table: Path, asked: Asked) -> None:
    code, out, error = run("diagnose", table, *COLUMNS, *NET)
    assert code == 0, error
    first, second, third, *_ = out.splitlines()
    assert first == "verdict: over-fit"
    assert second == DIAGNOSIS.sentence
    assert third == "some series are odd"  # said of the data before there was a verdict
    asked.answer = replace(DIAGNOSIS, verdicts=("not optimized", "noise- or feature-limited"))
    assert run("diagnose", table, *COLUMNS)[1].splitlines()[0] == "verdict: not optimized+noise- or feature-limited"


def test_what_is_typed_is_what_is_asked(table: Path, asked: Asked, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[model]\nlr = 0.5\n[validation]\ncv = "kfold:4"\nseeds = 3\n')
    typed = [
        "--margin",
        ".1",
        "--repeats",
        "3",
        "--budget",
        "60",
        "--no-racing",
        "--level",
        ".9",
        "--memory-budget",
        ".5",
    ]
    code, _, error = run(
        "diagnose", table, *COLUMNS, *NET, *typed, "--probes", "weight_decay up,dropout=0.3", "--config", config
    )
    assert code == 0, error
    assert asked.options == {
        "cv": "kfold:4",
        "groups": None,
        "margin": 0.1,
        "repeats": 3,
        "budget": 60,
        "racing": False,
        "level": 0.9,
        "memory_budget": 2**29,
        "probes": ["weight_decay up", "dropout=0.3"],
        "random_state": 4,
        "verbose": 1,
    }
    assert (asked.estimator.hidden_size, asked.estimator.lr) == (3, 0.5)
    run("diagnose", table, *COLUMNS, "--cv", "3", "--verbose", "0")
    plain = {"cv": "3", "groups": None, "probes": "auto", "random_state": 0, "verbose": 0}
    assert asked.options == plain  # what is not typed is diagnose's own default


@pytest.mark.parametrize(
    ("typed", "probes"),
    [
        ("features:diff,rolling:7", ["features:diff,rolling:7"]),
        ("auto,augment:jitter:0.1, mixup ,weight_decay up", ["auto", "augment:jitter:0.1,mixup", "weight_decay up"]),
        ("features=lag:3,diff,dropout=0.3,lr:0.1", ["features=lag:3,diff", "dropout=0.3", "lr:0.1"]),
        ('"features:diff,lag:2",features:diff', ["features:diff,lag:2", "features:diff"]),
        ("lr x4,diff", ["lr x4", "diff"]),  # which is no probe, and refused
    ],
)
def test_a_comma_within_augmentations_or_features_does_not_end_the_probe(
    typed: str, probes: list[str], table: Path, asked: Asked
) -> None:
    assert run("diagnose", table, *COLUMNS, "--probes", typed)[0] == 0
    assert asked.options["probes"] == probes


@pytest.mark.usefixtures("asked")
def test_every_effect_is_printed_with_its_interval_and_what_it_says(table: Path) -> None:
    _, out, _ = run("diagnose", table, *COLUMNS)
    heading = next(line for line in out.splitlines() if line.startswith("probe "))
    assert heading.split() == ["probe", "change", "gain", "interval", "says"]
    for one in EFFECTS:
        row = next(line for line in out.splitlines() if line.startswith(f"{one.probe} "))
        assert f" {one.change} " in row
        assert f" {one.gain:.3f}  ({one.low:.3f} to {one.high:.3f}) " in row
    assert re.search(r"^weight_decay up .* over-fit *$", out, re.MULTILINE)
    assert "log loss held out 0.512, on training series 0.021, of a dummy 0.693; margin 0.035 (5.05 % of" in out
    assert "More data: twice the data would gain 0.055 (0.01 to 0.14), an estimate." in out
    assert "History: the last 8 of 15 steps are enough." in out
    assert "over-fit (GEN014): weight_decay up gains; set it." in out
    assert "not found: gap alone (GEN017)." in out
    assert f"Open: {DIAGNOSIS.open_question}" in out
    assert "not measured: no regularization: no regularization is set; lr x4: 2 of 10 networks diverged." in out
    assert "190 networks trained in lockstep in 12 s, 20 spared by racing." in out
    assert "the budget ended it" not in out


def test_what_there_is_not_is_not_said(table: Path, asked: Asked) -> None:
    asked.answer = replace(BARE, effects=type(EFFECTS)(), not_measured={}, members_saved=0, out_of_time=True)
    _, out, _ = run("diagnose", table, *COLUMNS)
    for word in ("probe ", "More data", "History", "Open", "not measured", "spared", "dropped"):
        assert word not in out
    assert "in 12 s; the budget ended it before all was tried." in out


@pytest.mark.parametrize("width", [64, 80, 99, 100, 200])
def test_no_line_of_numbers_is_wider_than_the_screen(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    monkeypatch.setattr(diagnosis_screen, "console", lambda: console)
    with console.capture() as printed:
        console.print(diagnosis_screen._table(DIAGNOSIS))
    heading, *rows = printed.get().splitlines()
    assert len(rows) == len(EFFECTS)  # none folded
    assert ("change" in heading) == (width >= 100)
    assert max(map(len, [heading, *rows, *forest_lines(EFFECTS, DIAGNOSIS.margin, width)])) <= width


@pytest.mark.parametrize("width", [80, 100])
def test_names_of_probes_do_not_wrap_on_a_usual_screen(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    monkeypatch.setattr(diagnosis_screen, "console", lambda: console)
    name, change = "max_epochs x3 and lr x4", "max_epochs 30 to 90, lr 0.0004 to 0.0016"
    long = replace(effect(name, "noise- or feature-limited", 1234.5, 34.5), change=change)
    with console.capture() as printed:
        console.print(diagnosis_screen._table(replace(DIAGNOSIS, effects=Records([*EFFECTS, long]))))
    assert name in printed.get()


def test_the_forest_plot_is_the_intervals_in_letters() -> None:
    gains = effect("gains", None, 0.05, 0.05), effect("between", None, 0.025, 0.0)
    loses = effect("lost", None, -0.1, 0.0), effect("permuted", None, -0.9, 0.1)
    assert forest_lines([*loses[::-1], *gains[::-1]], 0.05, 31) == [
        "gains               |----o-----",
        "between             | o  :",
        "lost      o         |    :",
        "permuted  <         |    :",
        "                    0    margin",
    ]
    wide = [effect("a", None, 0.01, 0.01), effect("b", None, 0.02, 0.02), effect("wide", None, 0.0, 9.0)]
    assert forest_lines(wide, 0.05, 27)[-2] == "wide  <---------o----:---->"
    assert all(line.isascii() for line in forest_lines(EFFECTS, DIAGNOSIS.margin))


@pytest.mark.usefixtures("asked")
def test_a_diagnosis_is_written_with_its_pictures_and_read_again(table: Path, tmp_path: Path) -> None:
    code, out, error = run("diagnose", table, *COLUMNS, *NET, "--out", tmp_path / "it")
    assert code == 0, error
    assert read_diagnosis(tmp_path / "it") == DIAGNOSIS
    files = storage.read_run(tmp_path / "it")
    assert set(files.manifest.files) == {
        "diagnosis.json", "config.json", "effects.svg", "learning_curve.svg", "history.svg"
    }  # fmt: skip
    assert files.json("config.json")["parameters"]["hidden_size"] == 3
    assert f"written to {tmp_path / 'it'}: diagnosis.json" in out
    for words in (["predict", "IT", table, "-o", tmp_path / "out.csv"], ["flow", "IT"], ["diagnose", "IT"]):
        code, _, error = run(*(tmp_path / "it" if word == "IT" else word for word in words))
        assert code == 2
        assert "needs to be a run of fit or search, got a diagnosis" in error


def test_the_applied_configuration_is_that_of_the_diagnosis_with_its_remedy_and_fit_takes_it(
    table: Path, asked: Asked, tmp_path: Path
) -> None:
    typed = [*COLUMNS, *NET, "--cv", "kfold:3", "--clip-norm", "none"]
    code, out, error = run("diagnose", table, *typed, "--apply", tmp_path / "it.toml")
    assert code == 0, error
    assert f"next: throughtime fit {table} --config {tmp_path / 'it.toml'}" in out
    text = (tmp_path / "it.toml").read_text()
    assert "# Remedy: weight_decay 0 to 3.\n" in text
    assert "# Expected gain: log loss on unseen series lower by 0.098, 95 % interval 0.051 to 0.145.\n" in text
    code, _, error = run("fit", table, "--config", tmp_path / "it.toml", "--out", tmp_path / "run")
    assert code == 0, error
    trained = Run.open(tmp_path / "run")
    assert trained.estimator.set_params(verbose=1).get_params() == asked.estimator.get_params() | {"weight_decay": 3.0}
    assert trained.config["cv"] == "kfold:3"


@pytest.mark.parametrize("remedy", [None, replace(DIAGNOSIS.remedy, parameters={})], ids=["none", "no setting"])
def test_where_no_setting_is_a_remedy_none_is_applied(remedy: Any, table: Path, asked: Asked, tmp_path: Path) -> None:
    asked.answer = replace(DIAGNOSIS, remedy=remedy)
    code, out, error = run("diagnose", table, *COLUMNS, "--apply", tmp_path / "it.toml")
    assert code == 0, error
    assert f"{tmp_path / 'it.toml'} was not written: no parameter of the network is a remedy" in out
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_diagnosed_as_it_was_trained(fitted: Path, table: Path, asked: Asked, tmp_path: Path) -> None:
    code, out, error = run("diagnose", fitted, "--apply", tmp_path / "it.toml")
    assert code == 0, error
    assert "does not hold what" not in out
    opened = Run.open(fitted)
    assert asked.estimator.get_params() == opened.estimator.set_params(verbose=1).get_params()
    assert len(asked.X) == sum(len(fold.test) for fold in opened.folds)  # without those set aside
    assert asked.options["cv"] == opened.config["cv"]
    assert read_config(tmp_path / "it.toml")["data"]["split"] == 0.25
    code, _, error = run("fit", table, "--config", tmp_path / "it.toml", "--out", tmp_path / "run")
    assert code == 0, error
    trained = Run.open(tmp_path / "run")
    assert trained.config == opened.config | {"parameters": opened.config["parameters"] | {"weight_decay": 3.0}}
    run("diagnose", fitted, "--cv", "kfold:4")
    assert asked.options["cv"] == "kfold:4"


@pytest.mark.usefixtures("asked")
def test_data_that_have_changed_since_the_run_are_pointed_out(table: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(table.read_bytes())
    assert run("fit", copy, *COLUMNS, *NET, "--cv", "2", "--out", tmp_path / "run")[0] == 0
    lines = copy.read_text().splitlines()
    copy.write_text("\n".join([lines[0], *lines[1:]]).replace(lines[5], lines[5].replace("1", "2", 1)))
    _, out, _ = run("diagnose", tmp_path / "run")
    assert f"{copy} does not hold what {tmp_path / 'run'} was trained on: the verdict is of what it holds now" in out


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "--hidden-size", "3"], "--hidden-size needs a source, got a run, which has its own"),
        (["RUN", "--split", ".2"], "--split needs a source, got a run"),
        (["TABLE", *COLUMNS, "--memory-budget", "0"], "--memory-budget needs a number of GiB above 0, got 0"),
        (["TABLE", *COLUMNS, "--apply", "TABLE"], "exists; choose another file"),
        (["TABLE", *COLUMNS, "--apply", "absent/it.toml"], "absent/it.toml could not be written: No such file"),
        (["TABLE", *COLUMNS, "--out", "RUN"], "exists"),
        (["TABLE", "--id", "series", "--time", "step", "--channels", "c0,c1"], "needs the column to predict"),
        (["absent.csv"], "absent.csv"),
        (["TABLE", *COLUMNS, "--lr", "0"], "lr needs"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused_and_leaves_nothing(
    words: list[str], message: str, fitted: Path, table: Path, tmp_path: Path
) -> None:
    places = {"RUN": fitted, "TABLE": table}
    out = [] if "--out" in words else ["--out", tmp_path / "new" / "it"]
    code, printed, error = run("diagnose", *(places.get(word, word) for word in words), *out)
    assert code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert printed == ""
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("asked")
def test_a_verdict_is_printed_though_the_disk_refuses_it(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StorageError("it could not be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage.UnfinishedRun, "finish", refuse)
        code, out, error = run("diagnose", table, *COLUMNS, "--out", tmp_path / "it")
    assert code == 2
    assert out.startswith("verdict: over-fit\n")
    assert "written to" not in out
    goes_on = f"throughtime resume {tmp_path / 'it'} goes on when that is put right"
    assert error == f"error: it could not be written: No space left on device; {goes_on}\n"
    code, out, error = run("resume", tmp_path / "it")
    assert code == 0, error
    assert read_diagnosis(tmp_path / "it") == DIAGNOSIS
