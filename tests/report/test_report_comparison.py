"""Two runs on one page: the corrected test of their folds, or why there is none; the rest beside each other."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from read_html import Element, referred, sections_of, tree_of
from reported_runs import run_of

from throughtime import SequenceClassifier, SequenceRegressor, evaluate, study
from throughtime.cli.report import report
from throughtime.errors import ParameterError, StorageError
from throughtime.generalization import paired_comparison
from throughtime.report import PAIR_SECTIONS, comparison_page, write_comparison
from throughtime.report.comparison import _draw_to_scale
from throughtime.report.learning import curves_display
from throughtime.study import Run, Study, folds_won_in_words, number, outcome_in_words, p_in_words

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 5, 2))
y = np.where(X[:, :, 0].mean(1) > 0, "up", "down")
SMALL = {"hidden_size": 3, "max_epochs": 2, "random_state": 0}
GRU = SequenceClassifier(**SMALL)
RNN = SequenceClassifier(**SMALL | {"cell": "rnn", "max_epochs": 4, "lr": 0.1})


@pytest.fixture(scope="module")
def made() -> dict[str, Study]:
    return {
        "gru": evaluate(GRU, X, y, cv=3, baselines=False),
        "rnn": evaluate(RNN, X, y, cv=3, seeds=2, baselines=False),
        "other folds": evaluate(GRU, X, y, cv=4, baselines=False),
        "other data": evaluate(GRU, X, y[::-1], cv=3, baselines=False),
        "other scores": evaluate(GRU, X, y, cv=3, scoring="f1_macro", baselines=False),
        "regression": evaluate(SequenceRegressor(**SMALL), X, X.sum((1, 2)), cv=3, test=0.25, baselines=False),
    }


@pytest.fixture(scope="module")
def runs(made: dict[str, Study]) -> dict[str, Run]:
    return {name: run_of(one) for name, one in made.items()}


def page(first: Run, second: Run) -> dict[str, Element]:
    return sections_of(comparison_page(first, second).decode())


def rows(section: Element, place: int = 0) -> list[list[str]]:
    """The rows of a table of a section, without its head."""
    body = section.all("tbody")[place]
    return [[cell.says() for cell in row.all("th", "td")] for row in body.all("tr")]


def test_scores_are_those_of_the_paired_test_on_the_same_folds(made: dict[str, Study], runs: dict[str, Run]) -> None:
    scores = [np.mean(made[name].metrics.models[-1].validation["accuracy"], axis=0) for name in ("gru", "rnn")]
    expected = paired_comparison(*scores, *zip(*[(len(a), len(b)) for a, b in made["gru"].splits], strict=True))
    found = page(runs["gru"], runs["rnn"])
    first, *_ = rows(found["scores"])
    low, high, p_value = expected.difference.low, expected.difference.high, expected.p_value
    assert low is not None
    assert high is not None
    assert p_value is not None
    assert first == [
        "accuracy",
        *(number(float(np.mean(one))) for one in scores),
        number(expected.difference.mean),
        f"{number(low)} to {number(high)}",
        p_in_words(p_value).removeprefix("= "),
    ]
    said = found["verdict"].says()
    assert outcome_in_words(expected) in said.lower()
    ends = f"95 % interval of the difference {number(low)} to {number(high)}, p {p_in_words(p_value)}"
    assert f"accuracy {first[1]} of the first, {first[2]} of the second ({ends})." in said
    assert "the same 3 folds of 24 series" in said
    assert "Leakage: none found by" in said
    assert "too good" not in said
    assert [row[:2] for row in rows(found["folds"])] == [[str(k), "8"] for k in (1, 2, 3)]
    assert [row[2:] for row in rows(found["folds"])] == [
        [number(a), number(b), number(a - b)] for a, b in zip(*scores, strict=True)
    ]


def test_turned_round_the_difference_has_the_other_sign(runs: dict[str, Run]) -> None:
    there, back = (rows(page(runs[a], runs[b])["scores"])[0] for a, b in (("gru", "rnn"), ("rnn", "gru")))
    assert (there[1], there[2]) == (back[2], back[1])
    assert float(there[3]) == -float(back[3])
    assert there[5] == back[5]


def test_a_run_beside_itself_does_not_differ(runs: dict[str, Run], made: dict[str, Study]) -> None:
    again = run_of(made["gru"])
    object.__setattr__(again._files, "directory", Path("runs/again"))
    assert page(runs["gru"], again)["settings"].says() == "Settings No setting differs."
    found = page(runs["gru"], runs["gru"])
    assert "No fold differs" in found["verdict"].says()
    assert found["settings"].says() == "Settings Both are the same run."


@pytest.mark.parametrize(
    ("other", "reason", "command"),
    [
        ("other folds", "need the same folds", "--cv 3"),
        ("other data", "need the same series, targets and groups", "throughtime fit"),
        ("other scores", "need a score in common", "--cv 3"),
        ("regression", "need the same task to be compared, got classification and regression", None),
    ],
)
def test_runs_that_cannot_be_compared_are_said_to_be_with_the_cure(
    other: str, reason: str, command: str | None, runs: dict[str, Run]
) -> None:
    found = page(runs["gru"], runs[other])
    verdict = found["verdict"]
    assert f"cannot be compared: {runs['gru'].directory} and {runs[other].directory} {reason}" in verdict.says()
    codes = [code.says() for code in verdict.all("code")]
    assert codes == [] if command is None else command in codes[0]
    assert list(found) == [builder.key for builder in PAIR_SECTIONS]
    heads = [cell.says() for cell in found["scores"].all("thead")[0].all("th")]
    assert heads == ["score", "first", "second"]  # no difference, and no p value
    assert " p " not in found["scores"].says()
    assert not found["folds"].all("table")
    assert len(found["learning"].all("svg")) == 2
    assert ("losses are not of one kind" in found["learning"].says()) == (other == "regression")


def test_runs_that_cannot_be_compared_have_each_score_under_its_own_name(runs: dict[str, Run]) -> None:
    scores = page(runs["gru"], runs["regression"])["scores"]
    own = [{one.metric: one for one in runs[name].scores} for name in ("gru", "regression")]
    assert rows(scores) == [
        *([metric, number(one.validation), "-"] for metric, one in own[0].items()),
        *([metric, "-", number(one.validation)] for metric, one in own[1].items()),
    ]
    assert {row[0]: row[1:] for row in rows(scores, 1)} == {
        **{metric: ["-", "-"] for metric in own[0]},
        **{metric: ["-", number(one.test)] for metric, one in own[1].items() if one.test is not None},
    }


def test_each_run_is_said_to_be_where_it_is_from(runs: dict[str, Run], made: dict[str, Study]) -> None:
    moved = run_of(made["rnn"])
    object.__setattr__(moved._files, "directory", Path("runs/other one"))
    text = comparison_page(runs["gru"], moved).decode()
    heads = tree_of(text)
    assert heads.all("h1")[0].says() == "small compared with other one"
    assert re.search(r"First: GRU on X, .*Second: RNN on X, ", heads.all("header")[0].says())
    assert heads.all("footer")[0].says() == "In a terminal: throughtime compare runs/small 'runs/other one'"
    origins = {row[0]: row[1:] for row in rows(sections_of(text)["origins"])}
    assert origins["directory"] == ["runs/small", "runs/other one"]
    assert origins["network"] == ["GRU", "RNN"]
    marks = runs["gru"].data.fingerprint
    assert marks is not None
    for name in ("targets", "inputs"):
        assert origins[f"hash of the {name}"] == [marks[name][:12]] * 2
    assert origins["folds"][0].startswith("3 (")
    assert sections_of(text)["settings"].says() != "Settings Both are the same run."


def test_a_page_of_two_runs_replaces_no_file(runs: dict[str, Run], tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(StorageError, match=r"page\.html exists"):
        write_comparison(runs["gru"], runs["rnn"], tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "mine"


@pytest.mark.parametrize(
    ("p_value", "mean", "words"),
    [
        (0.049, 0.1, "the first does better"),
        (0.049, -0.1, "the second does better"),
        (0.05, 0.1, "these folds cannot tell them apart"),
        (None, 0.1, ""),
    ],
)
def test_the_test_at_five_percent_says_who_does_better(p_value: float | None, mean: float, words: str) -> None:
    found = paired_comparison([0.5, 0.7, 0.6], [0.4, 0.5, 0.6], [16] * 3, [8] * 3)
    other = replace(found, p_value=p_value, difference=replace(found.difference, mean=mean))
    assert outcome_in_words(other) == words
    assert folds_won_in_words(found) == "first better on 2, second on 0, equal on 1"
    assert [p_in_words(value) for value in (0.0009, 0.001, 0.0424)] == ["< 0.001", "= 0.001", "= 0.042"]


def test_only_settings_that_differ_are_listed(runs: dict[str, Run]) -> None:
    settings = page(runs["gru"], runs["rnn"])["settings"]
    assert {row[0]: row[1:] for row in rows(settings)} == {
        "cell": ["gru", "rnn"],
        "lr": ["0.001", "0.1"] if GRU.lr == 0.001 else [str(GRU.lr), "0.1"],
        "max_epochs": ["2", "4"],
        "seeds": ["1", "2"],
    }


def test_other_data_and_another_reading_of_them_are_settings_that_differ(made: dict[str, Study]) -> None:
    config = made["gru"].config
    columns = config["columns"] | {"target_kind": "step", "window": 8}
    other = run_of(replace(made["gru"], config=config | {"source": "elsewhere.csv", "cv": "loo", "columns": columns}))
    settings = page(run_of(made["gru"]), other)["settings"]
    assert {row[0]: row[1:] for row in rows(settings)} == {
        "source": [config["source"], "elsewhere.csv"],
        "cv": ["3", "loo"],
        "target_kind": [config["columns"]["target_kind"], "step"],
        "window": ["none", "8"],
    }


def test_curves_are_told_apart_by_the_names_of_their_runs(made: dict[str, Study], tmp_path: Path) -> None:
    for name in ("one", "another"):
        made["gru"].save(tmp_path / name)
    found = page(*(Run.open(tmp_path / name) for name in ("one", "another")))
    captions = [caption.says() for caption in found["learning"].all("figcaption")]
    assert captions == ["The first, one: GRU.", "The second, another: GRU."]


def test_a_setting_that_a_task_has_not_is_a_dash(runs: dict[str, Run]) -> None:
    settings = {row[0]: row[1:] for row in rows(page(runs["gru"], runs["regression"])["settings"])}
    assert settings["class_weight"] == ["none", "-"]
    assert settings["horizon"] == ["-", "0"]


def test_learning_curves_have_one_scale_where_the_loss_is_one(runs: dict[str, Run]) -> None:
    displays = [curves_display(runs[name]) for name in ("gru", "rnn")]
    axes = [Figure().subplots() for _ in displays]
    for display, ax in zip(displays, axes, strict=True):
        _draw_to_scale(display, displays, ax)
    assert axes[0].get_xlim() == axes[1].get_xlim() == (1, 4)
    assert axes[0].get_ylim() == axes[1].get_ylim()
    lowest, highest = axes[0].get_ylim()
    for display in displays:
        assert lowest < np.nanmin([display.train, display.validation])
        assert highest > np.nanmax([display.train, display.validation])


def test_a_searched_setting_and_leakage_are_said(made: dict[str, Study], runs: dict[str, Run]) -> None:
    config = made["rnn"].config | {"search": {"n_settings": 4}}
    leaks = [replace(made["rnn"].findings[0], verdict="found", severity="error", measured=1.0)]
    searched = run_of(replace(made["rnn"], config=config, findings=leaks))
    verdict = page(runs["gru"], searched)["verdict"].says()
    assert "was chosen among 4 on these very folds" in verdict
    assert "of the first none found" in verdict
    turned = page(searched, runs["gru"])["verdict"].says()
    assert "was chosen among 4 on these very folds" in turned
    assert "of the second none found" in turned
    assert "scores are too good" in verdict


def test_of_many_folds_the_page_has_how_often_each_is_better() -> None:
    many = run_of(evaluate(GRU, X[:21], y[:21], cv="loo", baselines=False))
    folds = page(many, many)["folds"]
    assert "equal on 21" in folds.says()
    assert not folds.all("table")


def test_the_page_is_whole_and_the_same_bytes_each_time(runs: dict[str, Run]) -> None:
    text = comparison_page(runs["gru"], runs["rnn"])
    assert text == comparison_page(runs["gru"], runs["rnn"])
    elements = tree_of(text.decode()).all()
    names = [element.attributes["id"] for element in elements if "id" in element.attributes]
    assert len(set(names)) == len(names)
    assert set().union(*map(referred, elements)) <= set(names)


def test_the_command_writes_the_page_beside_the_first_run(made: dict[str, Study], tmp_path: Path) -> None:
    for name in ("gru", "rnn"):
        made[name].save(tmp_path / name)
    written = report(tmp_path / "gru", tmp_path / "rnn")
    assert written == tmp_path / "gru-and-rnn-report.html"
    assert "gru compared with rnn" in written.read_text(encoding="utf-8")
    with pytest.raises(ParameterError, match="--diagnosis and --shift need one run, got two"):
        report(tmp_path / "gru", tmp_path / "rnn", diagnosis=tmp_path)


def test_what_a_run_is_called_has_no_say_in_whether_settings_differ(runs: dict[str, Run]) -> None:
    assert study.differing_settings(runs["gru"].config, runs["gru"].config | {"source": "elsewhere"}) == {}
