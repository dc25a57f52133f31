"""What ``diagnose`` refuses, and the words it does so with."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedKFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from throughtime import SequenceClassifier, SequenceRegressor, diagnose
from throughtime.errors import DataError, DivergenceError, ParameterError
from throughtime.generalization import Base, Probe, Setting, Variant

# Shapes are checked by the packages' own tests, and take longer than the training.
pytestmark = pytest.mark.usefixtures("types_unchecked")

N = 36
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6, 2)).astype(np.float32)
Y = np.arange(N) % 3
NET = SequenceClassifier(hidden_size=3, max_epochs=1)
ALL = np.arange(N)


def refused(error: type[Exception], words: str, net: Any = NET, y: Any = Y, data: Any = X, **others: Any) -> None:
    with pytest.raises(error, match=words):
        diagnose(net, data, y, **{"cv": 3, "probes": ["lr x4"], "repeats": 1} | others)


@pytest.mark.parametrize(
    "net",
    [LogisticRegression(), SequenceClassifier, make_pipeline(StandardScaler(), NET)],
    ids=["foreign", "class", "pipeline"],
)
def test_an_estimator_that_is_no_network_of_ours(net: Any) -> None:
    refused(ParameterError, "needs a SequenceClassifier or a SequenceRegressor, got", net)


@pytest.mark.parametrize("margin", [0, 1, -0.1, float("nan"), "a", None])
def test_a_margin_that_is_no_fraction(margin: Any) -> None:
    refused(ParameterError, "margin needs a fraction of the dummy's loss", margin=margin)


@pytest.mark.parametrize("level", [0, 1, 95, float("nan"), "a"])
def test_a_level_that_is_no_probability(level: Any) -> None:
    refused(ParameterError, "level needs a coverage, above 0 and below 1", level=level)


@pytest.mark.parametrize("repeats", [0, -1, 1.5, "2", True])
def test_repeats_that_are_no_number_of_times(repeats: Any) -> None:
    refused(ParameterError, "repeats needs a whole number of at least 1", repeats=repeats)


@pytest.mark.parametrize("cv", [None, True, 2.5, []])
def test_folds_of_another_kind(cv: Any) -> None:
    refused(ParameterError, "cv needs", cv=cv)


@pytest.mark.parametrize("cv", [0, 1, "nonsense"])
def test_folds_that_are_too_few_or_not_understood(cv: Any) -> None:
    refused(ParameterError, "--cv needs", cv=cv)


def test_series_or_groups_or_classes_too_few_for_the_folds() -> None:
    refused(DataError, "37 folds need at least 37 series, got 36", SequenceRegressor(), RNG.normal(size=N), cv=37)
    refused(DataError, "13 stratified folds need at least 13 series of every class, got 12", cv=13)
    refused(DataError, "3 folds need at least 3 groups, got 2", groups=ALL % 2)
    refused(DataError, "at least 2 groups to compare, got 1", groups=ALL * 0)


@pytest.mark.parametrize(
    "test",
    [ALL[18:] + 5, ALL[18:] - N, ALL[18:] * 1.0, np.ones(N + 3, bool)],
    ids=["too large", "negative", "float", "longer mask"],
)
def test_pairs_of_what_are_no_indices_of_the_series(test: Any) -> None:
    refused(
        ParameterError,
        "cv needs indices of the 36 series on both sides of fold 1",
        cv=[(ALL[9:], ALL[:9]), (ALL[:18], test)],
    )


def test_a_series_on_both_sides_of_a_fold_and_a_fold_alone() -> None:
    words = "a fold needs every series on one side, got series 9 on both sides of fold 1"
    refused(DataError, words, cv=[(ALL[9:], ALL[:9]), (ALL[:18], ALL[9:])])
    refused(ParameterError, "at least 2 folds", cv=[(ALL[9:], ALL[:9])])
    words = "cv needs indices of the 36 series on both sides of fold 1"
    refused(ParameterError, words, cv=[(ALL[9:], ALL[:9]), (ALL, ALL[:0])])


@pytest.mark.parametrize(
    "cv",
    [
        [(ALL[18:], ALL[:18]), (ALL[:17], ALL[17:])],
        [(ALL[18:], [0, 1, 17, 17]), (ALL[:18], ALL[18:])],
        RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
        ShuffleSplit(5, test_size=0.5, random_state=0),
    ],
    ids=["two folds", "one fold", "repeated", "shuffled"],
)
def test_a_series_that_is_tested_twice(cv: Any) -> None:
    refused(DataError, r"every series in one test fold at most.* got series \d+ [2-5] times; repeats=", cv=cv)


@pytest.mark.parametrize("random_state", [-1, "a", np.random.RandomState(0)])
def test_a_random_state_that_is_no_seed(random_state: Any) -> None:
    refused(ParameterError, "random_state needs a whole number of at least 0", random_state=random_state)


def test_a_class_that_a_training_fold_lacks() -> None:
    folds = [(np.flatnonzero(Y > 0), np.flatnonzero(Y == 0)), (np.flatnonzero(Y < 1), np.flatnonzero(Y > 0))]
    refused(DataError, "every training fold needs each class, got none of class 0", cv=folds)
    text = np.array(["a", "b", "c"], dtype=object)[Y]
    refused(DataError, "every training fold needs each class, got none of class 'a'", y=text, cv=folds)
    refused(DataError, "at least 2 classes to tell apart", y=Y * 0)
    refused(DataError, "at least 2 values of the target to tell apart", SequenceRegressor(), np.ones(N))


def test_data_that_do_not_belong_together() -> None:
    refused(DataError, "one entry for each series", y=Y[:-1])
    refused(DataError, "groups needs one value for each of the 36 series", groups=ALL[:5])
    refused(DataError, "sample_weight needs one value per series", sample_weight=np.ones(3))
    refused(DataError, "sample_weight needs finite values of at least 0", sample_weight=-np.ones(N))


@pytest.mark.parametrize("probe", ["hidden_sise x2", "depth=3", "nonsense"])
def test_a_probe_that_is_not_known_and_the_names_of_those_that_are(probe: str) -> None:
    refused(ParameterError, f"probes needs names.*got '{probe}'; there are whole groups", probes=["lr x4", probe])


@pytest.mark.parametrize("probes", [["lr x4", "lr x4"], ["auto", "lr x4"], ["lr x4", Setting("lr x4", {"lr": 1.0})]])
def test_a_name_that_is_there_twice(probes: Any) -> None:
    refused(ParameterError, "probes needs each name once, got 'lr x4' 2 times", probes=probes)


def test_what_is_no_probe() -> None:
    refused(ParameterError, "probes needs names and Probe objects, got int", probes=[3])
    refused(ParameterError, "probes needs at least one, got none", probes=[])
    refused(ParameterError, 'probes needs "auto" or a list', probes=None)


@pytest.mark.parametrize("probe", ["lr=fast", "dropout=1.5", "cell=foo", "augment:foo:1", "max_epochs=2.0"])
def test_a_value_that_the_estimator_would_refuse(probe: str) -> None:
    refused(ParameterError, "needs", probes=["lr x4", probe])


class Wrong(Probe):
    """Gives a dictionary."""

    name = "wrong"

    def variant(self, base: Base) -> Any:
        return {"lr": base.estimator.lr * 2}


class Fewer(Probe):
    """Gives fewer series, and does not say whose they are."""

    name = "fewer"

    def variant(self, base: Base) -> Variant:
        return Variant("fewer", X=base.X[:5], y=base.y[:5])


def test_a_probe_that_gives_no_variant_or_other_series() -> None:
    refused(ParameterError, "probe 'wrong' needs to give a Variant, got dict", probes=[Wrong()])
    refused(ParameterError, "a variant needs 36 series, or the origin of each, got 5", probes=[Fewer()])


@pytest.mark.parametrize(
    "probe", ["lr=0.01", "hidden_size=3", "cell=gru", "dropout=0", Setting("same", {"lr": 0.01, "max_epochs": 1})]
)
def test_a_probe_that_equals_the_base(probe: Any) -> None:
    refused(ParameterError, "a probe needs to differ from the base", probes=["lr x4", probe])


def test_probes_of_which_none_can_be_tried() -> None:
    refused(
        ParameterError,
        "needs a probe that can be tried, got none: no regularization: no regularization is set",
        probes=["no regularization"],
    )
    refused(ParameterError, "got none: lr=1e38: .*finite", probes=["lr=1e38"])


def test_a_base_that_cannot_be_trained() -> None:
    refused(ParameterError, "hidden_size needs", SequenceClassifier(hidden_size=-4))
    refused(
        DivergenceError,
        "diagnose needs a base that trains on every fold: training needs finite",
        SequenceClassifier(hidden_size=3, max_epochs=2, lr=1e38),
    )


def test_a_metric_is_not_asked_for() -> None:
    # gains are means over examples, of log loss or squared error: a metric that is none has no interval here
    refused(TypeError, "scoring", scoring="roc_auc")
