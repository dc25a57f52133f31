"""``evaluate``: what it writes is what the command line writes, and every network is the one that ``fit`` gives."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from studies import FLAGS, archive, arrays, classifier, data_of, labeled, rain, regressor
from typer.testing import CliRunner

import throughtime
from throughtime import SequenceClassifier, evaluate, read
from throughtime.cli.app import app
from throughtime.data import Sequences
from throughtime.errors import DataError, ParameterError, ThroughtimeError
from throughtime.storage import MANIFEST

X, Y = arrays()


def command(*arguments: Any) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr


def columns(source: tuple[Path, dict[str, str]]) -> list[Any]:
    path, named = source
    return [path, *(word for name, column in named.items() for word in (f"--{name}", column))]


def files(run: Path) -> dict[str, Any]:
    """Every file's bytes, but for the settings and the manifest the values without times; no log of training."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in run.iterdir()}
    settings = json.loads(found.pop("config.json"))
    assert settings.pop("seconds") > 0
    manifest = json.loads(found.pop(MANIFEST))
    assert set(manifest["files"]) == {*found, "config.json"}
    for name in ("metrics.jsonl", "report.html"):  # a command writes them
        found.pop(name, None)
    return found | {"settings": settings, "facts": manifest["facts"], "versions": manifest["versions"]}


def weights(estimator: Any) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in estimator.module_.state_dict().items()}


def test_a_saved_study_is_byte_for_byte_the_run_of_the_command_line(tmp_path: Path) -> None:
    source, numbers, test = labeled(tmp_path), rain(tmp_path), archive(tmp_path, "test.npz", 9)
    plain = archive(tmp_path, "plain.npz", 24)
    cases = [
        (
            [*columns(source), "--cv", "2", "--seeds", "2", "--split", ".25"],
            lambda: evaluate(classifier(), data_of(source), cv=2, seeds=2, test=0.25),
        ),
        (
            [*columns(source), "--cv", "group:3", "--scoring", "f1_macro", "--class-weight", "ebb=2,flow=1"],
            lambda: evaluate(
                classifier(class_weight={"ebb": 2.0, "flow": 1.0}), data_of(source), cv="group:3", scoring=["f1_macro"]
            ),
        ),
        (
            [*columns(numbers), "--horizon", "2", "--season", "3"],
            lambda: evaluate(regressor(horizon=2), data_of(numbers, own_past=True), season=3),
        ),
        (
            [plain, "--test", test, "--task", "classification", "--cv", "stratified:2"],
            lambda: evaluate(classifier(), read(str(plain)), test=read(str(test)), cv="stratified:2"),
        ),
    ]
    for number, (arguments, study) in enumerate(cases):
        command("fit", *arguments, *FLAGS, "--out", tmp_path / f"typed{number}")
        study().save(tmp_path / f"saved{number}")
        assert files(tmp_path / f"typed{number}") == files(tmp_path / f"saved{number}")


def test_every_network_is_bit_for_bit_what_fit_gives() -> None:
    study = evaluate(classifier(random_state=7), X, Y, cv=3, seeds=2, baselines=False)
    series = Sequences.from_arrays(X)
    assert [(member.seed, member.fold) for member in study.members] == [
        (seed, fold) for seed in (0, 1) for fold in (0, 1, 2, None)
    ]
    for member in study.members:
        rows = np.arange(len(X)) if member.fold is None else study.folds[member.fold].train
        assert weights(member.estimator) == weights(classifier(random_state=7 + member.seed).fit(series[rows], Y[rows]))
    assert study.estimator is study.members[3].estimator
    assert [weights(one) for one in study.estimators] == [weights(study.members[k].estimator) for k in (3, 7)]


