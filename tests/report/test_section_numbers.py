"""Every number of a section is the run's, and stands in its own column."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from read_parts import of, rows_of, with_contents
from sklearn.metrics import root_mean_squared_error

from diagnosed import DIAGNOSIS
from shifted import SHIFT
from throughtime.displays import by_gain
from throughtime.findings import Finding
from throughtime.generalization import corrected_errors
from throughtime.records import Records
from throughtime.report import Absent, Facts, Figure, Line, Part, Subject, Table
from throughtime.report import learning as learning_module
from throughtime.report.diagnosis import diagnosis
from throughtime.report.gradients import gradients
from throughtime.report.groups import groups
from throughtime.report.learning import learning
from throughtime.report.predictions import MOST_CLASSES, MOST_MISTAKES, predictions
from throughtime.report.score_tables import scores
from throughtime.report.search_ranking import search_ranking
from throughtime.report.settings import data, settings
from throughtime.report.shift import shift
from throughtime.report.splits import splits
from throughtime.report.unrolled import unrolled
from throughtime.report.verdict import verdict
from throughtime.report.worst import worst
from throughtime.study import Run, number, outcome_of

LEAK = Finding("GEN999", "leak", "found", "error", 1.0, 0.0, "here", "everywhere", "stop")


def first_seed_of(table: dict[str, Any]) -> dict[str, Any]:
    return {name: column[table["seed"] == 0] for name, column in table.items()}


def test_the_verdict_is_of_the_network_beside_the_best_baseline(runs: dict[str, Run]) -> None:
    run = runs["forecast"]
    found = {one.model: one for one in run.scores if one.metric == run.config["scoring"][0]}
    *rivals, network = found.values()
    metric = network.metric
    best = max(rivals, key=lambda one: one.validation)
    first, test, *_ = verdict(Subject(run))
    assert isinstance(first, Line)
    assert network.low is not None
    assert network.high is not None
    ends = f"95 % interval {number(network.low)} to {number(network.high)}"
    assert f"{network.model} reaches {metric} {number(network.validation)} ({ends})." in first.text
    assert f"The best baseline, {best.model}, reaches {number(best.validation)}: " in first.text
    assert isinstance(test, Absent)
    found = {one.model: one for one in runs["steps"].scores if one.metric == metric}
    *rivals, network = found.values()
    best = max(rivals, key=lambda one: one.validation)
    assert network.test is not None
    assert best.test is not None
    told = verdict(Subject(runs["steps"]))[1].text
    assert told.endswith(f"reaches {metric} {number(network.test)}, {best.model} {number(best.test)}.")


def test_a_verdict_without_baselines_or_without_scores_says_so(runs: dict[str, Run]) -> None:
    run = runs["steps"]
    network = run.metrics.models[-1]
    alone = verdict(Subject(with_contents(run, metrics=replace(run.metrics, models=[network]))))[0]
    assert (alone.tone, alone.text.endswith("No baseline was scored to compare it with.")) == ("plain", True)
    metric = run.config["scoring"][0]
    blank = replace(network, validation={metric: [[math.nan] * 2]}, pooled={metric: [math.nan]})
    unknown = verdict(Subject(with_contents(run, metrics=replace(run.metrics, models=[blank]))))[0]
    assert unknown.tone == "bad"
    assert unknown.text == f"How GRU does on unseen series is not known: no fold has a score ({metric})."


@pytest.mark.parametrize(
    ("finding", "leaks"),
    [(LEAK, True), (replace(LEAK, severity="warning"), False), (replace(LEAK, verdict="clear"), False)],
)
def test_leakage_is_bad_news_where_an_error_was_found(finding: Finding, leaks: bool, runs: dict[str, Run]) -> None:
    run = with_contents(runs["steps"], findings=Records([finding]))
    tone = "bad" if leaks else "plain"
    for parts in (verdict(Subject(run)), splits(Subject(run))):
        (line,) = [one for one in of(Line, parts) if one.text.startswith("Leakage: ")]
        assert line.tone == tone
    assert ("so the scores are too good" in verdict(Subject(run))[2].text) == leaks


@pytest.mark.parametrize("name", ["classes", "steps", "values"])
def test_each_score_stands_in_its_own_column(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    parts = scores(Subject(run))
    assert len(parts) == len(run.config["scoring"])
    for place, metric in enumerate(run.config["scoring"]):
        expected = [one for one in run.scores if one.metric == metric]
        for row, one in zip(rows_of(parts, place), expected, strict=True):
            ends = "-" if one.low is None or one.high is None else f"{number(one.low)} to {number(one.high)}"
            test = {} if name == "values" else {"test": "-" if one.test is None else number(one.test)}
            assert row == {
                metric: one.model,
                "training": "-" if one.training is None else number(one.training),
                "validation": number(one.validation),
                "95 % interval": ends,
                "folds pooled": number(one.pooled),
                **test,
            }
        assert parts[place].strong == len(expected) - 1


def test_each_fold_has_its_sizes_and_its_two_scores(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs["classes"]
    network = run.metrics.models[-1]
    trained, held = (np.mean(by_seed["accuracy"], 0) for by_seed in (network.training, network.validation))
    expected = [
        {
            "fold": str(k + 1),
            "groups trained on": str(fold.n_train),
            "groups held out": str(fold.n_test),
            "accuracy in training": number(trained[k]),
            "accuracy held out": number(held[k]),
        }
        for k, fold in enumerate(run.folds)
    ]
    parts = learning(Subject(run))
    assert rows_of(parts) == expected
    known = held[1:]
    by_model = of(Figure, parts)[1]
    assert by_model.description == f"GRU on 2 folds: {number(min(known))} to {number(max(known))}."
    assert by_model.caption == "Seeds are averaged within a fold."
    monkeypatch.setattr(learning_module, "MOST_ROWS", 2)
    parts = learning(Subject(run))
    assert rows_of(parts) == [expected[k] for k in np.argsort(held, kind="stable")[:2]]
    assert parts[-1].caption == "GRU by fold, the 2 worst of 3"


def test_a_long_table_of_folds_of_one_series_each_is_left_out(runs: dict[str, Run]) -> None:
    run = runs["values"]
    metric = run.config["scoring"][0]
    assert len(of(Line, learning(Subject(run)))) == 1  # no fold of one series has an R2

    def scored(n: int) -> Run:
        by_fold = {metric: [[0.5] * n]}, {metric: [[0.25] * n]}
        network = replace(run.metrics.models[-1], validation=by_fold[0], training=by_fold[1])
        return with_contents(run, metrics=replace(run.metrics, models=[network]), folds=run.folds[:n])

    assert not of(Table, learning(Subject(scored(14))))
    rows = rows_of(learning(Subject(scored(3))))
    assert [row[f"{metric} in training"] for row in rows] == ["0.250"] * 3


@pytest.mark.parametrize(
    ("name", "loss"),
    [("classes", "cross-entropy (nats)"), ("steps", "squared error (standardized)")],
)
def test_learning_curves_end_at_the_last_losses_of_the_folds(name: str, loss: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    figure = of(Figure, learning(Subject(run)))[0]
    assert figure.title == f"Loss by epoch: {loss}"
    lasts = [one.estimator.history_[-1] for one in run.members if one.fold is not None and one.estimator is not None]
    train, held = (
        number(float(np.mean([getattr(one, kind) for one in lasts]))) for kind in ("train_loss", "eval_loss")
    )
    assert f"training series is {train}, on the series held out {held}." in figure.description
    assert figure.description.startswith(f"{len(lasts)} networks, 2 epochs at most.")


def test_predictions_of_several_seeds_are_those_of_the_first(runs: dict[str, Run]) -> None:
    run = runs["classes"]
    table = run.out_of_fold
    assert table is not None
    table = first_seed_of(table)
    wrong = Counter((t, p) for t, p in zip(table["truth"], table["prediction"], strict=True) if t != p)
    (true, other), times = max(wrong.items(), key=lambda item: item[1])
    matrix, calibration, *_ = of(Figure, predictions(Subject(run)))
    assert matrix.caption.startswith("Series held out (first seed): ")
    assert f"of {len(table['truth'])} predictions are right; most often {true} was taken for {other}, {times}" in (
        matrix.caption
    )
    highest = np.maximum(table["probability_ebb"], table["probability_flow"])
    right = np.mean(table["truth"] == table["prediction"])
    assert f"mean probability of {number(float(highest.mean()))} and is right in {right:.1%} of" in (
        calibration.description
    )


def test_mistakes_are_listed_the_most_frequent_first_truth_before_prediction(runs: dict[str, Run]) -> None:
    truth = ["flow"] * 6 + ["ebb"] * 3 + ["slack"] * 2
    predicted = ["flow", "ebb", "ebb", "ebb", "slack", "slack", "ebb", "flow", "flow", "ebb", "slack"]
    table = {"seed": np.zeros(11, int), "truth": np.array(truth, object), "prediction": np.array(predicted, object)}
    parts = predictions(Subject(with_contents(runs["classes"], out_of_fold=table, test_predictions=None)))
    assert "most often flow was taken for ebb, 3 times" in of(Figure, parts)[0].caption
    assert [tuple(row.values()) for row in rows_of(parts)] == [
        ("flow", "ebb", "3"), ("ebb", "flow", "2"), ("flow", "slack", "2"), ("slack", "ebb", "1")
    ]  # fmt: skip
    assert of(Absent, parts)[0].command == "throughtime fit SOURCE --split 0.2"


def test_of_very_many_classes_there_is_no_matrix_and_of_no_fold_nothing(runs: dict[str, Run]) -> None:
    names = np.array([f"c{k:03d}" for k in range(MOST_CLASSES + 1)], object)
    table = {"seed": np.zeros(len(names), int), "truth": names, "prediction": np.roll(names, 1)}
    run = with_contents(runs["classes"], out_of_fold=table, test_predictions=None)
    parts = predictions(Subject(run))
    assert of(Figure, parts) == []
    assert len(rows_of(parts)) == MOST_MISTAKES
    none = predictions(Subject(with_contents(run, out_of_fold=None, test_predictions=None)))
    assert (none[0].tone, "every network of the folds failed" in none[0].text) == ("bad", True)


def test_errors_of_numbers_have_the_sign_of_what_is_predicted_too_high(runs: dict[str, Run]) -> None:
    run = runs["steps"]
    table = run.out_of_fold
    assert table is not None
    error = table["prediction"] - table["truth"]
    assert abs(error.mean()) > 1e-3
    caption = of(Figure, predictions(Subject(run)))[0].caption
    rmse = number(root_mean_squared_error(table["truth"], table["prediction"]))
    assert f"root mean square error {rmse}, mean error {number(float(error.mean()))}." in caption


def test_the_worst_have_their_truth_prediction_and_probability(runs: dict[str, Run]) -> None:
    table = runs["classes"].out_of_fold
    assert table is not None
    parts = worst(Subject(runs["classes"]))
    for row in rows_of(parts):
        own = table["series"] == row["series"]
        truth = table["truth"][own][0]
        assert (row["truth"], row["prediction"]) == (truth, table["prediction"][own][0])
        assert row["probability of the truth"] == number(float(table[f"probability_{truth}"][own].mean()))
    assert parts[1].caption.startswith("The 10 worst of ")


def test_of_series_with_many_targets_the_table_has_how_many_and_the_largest_loss(runs: dict[str, Run]) -> None:
    table = runs["steps"].out_of_fold
    assert table is not None
    losses = np.abs(table["prediction"] - table["truth"])
    means = {name: losses[table["series"] == name].mean() for name in np.unique(table["series"])}
    parts = worst(Subject(runs["steps"]))
    rows = rows_of(parts)
    assert [row["series"] for row in rows] == sorted(means, key=lambda name: -means[name])
    for row in rows:
        own = losses[table["series"] == row["series"]]
        assert row["targets"] == str(len(own))
        assert row["mean absolute error of flow"] == number(float(own.mean()))
        assert row["largest"] == number(float(own.max()))
    assert parts[1].caption == f"All {len(means)} series held out, the worst first"
    words = parts[0].description
    assert f"of series {rows[0]['series']}, {number(max(means.values()))}; " in words
    assert f"the median is {number(float(np.median(list(means.values()))))}; " in words
    guess = np.abs(table["truth"] - table["truth"].mean()).mean()
    above = np.mean([mean > guess for mean in means.values()])
    assert f"{above:.0%} of {len(means)} series are worse than a guess ({number(float(guess))})." in words


@pytest.mark.parametrize("name", ["steps", "labels by step"])
def test_a_series_is_drawn_in_the_order_of_time_whatever_that_of_its_rows(name: str, runs: dict[str, Run]) -> None:
    table = runs[name].out_of_fold
    assert table is not None
    order = np.random.default_rng(0).permutation(len(table["truth"]))
    shuffled = with_contents(runs[name], out_of_fold={column: values[order] for column, values in table.items()})
    assert of(Figure, worst(Subject(shuffled)))[1:] == of(Figure, worst(Subject(runs[name])))[1:]


def test_groups_of_numbers_have_the_size_and_the_sign_of_their_errors(runs: dict[str, Run]) -> None:
    table = runs["values"].out_of_fold
    assert table is not None
    group = np.array(["a", "b"], object)[np.arange(len(table["truth"])) // 9]
    rows = rows_of(parts := groups(Subject(with_contents(runs["values"], out_of_fold=table | {"group": group}))))
    means = []
    for row in rows:
        error = (table["prediction"] - table["truth"])[group == row["group"]]
        means.append(float(np.abs(error).mean()))
        assert row == {
            "group": row["group"],
            "series": str(len(error)),
            "predictions": str(len(error)),
            "root mean square error": number(float(np.sqrt((error**2).mean()))),
            "mean error": number(float(error.mean())),
            "mean absolute error": number(means[-1]),
        }
    assert means == sorted(means, reverse=True)
    assert f"goes from {number(min(means))} to {number(max(means))} over" in parts[-1].text
    for row in rows_of(groups(Subject(runs["classes"]))):  # of two seeds: a series is one though it has two predictions
        assert 2 * int(row["series"]) == int(row["predictions"])


def test_gradients_are_found_in_any_order_with_the_horizon_of_each_layer(runs: dict[str, Run]) -> None:
    run = runs["classes"]
    expected = gradients(Subject(run))
    turned = with_contents(run, flow=Records([*run.flow][::-1]))
    assert gradients(Subject(turned)) == expected
    flow = next(one for one in run.flow if one.fold is None)
    record = flow.records[-1]
    assert record.kind != "probe"
    odd = replace(record, horizons=(math.inf, *[3.14159] * (len(record.layers) - 1)))
    other = with_contents(run, flow=Records([replace(flow, records=[*flow.records[:-1], odd])]))
    rows = rows_of(gradients(Subject(other)))
    assert [row["1 % left at lag"] for row in rows] == ["beyond the series", *["3.14"] * (len(rows) - 1)]
    assert set(rows[0]) == {
        "layer",
        "1 % left at lag",
        *(f"lag {lag}" for lag in (1, 10, 50) if lag <= record.lags[-1]),
    }
    probes = [one for one in flow.records if one.kind == "probe"]
    words = f"Of the network of all series, first layer, from step {probes[0].step} to {probes[-1].step}."
    assert of(Figure, expected)[-1].caption == words
    titles = [figure.title for figure in of(Figure, expected)]
    assert titles[:2] == ["What is left of the gradient at each lag", "Gradient left, by layer and lag"]
    of_fold = with_contents(run, flow=Records([replace(flow, records=[odd]), replace(flow, fold=1)]))
    assert "Of fold 2, first layer" in of(Figure, gradients(Subject(of_fold)))[-1].caption


def test_splits_count_each_side_in_what_they_keep_whole(runs: dict[str, Run]) -> None:
    run = runs["classes"]
    facts = dict(of(Facts, splits(Subject(run)))[0].rows)
    train, held = ([getattr(fold, name) for fold in run.folds] for name in ("n_train", "n_test"))
    assert facts["folds"].startswith("3 (")
    assert facts["trained on, per fold"] == f"{min(train)} to {max(train)} groups"
    assert facts["held out, per fold"] == f"{min(held)} to {max(held)} groups"
    assert facts["networks per fold"] == "2"
    assert facts["test"].startswith("8 series (2 groups), ")
    facts = dict(of(Facts, splits(Subject(runs["steps"])))[0].rows)
    assert (facts["folds"], facts["trained on, per fold"]) == ("2", "1 to 2 series")
    facts = dict(of(Facts, splits(Subject(runs["values"])))[0].rows)
    assert (facts["held out, per fold"], facts["test"], facts["networks per fold"]) == ("1 series", "none", "1")


def test_the_ranking_has_the_corrected_errors_and_what_varies(runs: dict[str, Run]) -> None:
    run = runs["searched"]
    table = run.search
    assert table is not None
    constant = with_contents(run, search=table | {"param_cell": np.array(["gru"] * 4, object)})
    parts = search_ranking(Subject(constant))
    rows = rows_of(parts)
    assert list(rows[0]) == ["rank", "hidden_size", "lr", "mean accuracy", "standard error", "choice"]
    errors = corrected_errors(table, metric="accuracy")
    order = np.argsort(table["rank_test_accuracy"], kind="stable")
    assert [row["rank"] for row in rows] == [str(table["rank_test_accuracy"][k]) for k in order]
    assert [row["standard error"] for row in rows] == [number(float(errors[k])) for k in order]
    best = number(float(table["mean_test_accuracy"].max()))
    assert of(Figure, parts)[0].caption == f"The best mean accuracy of 4 settings is {best}."
    assert parts[-1].text.endswith("is optimistic; that of the test series is not.")
    alone = search_ranking(Subject(with_contents(run, test_predictions=None)))
    assert alone[-1].text.endswith("is optimistic.")


def test_the_chosen_setting_is_the_run_s_though_another_is_best(runs: dict[str, Run]) -> None:
    run = runs["searched"]
    table = run.search
    assert table is not None
    rows = rows_of(search_ranking(Subject(run)))
    other = rows[1]
    parameters = run.config["parameters"] | {"lr": float(other["lr"]), "hidden_size": int(other["hidden_size"])}
    chosen = with_contents(run, config=run.config | {"parameters": parameters})
    assert [row["choice"] for row in rows_of(search_ranking(Subject(chosen)))] == ["-", "chosen", "-", "-"]


def facts_of(parts: Any) -> dict[str, str]:
    return dict(row for facts in of(Facts, parts) for row in facts.rows)


def test_data_are_described_each_fact_by_its_name(runs: dict[str, Run]) -> None:
    found = facts_of(data(Subject(runs["classes"])))
    assert found["classes"] == "ebb 8, flow 8"
    assert found["target"] == "label flow"
    assert found["groups"] == "4"
    assert found["steps per series"] == "6"
    run = runs["steps"]
    found = facts_of(data(Subject(run)))
    assert found["times"].startswith("2024-03-01")
    first, last = found["times"].split(" to ")
    assert first < last
    train = run.data.train
    numbers = {"mean": 2.5, "sd": 1.25, "minimum": -3.0, "maximum": 7.0}
    train = train | {
        "lengths": {"minimum": 3.0, "median": 5.5, "maximum": 9.0},
        "missing": 0.1234,
        "n_static": 2,
        "target": {"name": "flow", **numbers},
        "channels": [f"c{k}" for k in range(21)],
    }
    found = facts_of(data(Subject(with_contents(run, data=replace(run.data, train=train)))))
    assert found["steps per series"] == "3 to 9, median 5.5"
    assert found["values missing"] == "12.34%"
    assert found["static features"] == "2"
    assert found["target values"] == "mean 2.5, sd 1.25, -3 to 7"
    assert found["channels"].startswith("21: c0, c1, ")
    assert found["channels"].endswith("c19, ...")


def test_settings_have_what_the_run_was_made_with_and_when(runs: dict[str, Run]) -> None:
    run = runs["steps"]
    found = facts_of(settings(Subject(run)))
    assert found["written"] == run.created
    assert found["task"] == "regression"
    assert found["scored by"] == ", ".join(run.config["scoring"])
    assert found["device"] == "cpu"
    assert found["bitwise reproducible"] == "true"


def test_each_number_of_a_shift_stands_in_its_own_column(runs: dict[str, Run]) -> None:
    parts = shift(Subject(runs["values"], shift=outcome_of(SHIFT), shifted="new.csv"))
    inputs, _, given, _ = rows_of(parts)
    assert inputs == {
        "test": "X", "p": "0.005", "effect": "1.20", "95 % interval": "1.00 to 1.40", "in": "sd", "detectable": "0.31"
    }  # fmt: skip
    assert (given["effect"], given["95 % interval"], given["in"]) == ("-", "-", "-")
    assert rows_of(parts, 1)[:2] == [
        {"what": "rain mean", "moved": "+1.20", "95 % interval": "+1.00 to +1.40", "p": "0.005"},
        {"what": "heat mean", "moved": "-0.30", "95 % interval": "-0.50 to -0.10", "p": "0.060"},
    ]
    priors, stretches = of(Figure, parts)
    assert "tests, 80 against 60 series" in next(part.caption for part in parts if hasattr(part, "rows"))
    assert priors.caption == "Class ebb: 0.500 in training, 0.620 here."
    assert stretches.title.endswith("where in time")
    few = replace(SHIFT, verdict="insufficient")
    assert of(Line, shift(Subject(runs["values"], shift=outcome_of(few), shifted="new.csv")))[0].tone == "plain"


def test_each_number_of_a_diagnosis_stands_in_its_own_column(runs: dict[str, Run]) -> None:
    found = replace(DIAGNOSIS, level=0.9)
    parts = diagnosis(Subject(runs["values"], found))
    rows = rows_of(parts)
    assert [row["probe"] for row in rows] == [effect.probe for effect in by_gain(DIAGNOSIS.effects)]
    assert rows[0]["gain"] == "0.098"
    assert rows[0]["90 % interval"] == "0.051 to 0.145"
    assert rows[0]["change"] == "weight_decay 0 to 3"
    said = " ".join(line.text for line in of(Line, parts))
    assert "Not measured: no regularization: no regularization is set; lr x4: 2 of 10 networks diverged." in said
    bare: list[Part] = [*diagnosis(Subject(runs["values"], replace(found, history=None, not_measured={})))]
    assert "Not measured" not in " ".join(line.text for line in of(Line, bare))
    assert len(of(Figure, bare)) == len(of(Figure, parts)) - 1


@pytest.mark.parametrize(("name", "steps"), [("classes", 6), ("steps", 20), ("forecast", 20)])
def test_as_many_steps_are_unrolled_as_half_of_the_series_have(name: str, steps: int, runs: dict[str, Run]) -> None:
    (figure,) = unrolled(Subject(runs[name]))
    assert isinstance(figure, Figure)
    assert figure.caption.startswith(f"{steps} steps of a made-up series")
    long = runs[name].data.train | {"lengths": {"minimum": 1.0, "median": 5000.0, "maximum": 9000.0}}
    (figure,) = unrolled(Subject(with_contents(runs[name], data=replace(runs[name].data, train=long))))
    assert isinstance(figure, Figure)
    assert figure.caption.startswith("48 steps")
