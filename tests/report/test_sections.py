"""What the sections say is what the run holds."""

import math
from dataclasses import replace

import numpy as np
import pytest
from read_parts import of, rows_of, with_contents
from reported_runs import SMALL, run_of
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error

from diagnosed import DIAGNOSIS
from shifted import NO_SHIFT, SHIFT
from throughtime import SequenceRegressor, evaluate
from throughtime.data import Sequences
from throughtime.generalization import corrected_interval
from throughtime.report import Absent, Facts, Figure, Findings, Line, Part, Subject
from throughtime.report.all_findings import all_findings
from throughtime.report.diagnosis import diagnosis
from throughtime.report.gradients import gradients
from throughtime.report.groups import groups
from throughtime.report.learning import learning
from throughtime.report.predictions import MOST_POINTS, predictions
from throughtime.report.score_tables import scores
from throughtime.report.search_ranking import search_ranking
from throughtime.report.settings import data, settings
from throughtime.report.shift import shift
from throughtime.report.splits import splits
from throughtime.report.target_losses import losses_of_targets
from throughtime.report.unrolled import unrolled
from throughtime.report.verdict import verdict
from throughtime.report.worst import thinned, worst
from throughtime.study import Metrics, ModelScores, Run, number, outcome_of


def with_scores(run: Run, network: list[float], rival: list[float]) -> Run:
    """The run as if its network, and the only baseline, had scored so on the folds."""

    def model(name: str, by_fold: list[float]) -> ModelScores:
        mean = float(np.nanmean(by_fold))
        return ModelScores(name, {"R2": [by_fold]}, {"R2": [by_fold]}, {"R2": [mean]}, {"R2": []})

    models = [model("ridge", rival), model("GRU", network)]
    sizes = [fold.n_train for fold in run.folds], [fold.n_test for fold in run.folds]
    intervals = {m.name: {"R2": corrected_interval(m.validation["R2"][0], *sizes)} for m in models}
    return with_contents(run, metrics=Metrics(models, intervals), folds=run.folds)


@pytest.mark.parametrize(
    ("network", "rival", "tone", "words"),
    [
        ([0.9, 0.91], [0.1, 0.11], "good", "the network does better by 0.800"),
        ([0.1, 0.11], [0.9, 0.91], "bad", "the baseline does better by 0.800"),
        ([0.9, 0.1], [0.1, 0.8], "plain", "the folds do not tell which does better"),
    ],
)
def test_the_verdict_is_the_interval_of_the_difference_on_the_same_folds(
    runs: dict[str, Run], network: list[float], rival: list[float], tone: str, words: str
) -> None:
    first = verdict(Subject(with_scores(runs["steps"], network, rival)))[0]
    assert isinstance(first, Line)
    assert (first.tone, words in first.text) == (tone, True)
    interval = corrected_interval(
        np.subtract(network, rival), *zip(*[(f.n_train, f.n_test) for f in runs["steps"].folds], strict=True)
    )
    ends = (-interval.high, -interval.low) if tone == "bad" else (interval.low, interval.high)  # of who does better
    assert f"95 % interval {number(ends[0])} to {number(ends[1])})" in first.text


def test_the_verdict_has_the_network_s_score_and_says_what_was_not_done(runs: dict[str, Run]) -> None:
    run = runs["classes"]
    first, *others = verdict(Subject(run))
    score = next(one for one in run.scores if one.model == "GRU" and one.metric == "accuracy")
    assert f"GRU reaches accuracy {number(score.validation)}" in first.text
    test = next(line for line in others if "test series" in line.text)
    assert f"it reaches accuracy {number(score.test)}" in test.text
    assert others[-1] == Absent(
        "Not diagnosed yet: what limits this network.", "throughtime diagnose RUN --out DIAGNOSIS"
    )
    told = verdict(Subject(run, DIAGNOSIS))[-1]
    assert told.text == DIAGNOSIS.sentence
    assert verdict(Subject(runs["values"]))[1].command == "throughtime fit SOURCE --split 0.2"