def test_arrays_series_lists_and_data_sets_give_one_study(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", X=X, y=Y)
    forms: list[tuple[Any, ...]] = [
        (X, Y),
        (Sequences.from_arrays(X), Y),
        (list(X), Y.tolist()),
        (read(str(tmp_path / "x.npz")),),
    ]
    studies = [evaluate(classifier(), *form, cv=2, scoring="accuracy") for form in forms]
    for study in studies:
        assert study.metrics == studies[0].metrics
        assert weights(study.estimator) == weights(studies[0].estimator)


def test_test_series_are_scored_by_the_network_of_all_training_series() -> None:
    train, test = (X[:12], Y[:12]), (X[12:], Y[12:])
    study = evaluate(classifier(), *train, test=test, cv="kfold:2", scoring="accuracy")
    assert study.metrics.models[-1].test["accuracy"] == [accuracy_score(test[1], study.estimator.predict(test[0]))]
    assert study.test_predictions is not None
    assert study.test_predictions["prediction"].tolist() == study.estimator.predict(test[0]).tolist()
    assert study.test_predictions["truth"].tolist() == test[1].tolist()


def test_test_channels_are_taken_by_name() -> None:
    named = Sequences.from_arrays(X).replace(channel_names=["p", "q"])
    turned = Sequences.from_arrays(X[:, :, ::-1].copy()).replace(channel_names=["q", "p"])
    scores = [
        evaluate(classifier(), named, Y, test=(series, Y), cv=2, baselines=False).test_predictions
        for series in (named, turned)
    ]
    np.testing.assert_array_equal(scores[0]["probability_up"], scores[1]["probability_up"])
    unnamed = Sequences.from_arrays(X)
    with pytest.warns(throughtime.errors.DataWarning, match="test have no names: they are taken in the order p, q"):
        evaluate(classifier(), named, Y, test=(unnamed, Y), cv=2, baselines=False)


def test_groups_stay_whole_and_win_over_those_of_the_series() -> None:
    groups = np.arange(20) // 4
    study = evaluate(classifier(), X, Y, groups=groups, cv="group:5", scoring="accuracy", baselines=False)
    brought = Sequences.from_arrays(X).replace(groups=np.zeros(20, int))
    again = evaluate(classifier(), brought, Y, groups=groups, cv="group:5", scoring="accuracy", baselines=False)
    for fold, other in zip(study.folds, again.folds, strict=True):
        assert set(groups[fold.train]).isdisjoint(groups[fold.test])
        np.testing.assert_array_equal(fold.test, other.test)
        assert (fold.n_train, fold.n_test) == (4, 1)
    assert next(one for one in study.findings if one.code == "GEN004").verdict == "clear"


def test_weights_count_in_training_and_stay_with_their_series() -> None:
    sample_weight = np.linspace(0, 2, 20)
    study = evaluate(classifier(), X, Y, sample_weight=sample_weight, cv=2, test=0.25, baselines=False)
    rows = np.array(study.train.ids, int)
    assert len(rows) == 15
    expected = classifier().fit(Sequences.from_arrays(X)[rows], Y[rows], sample_weight[rows])
    assert weights(study.estimator) == weights(expected)
    fold = study.folds[0].train
    expected = classifier().fit(Sequences.from_arrays(X)[rows[fold]], Y[rows[fold]], sample_weight[rows[fold]])
    assert weights(study.members[0].estimator) == weights(expected)


def test_every_way_to_give_the_folds_gives_the_same() -> None:
    splitter = StratifiedKFold(4, shuffle=True, random_state=0)
    ways: list[Any] = [4, "4", "stratified:4", splitter, list(splitter.split(X, Y)), splitter.split(X, Y)]
    studies = [evaluate(classifier(), X, Y, cv=way, baselines=False) for way in ways]
    for study in studies:
        assert study.metrics == studies[0].metrics
    assert [study.config["cv"] for study in studies] == [
        4, 4, "stratified:4", "StratifiedKFold(n_splits=4, random_state=0, shuffle=True)", "given", "given"
    ]  # fmt: skip


def test_a_seed_that_is_not_given_is_drawn_and_kept() -> None:
    model = classifier(random_state=None)
    study = evaluate(model, X, Y, cv=2, baselines=False)
    seed = study.config["parameters"]["random_state"]
    assert weights(study.estimator) == weights(classifier(random_state=seed).fit(X, Y))
    assert model.random_state is None


def test_the_estimator_is_left_as_it_is() -> None:
    model = classifier(class_weight={"up": 2.0, "down": 1.0})
    before, untouched = model.get_params(), dict(vars(model))
    study = evaluate(model, X, Y, cv=2, baselines=False)
    assert model.get_params() == before
    assert vars(model) == untouched
    assert study.estimator is not model


def test_a_network_of_the_users_own_is_evaluated_and_read_again(tmp_path: Path) -> None:
    def factory(inputs: int, outputs: int) -> torch.nn.Module:
        class Last(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = torch.nn.Linear(inputs, outputs)

            def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
                return self.linear(x[torch.arange(len(x)), lengths - 1])

        return Last()

    study = evaluate(SequenceClassifier(module=factory, max_epochs=2, random_state=0), X, Y, cv=2, baselines=False)
    study.save(tmp_path / "run")
    with pytest.raises(ParameterError, match="needs the factory again"):
        _ = throughtime.study.Run.open(tmp_path / "run").estimator
    run = throughtime.study.Run.open(tmp_path / "run", module=factory)
    assert weights(run.estimator) == weights(study.estimator)
    assert len(run.members) == 3
    assert run.config["parameters"]["module"].endswith("factory")


def test_a_study_shows_its_scores() -> None:
    study = evaluate(classifier(), X, Y, cv=2, scoring="accuracy", test=0.2)
    first, *lines = repr(study).splitlines()
    assert first.startswith("Study of X: 16 series, 2 folds, 4 test series")
    names = [model.name for model in study.metrics.models]
    assert names[-1] == "GRU"
    assert len(names) > 1
    assert [name in line for name, line in zip(names, lines, strict=True)] == [True] * len(names)
    assert all(name in study._repr_html_() for name in names)
    network = study.scores[-1]
    interval = study.metrics.intervals["GRU"]["accuracy"]
    assert (network.validation, network.low, network.high) == (interval.mean, interval.low, interval.high)
    assert network.test == study.metrics.models[-1].test["accuracy"][0]


MISTAKES: dict[str, tuple[dict[str, Any], type[ThroughtimeError], str]] = {
    "no estimator": ({"estimator": "gru"}, ParameterError, "^estimator needs to be a SequenceClassifier or"),
    "a class": ({"estimator": SequenceClassifier}, ParameterError, r"^estimator needs an instance, .*Classifier\(\)"),
    "a pipeline": ({"estimator": make_pipeline(classifier())}, ParameterError, "cross_validate takes pipelines"),
    "no targets": ({"y": None}, DataError, "y"),
    "few targets": ({"y": Y[:-1]}, DataError, "y"),
    "two targets": ({"X": None}, ParameterError, "^y needs to be left out where X is a Dataset"),
    "numbers to a classifier": ({"y": np.linspace(0, 1, 20)}, DataError, "^SequenceClassifier needs classes, text or"),
    "classes to a regressor": ({"estimator": regressor()}, DataError, "^SequenceRegressor needs a target of numbers"),
    "one fold": ({"cv": 1}, ParameterError, "^cv needs at least 2 folds, got '1'"),
    "a word": ({"cv": "tenfold"}, ParameterError, "^cv needs a number of folds, kfold:K"),
    "too many folds": ({"cv": 18}, DataError, "^18 stratified folds need at least 18 series of every class"),
    "a number of folds that is none": ({"cv": 2.5}, ParameterError, "^cv needs a number of folds, a word, a splitter"),
    "no folds": ({"cv": []}, ParameterError, "^cv needs at least one fold, got none"),
    "no pairs": ({"cv": [[1, 2, 3]]}, ParameterError, "^cv needs .* pairs of training and test indices, got"),
    "no such series": ({"cv": [([0, 1], [20])]}, ParameterError, "^cv needs indices of the 20 series on both sides"),
    "both sides": ({"cv": [([0, 1], [1, 2])]}, DataError, "^a fold needs every series on one side, got series 1 on"),
    "groups without": ({"cv": "group:2"}, DataError, "name a column with groups"),
    "few groups": ({"groups": [1, 2]}, DataError, "^groups needs one value for each of the 20 series"),
    "a fraction of none": ({"test": 1.5}, ParameterError, "^test needs a fraction between 0 and 1, got 1.5"),
    "no test": ({"test": "test.csv"}, ParameterError, r"^test needs \(X, y\), a Dataset or a fraction, got str"),
    "test without targets": ({"test": (X,)}, ParameterError, "^test needs .* got a tuple of 1"),
    "other channels": ({"test": (X[:, :, :1], Y)}, DataError, "^test needs the 2 channels of X, got 1"),
    "no scorer": ({"scoring": "accurate"}, ParameterError, "^scoring needs the name .* did you mean 'accuracy'"),
    "no score of classes": ({"scoring": "r2"}, ParameterError, "^scoring 'r2' does not apply to a target of 2 classes"),
    "no seeds": ({"seeds": 0}, ParameterError, "^seeds needs at least 1, got 0"),
    "seeds of none": ({"seeds": "2"}, ParameterError, "^seeds needs a whole number, got '2'"),
    "too many seeds": ({"estimator": classifier(random_state=2**32 - 1), "seeds": 2}, ParameterError, "below 2"),
    "a wrong parameter": ({"estimator": classifier(hidden_size=0)}, ParameterError, "^hidden_size needs"),
    "few weights": ({"sample_weight": [1.0]}, DataError, "^sample_weight needs one value per series"),
    "negative weights": ({"sample_weight": -np.ones(20)}, DataError, "^sample_weight needs finite values of at least"),
    "baselines by name": ({"baselines": "ridge"}, ParameterError, "^baselines needs True or False, got 'ridge'"),
    "season of classes": ({"season": 3}, ParameterError, "^season"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_as_the_argument_is(mistake: str, tmp_path: Path) -> None:
    wrong, kind, message = MISTAKES[mistake]
    arguments: dict[str, Any] = {"estimator": classifier(), "X": X, "y": Y, "cv": 2} | wrong
    if arguments["X"] is None:
        np.savez(tmp_path / "x.npz", X=X, y=Y)
        arguments["X"] = read(str(tmp_path / "x.npz"))
    with pytest.raises(kind, match=message) as refusal:
        evaluate(**arguments)
    assert "--" not in str(refusal.value)


def test_steps_of_a_horizon_are_named_as_the_argument_is() -> None:
    times = [np.array([0.0, 1, 2, 4, 5, 6])] * 6
    series = Sequences.from_arrays([np.zeros((6, 1))] * 6, times=times)
    target = Sequences.from_arrays([np.arange(6.0)[:, None]] * 6)
    with pytest.raises(DataError, match=r"^X: horizon=2 counts steps and needs times without gaps, got 2 and 4"):
        evaluate(regressor(horizon=2), series, target, cv=2)


def test_a_fold_that_fails_has_no_score_and_all_series_that_fail_are_an_error() -> None:
    labels = np.array(["a"] * 10 + ["b"] * 10)
    one_class = [(np.arange(10), np.arange(10, 20)), (np.arange(5, 15), np.arange(5))]
    study = evaluate(classifier(), X, labels, cv=one_class, scoring="accuracy", baselines=False)
    assert np.isnan(study.metrics.models[-1].validation["accuracy"][0]).tolist() == [True, False]
    assert study.members[0].estimator is None
    assert "class" in str(study.members[0].failure)
    with pytest.raises(ThroughtimeError, match="finite"):
        evaluate(classifier(cell="rnn", lr=1e38, clip_norm=None, batch_size=2), X, Y, cv=2, baselines=False)


def test_evaluate_is_reached_without_loading_torch() -> None:
    assert "evaluate" in dir(throughtime)
    assert throughtime.evaluate is evaluate
    assert clone(classifier()).get_params() == classifier().get_params()