@pytest.mark.parametrize("name", ["classes", "values", "forecast"])
def test_scores_are_those_of_the_run(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    parts = scores(Subject(run))
    for place, metric in enumerate(run.config["scoring"]):
        rows = rows_of(parts, place)
        expected = [one for one in run.scores if one.metric == metric]
        assert [row[metric] for row in rows] == [one.model for one in expected]
        assert [row["validation"] for row in rows] == [number(one.validation) for one in expected]
        assert [row["folds pooled"] for row in rows] == [number(one.pooled) for one in expected]
        low = expected[-1].low
        assert rows[-1]["95 % interval"].startswith("-" if low is None else number(low))


def test_learning_names_the_networks_that_failed_and_what_each_fold_scored(runs: dict[str, Run]) -> None:
    run = runs["classes"]
    parts = learning(Subject(run))
    failures = [line for line in of(Line, parts) if "failed" in line.text]
    assert [line.text.split(" failed")[0] for line in failures] == ["fold 1, seed 1", "fold 1, seed 2"]
    held = np.nanmean(np.array(run.metrics.models[-1].validation["accuracy"], float)[:, 1:], 0)
    rows = rows_of(parts)
    assert [row["accuracy held out"] for row in rows] == ["-", *map(number, held)]
    assert [row["groups held out"] for row in rows] == [str(fold.n_test) for fold in run.folds]
    assert "4 networks" in of(Figure, parts)[0].description


def test_predictions_count_what_is_right_and_how_far_numbers_are_off(runs: dict[str, Run]) -> None:
    figures = of(Figure, predictions(Subject(runs["labels by step"])))
    table = runs["labels by step"].out_of_fold
    assert table is not None
    right = accuracy_score(table["truth"], table["prediction"])
    assert f"{right:.1%} of {len(table['truth'])} predictions are right" in figures[0].caption
    table = runs["steps"].test_predictions
    assert table is not None
    error = root_mean_squared_error(table["truth"], table["prediction"])
    assert f"root mean square error {number(error)}" in of(Figure, predictions(Subject(runs["steps"])))[1].caption


def test_a_matrix_of_many_classes_has_the_page_s_width(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    assert not of(Figure, predictions(Subject(runs["classes"])))[0].wide
    monkeypatch.setattr("throughtime.report.predictions.MOST_BESIDE", 1)
    matrix, calibration = of(Figure, predictions(Subject(runs["classes"])))[:2]
    assert matrix.wide
    assert not calibration.wide


def test_of_very_many_predictions_some_are_drawn_and_all_are_counted(runs: dict[str, Run]) -> None:
    n = 3 * MOST_POINTS
    rng = np.random.default_rng(0)
    many = {"seed": np.zeros(n, int), "truth": rng.normal(size=n), "prediction": rng.normal(size=n)}
    run = with_contents(runs["steps"], out_of_fold=many, test_predictions=None)
    figure = of(Figure, predictions(Subject(run)))[0]
    error = root_mean_squared_error(many["truth"], many["prediction"])
    assert f"12,000 predictions, root mean square error {number(error)}" in figure.caption
    assert "4,000 of 12,000 predictions" in figure.svg
    assert len(figure.svg) < 100_000


def test_losses_are_scikit_learn_s(runs: dict[str, Run]) -> None:
    table = runs["classes"].out_of_fold
    assert table is not None
    found = losses_of_targets(runs["classes"], table)
    both = np.column_stack([table["probability_ebb"], table["probability_flow"]])
    assert found.losses.mean() == pytest.approx(log_loss(table["truth"], both, labels=["ebb", "flow"]), rel=1e-12)
    rates = np.mean(table["truth"] == "ebb")
    always = np.tile([rates, 1 - rates], (len(both), 1))
    assert found.guess == pytest.approx(log_loss(table["truth"], always, labels=["ebb", "flow"]), rel=1e-12)
    table = runs["values"].out_of_fold
    assert table is not None
    off = np.abs(table["truth"] - table["prediction"])
    np.testing.assert_array_equal(losses_of_targets(runs["values"], table).losses, off)


def test_the_worst_series_are_those_of_the_largest_mean_loss(runs: dict[str, Run]) -> None:
    table = runs["classes"].out_of_fold
    assert table is not None
    losses = losses_of_targets(runs["classes"], table).losses
    means = {name: losses[table["series"] == name].mean() for name in table["series"]}
    order = sorted(means, key=lambda name: -means[name])[:10]
    rows = rows_of(worst(Subject(runs["classes"])))
    assert [row["series"] for row in rows] == order
    assert [row["log loss (nats)"] for row in rows] == [number(means[name]) for name in order]
    own = {str(name): str(group) for name, group in zip(table["series"], table["group"], strict=True)}
    assert [row["group"] for row in rows] == [own[name] for name in order]


def test_series_with_targets_by_step_are_drawn_and_others_are_said_not_to_be(runs: dict[str, Run]) -> None:
    drawn = of(Figure, worst(Subject(runs["steps"])))
    rows = rows_of(worst(Subject(runs["steps"])))
    assert [figure.title for figure in drawn[1:]] == [f"Series {row['series']}, held out" for row in rows[:3]]
    assert len(of(Figure, worst(Subject(runs["labels by step"])))) == 4
    alone = worst(Subject(runs["values"]))
    assert len(of(Figure, alone)) == 1
    assert "A run keeps no series" in alone[-1].text


def test_a_long_series_keeps_its_extremes() -> None:
    values = np.random.default_rng(0).normal(size=50_000)
    values[31_234], values[7] = 40, -40
    kept = thinned(values)
    assert len(kept) <= 600
    assert {31_234, 7} <= set(kept.tolist())
    np.testing.assert_array_equal(thinned(values[:600]), np.arange(600))


def test_groups_are_scored_by_their_own_predictions_the_worst_first(runs: dict[str, Run]) -> None:
    table = runs["classes"].out_of_fold
    assert table is not None
    rows = rows_of(groups(Subject(runs["classes"])))
    assert {row["group"] for row in rows} == set(table["group"])
    for row in rows:
        own = table["group"] == row["group"]
        assert row["right"] == f"{accuracy_score(table['truth'][own], table['prediction'][own]):.1%}"
        assert row["predictions"] == str(own.sum())
    losses = [float(row["mean log loss (nats)"]) for row in rows]
    assert losses == sorted(losses, reverse=True)
    assert groups(Subject(runs["values"])) == [
        Absent("The series have no groups.", "throughtime fit SOURCE --group COLUMN")
    ]


def test_the_ranking_of_a_search_is_its_table_and_marks_the_setting_of_the_run(runs: dict[str, Run]) -> None:
    run = runs["searched"]
    rows = rows_of(search_ranking(Subject(run)))
    assert run.search is not None
    assert [row["mean accuracy"] for row in rows] == [
        number(mean) for mean in sorted(run.search["mean_test_accuracy"].tolist(), reverse=True)
    ]
    (chosen,) = [row for row in rows if row["choice"] == "chosen"]
    assert chosen["lr"] == f"{run.config['parameters']['lr']:g}"
    assert chosen["hidden_size"] == str(run.config["parameters"]["hidden_size"])
    assert of(Absent, search_ranking(Subject(runs["values"])))[0].command.startswith("throughtime search")


def test_a_diagnosis_is_told_in_full(runs: dict[str, Run]) -> None:
    parts = diagnosis(Subject(runs["classes"], DIAGNOSIS))
    assert parts[0].text == f"Verdict: over-fit. {DIAGNOSIS.sentence}"
    assert [row["probe"] for row in rows_of(parts)][:2] == ["weight_decay up", "hidden_size /4"]
    assert [figure.title for figure in of(Figure, parts)] == [
        "Gain of every probe, a forest plot",
        "Loss by the number of series",
        "Loss by the steps that are read",
    ]
    assert any(DIAGNOSIS.open_question in line.text for line in of(Line, parts))
    absent = of(Absent, diagnosis(Subject(runs["classes"])))
    assert [part.command for part in absent] == [
        "throughtime diagnose RUN --out DIAGNOSIS",
        "throughtime report RUN --diagnosis DIAGNOSIS",
    ]


def test_a_shift_is_told_with_its_tests_and_a_test_that_was_compared_too(runs: dict[str, Run]) -> None:
    parts = shift(Subject(runs["classes"], shift=outcome_of(SHIFT), shifted="new.csv"))
    line = next(line for line in of(Line, parts) if SHIFT.sentence in line.text)
    assert (line.tone, "new.csv" in line.text) == ("bad", True)
    assert [row["test"] for row in rows_of(parts, -2)] == ["X", "Y", "Y given X", "X given Y"]
    assert rows_of(parts, -1)[0]["what"] == "rain mean"
    assert len(of(Figure, parts)) == 2
    assert "Test against training: insufficient" in parts[0].text
    quiet = shift(Subject(runs["values"], shift=outcome_of(NO_SHIFT), shifted="new.csv"))
    assert of(Line, quiet)[0].tone == "plain"
    assert of(Absent, quiet)[0].command == "throughtime fit SOURCE --split 0.2"


def test_gradients_are_those_of_the_network_of_all_series(runs: dict[str, Run]) -> None:
    record = next(flow.records[-1] for flow in runs["classes"].flow if flow.fold is None)
    parts = gradients(Subject(runs["classes"]))
    rows = rows_of(parts)
    assert [row["layer"] for row in rows] == list(record.layers)
    for row, curve in zip(rows, record.log_norms, strict=True):
        assert float(row["lag 1"]) == pytest.approx(10 ** (curve[1] - curve[0]), abs=0.006)
    assert [figure.title for figure in of(Figure, parts)][-1] == "Gradients while the network trained"
    assert of(Absent, gradients(Subject(runs["values"])))[0].command == "throughtime fit SOURCE --monitor flow"


def test_the_network_is_unrolled_over_the_steps_that_it_reads(runs: dict[str, Run]) -> None:
    (figure,) = unrolled(Subject(runs["forecast"]))
    assert isinstance(figure, Figure)
    assert figure.wide
    assert "GRU over " in figure.svg
    assert "SequenceNetwork" not in figure.svg


def test_splits_say_what_was_held_out_and_every_check(runs: dict[str, Run]) -> None:
    parts = splits(Subject(runs["steps"]))
    facts = dict(of(Facts, parts)[0].rows)
    assert facts["held out, per fold"] == "1 to 2 series"
    assert facts["test"] == "3 series, 3 series left to train on; asked for 34 % of the series"
    assert [row["verdict"] for row in rows_of(parts)] == [finding.verdict for finding in runs["steps"].findings]
    assert dict(of(Facts, splits(Subject(runs["classes"])))[0].rows)["test"] == "8 series (2 groups), ebb.csv"


def test_of_groups_set_aside_the_counts_are_those_of_series_and_groups_whatever_fraction_was_asked_for() -> None:
    X = np.random.default_rng(0).normal(size=(12, 4, 1))
    X = Sequences.from_arrays(X, groups=np.repeat([0, 1, 2, 3], [1, 1, 1, 9]))  # whichever is set aside is no quarter
    made = evaluate(SequenceRegressor(**SMALL), X, np.arange(12.0), test=0.25, cv=3, baselines=False)
    facts = dict(of(Facts, splits(Subject(run_of(made))))[0].rows)
    n_test, n_left = (len(part) for part in (made.test.X, made.train.X))
    assert (n_test, n_left) in {(1, 11), (9, 3)}
    assert facts["test"] == (
        f"{n_test} series (1 group), {n_left} series (3 groups) left to train on; asked for 25 % of the groups"
    )
    assert facts["held out, per fold"] == "1 group"
    early = run_of(made, {"data.json": b"{}"})
    assert dict(of(Facts, splits(Subject(early)))[0].rows)["test"] == f"{n_test} series; asked for 25 % of the groups"


def test_every_finding_is_there_the_gravest_first(runs: dict[str, Run]) -> None:
    subject = Subject(runs["values"], DIAGNOSIS, outcome_of(SHIFT), "new.csv")
    parts: list[Part] = list(all_findings(subject))
    found = of(Findings, parts)[0].findings
    assert [finding.code for finding in found] == ["GEN014", "SHF003"]
    said = " ".join(line.text for line in of(Line, parts))
    for finding in (*runs["values"].findings, *DIAGNOSIS.findings, *SHIFT.findings):
        assert finding in found or finding.code in said
    error = replace(DIAGNOSIS.findings[0], severity="error", code="GEN999")
    graver = replace(DIAGNOSIS, findings=type(DIAGNOSIS.findings)([*DIAGNOSIS.findings, error]))
    assert of(Findings, all_findings(Subject(runs["values"], graver)))[0].findings[0].code == "GEN999"


def test_settings_versions_and_the_data_s_hash_are_there(runs: dict[str, Run]) -> None:
    run = runs["classes"]
    told = settings(Subject(run))
    rows = dict(row for facts in of(Facts, told) for row in facts.rows)
    assert rows["hidden_size"] == "3"
    assert rows["bidirectional"] == "true"
    assert "lr 0.01" in of(Line, told)[0].text
    assert "torch" in rows["versions"]
    said = {name for name in run.config["parameters"] if name in rows or f"{name} " in of(Line, told)[0].text}
    assert said == set(run.config["parameters"]) - {"verbose"}  # which has no part in what was made
    facts = dict(of(Facts, data(Subject(run)))[0].rows)
    assert run.data.fingerprint is not None
    assert facts["SHA-256 of inputs"] == run.data.fingerprint["inputs"]
    assert facts["channels"] == "2: a ebb, b flow"
    assert math.isclose(float(facts["series"]), 16)
