"""What cannot be used is refused in one clear message: what needs which rule, and what came instead."""

import re

import numpy as np
import pytest
from estimator_data import N, classes, ragged, series, steps, values

from throughtime.data import Sequences
from throughtime.errors import DataError, DivergenceError, ParameterError
from throughtime.estimators import SequenceClassifier, SequenceRegressor, fit_members, predict_members
from throughtime.generalization import nested_cv_interval

SMALL = {"hidden_size": 4, "random_state": 0, "max_epochs": 1}


def refuses(error: type[Exception], message: str):
    return pytest.raises(error, match="^" + re.escape(message))


def spoiled(value: float) -> list[np.ndarray]:
    X = ragged()
    X[7][2, 1] = value
    return X


def test_infinity_is_named_by_series_step_and_channel():
    with refuses(DataError, "X needs finite values (NaN where nothing was observed), got inf at series 7, step 2,"):
        SequenceClassifier().fit(spoiled(np.inf), classes())
    fitted = SequenceClassifier(**SMALL).fit(ragged(), classes())
    with refuses(DataError, "X needs finite values (NaN where nothing was observed), got -inf at series 7, step 2,"):
        fitted.predict(spoiled(-np.inf))


def test_a_missing_value_is_refused_where_missing_is_an_error():
    with refuses(DataError, 'X needs every value with missing="error", got NaN at series 7, step 2, channel 1'):
        SequenceClassifier(missing="error").fit(spoiled(np.nan), classes())
    static = np.ones((N, 2))
    static[3] = np.nan
    with refuses(DataError, 'X needs every value with missing="error", got NaN in the static features'):
        SequenceClassifier(missing="error").fit(series(static=static), classes())
    fitted = SequenceClassifier(**SMALL, missing="error").fit(ragged(), classes())
    with refuses(DataError, 'X needs every value with missing="error", got NaN'):
        fitted.predict(spoiled(np.nan))


def test_one_class_is_not_enough():
    with refuses(DataError, "a classifier needs at least two classes, got one class: 'a'"):
        SequenceClassifier().fit(ragged(), ["a"] * N)
    with refuses(DataError, "a classifier needs at least two classes, got one class: 1"):
        SequenceClassifier().fit(ragged(), [np.ones(len(x)) for x in ragged()])


def test_numbers_that_are_no_classes_and_classes_that_are_no_numbers_are_refused():
    with refuses(DataError, "Unknown label type: continuous. A classifier needs classes"):
        SequenceClassifier().fit(ragged(), values())
    with refuses(DataError, "Unknown label type: continuous. A classifier needs classes"):
        SequenceClassifier().fit(ragged(), steps())
    with refuses(DataError, "a regressor needs targets that are numbers, got"):
        SequenceRegressor().fit(ragged(), ["a", "b"] * (N // 2))


def test_targets_that_do_not_belong_to_the_series_are_refused():
    with refuses(DataError, "Found input variables with inconsistent numbers of samples: [36, 35]"):
        SequenceClassifier().fit(ragged(), classes()[:-1])
    short = steps()
    short[4] = short[4][:-1]
    length = len(ragged()[4])
    message = f"y needs one value for each step of X, got {length - 1} values for the {length} steps of series 4"
    with refuses(DataError, message):
        SequenceRegressor().fit(ragged(), short)
    with refuses(DataError, "SequenceRegressor requires y to be passed, but the target y is None"):
        SequenceRegressor().fit(ragged(), None)
    with refuses(DataError, "Input y contains NaN"):
        SequenceRegressor().fit(ragged(), np.where(classes() == 1, np.nan, 1.0))


def test_a_burn_in_that_leaves_no_target_is_refused():
    with refuses(DataError, "y needs an observed target after the first 30 steps (burn_in), got none"):
        SequenceRegressor(burn_in=30).fit(ragged(), steps())
    # of one member's series only
    longest = int(np.argmax([len(x) for x in ragged()]))
    X, y = ragged(), steps()
    X[longest] = np.ones((40, 2))
    y[longest] = np.ones(40)
    rest = np.delete(np.arange(N), longest)
    failed, fitted = fit_members([SequenceRegressor(burn_in=30, **SMALL)] * 2, X, y, train_indices=[rest, np.arange(N)])
    assert str(failed) == (
        "y needs an observed target in the training series after their first 30 steps (burn_in), got none"
    )
    assert fitted.n_iter_ == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "gur"}, "cell needs one of rnn, gru, lstm, linear, peephole_lstm, got 'gur'; did you mean 'gru'?"),
        ({"hidden_size": 0}, "hidden_size needs a whole number of at least 1 and of at most 1,000,000, got 0"),
        ({"hidden_size": 8.0}, "hidden_size needs a whole number of at least 1 and of at most 1,000,000, got 8.0"),
        ({"dropout": 1.0}, "dropout needs a finite number of at least 0 and below 1, got 1.0"),
        ({"zoneout": 1.0}, "zoneout needs a finite number of at least 0 and below 1, got 1.0"),
        (
            {"candidate_dropout": 0.1, "cell": "rnn"},
            "candidate_dropout needs a cell with a place for it (gru, lstm, peephole_lstm), got cell='rnn'",
        ),
        (
            {"cell_zoneout": 0.1},
            "cell_zoneout needs a cell with a place for it (lstm, peephole_lstm), got cell='gru'",
        ),
        ({"nonlinearity": "relu"}, "nonlinearity='relu' needs cell='rnn', got cell='gru'"),
        ({"init": "glorot"}, "init needs one of torch, keras, xavier_uniform, "),
        ({"init_lag": 1}, "init_lag needs a whole number of at least 2 and of at most 1,000,000,000 or None, got 1"),
        ({"forget_bias": "1"}, "forget_bias needs a finite number or None, got '1'"),
        (
            {"init": "chrono", "cell": "rnn"},
            "chrono needs a cell with a gate that keeps its state (gru, lstm, peephole_lstm), got cell='rnn'",
        ),
        ({"forget_bias": 1.0, "cell": "linear"}, "forget_bias needs a cell with a gate that keeps its state"),
        ({"forget_bias": 1.0, "init": "chrono"}, "forget_bias needs biases other than chrono's"),
        (
            {"init": "critical"},
            "critical needs a cell of one activation, without gates (rnn_tanh, rnn_relu, linear), got cell='gru'",
        ),
        ({"cell": 3}, "cell needs one of rnn, gru, lstm, linear, peephole_lstm or a CellSpec, got 3"),
        ({"lr": 0}, "lr needs a finite number above 0, got 0"),
        ({"lr": "fast"}, "lr needs a finite number above 0, got 'fast'"),
        ({"clip_norm": -1}, "clip_norm needs a finite number above 0 or None, got -1"),
        ({"bidirectional": 1}, "bidirectional needs true or false, got 1"),
        ({"random_state": -1}, "random_state needs a whole number of at least 0 and of at most "),
        ({"class_weight": "balance"}, "class_weight needs 'balanced' or a mapping from class to weight or None"),
        ({"class_weight": {0: -1.0}}, "class_weight needs finite weights of at least 0, got -1.0 for 0"),
        ({"class_weight": {0: "much"}}, "class_weight needs finite weights of at least 0, got 'much' for 0"),
        ({"class_weight": {"a": 1.0}}, "class_weight needs classes among [0, 1, 2], got 'a'"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, "training needs an observed target of weight above zero, got none"),
        ({"device": "gpu"}, "device needs one that torch has here, got 'gpu': "),
        ({"device": "meta:x"}, "device needs one that torch has here, got 'meta:x': "),
        ({"layout": "tnc"}, "layout needs one of ntc, nct, got 'tnc'"),
    ],
    ids=str,
)
def test_an_option_outside_its_rule_is_refused_in_words_that_hold_the_rule(options, message):
    with pytest.raises((ParameterError, DataError), match="^" + re.escape(message)):
        SequenceClassifier(**options).fit(ragged(), classes())


def test_an_unknown_option_is_refused_where_it_is_given():
    with pytest.raises(TypeError, match=re.escape("SequenceClassifier.__init__() got an unexpected keyword")):
        SequenceClassifier(hiden_size=8)
    with pytest.raises(ValueError, match="Invalid parameter 'hiden_size' for estimator SequenceRegressor"):
        SequenceRegressor().set_params(hiden_size=8)


def test_series_of_another_kind_than_those_of_fit_are_refused():
    fitted = SequenceClassifier(**SMALL).fit(ragged(), classes())
    with refuses(DataError, "X needs the 2 channels that SequenceClassifier was fitted on, got 3"):
        fitted.predict(np.zeros((4, 5, 3)))
    with refuses(DataError, "X needs 0 static features as in fit, got 1"):
        fitted.predict(series(static=np.ones(N)))
    with_static = SequenceClassifier(**SMALL).fit(series(static=np.ones((N, 2))), classes())
    with refuses(DataError, "X needs 2 static features as in fit, got 0"):
        with_static.predict(ragged())
    X = ragged()
    X[1] = np.zeros((4, 3))
    with refuses(DataError, "X needs the same channels in every series, got 3 in series 1 and 2 in series 0"):
        SequenceClassifier().fit(X, classes())


def test_a_network_trained_on_a_device_that_is_not_here_says_so():
    fitted = SequenceClassifier(**SMALL).fit(ragged(), classes()).set_params(device="cuda:99")
    with refuses(ParameterError, "device needs one that torch has here, got 'cuda:99'"):
        fitted.predict(ragged())
    assert fitted.set_params(device="cpu").predict(ragged()).shape == (N,)


def test_two_dimensional_series_keep_their_width():
    flat = np.random.default_rng(0).normal(size=(N, 6))
    for given in (flat, flat.tolist()):
        fitted = SequenceClassifier(**SMALL).fit(given, classes())
        assert fitted.n_features_in_ == 6
        with refuses(DataError, "X has 5 features, but SequenceClassifier is expecting 6 features as input"):
            fitted.predict(flat[:, :5])
        assert fitted.predict(flat).shape == (N,)
    ragged_too = SequenceClassifier(**SMALL).fit(flat[:, :, None], classes())
    assert ragged_too.n_features_in_ == 1
    assert ragged_too.predict(flat[:, :5, None]).shape == (N,)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(N - 1), "sample_weight needs one value per series (36), got shape (35,)"),
        (np.full(N, np.nan), "sample_weight needs finite values of at least 0"),
        (-np.ones(N), "sample_weight needs finite values of at least 0"),
        (np.ones((N, 1)), "sample_weight needs one value per series (36), got shape (36, 1)"),
        (2.0, "sample_weight needs one value per series (36), got shape ()"),
        ("x", "sample_weight needs one number per series (36), got 'x'"),
        (["1"] * N, "sample_weight needs one number per series (36), got ['1', '1',"),
        ([{}] * N, "sample_weight needs one number per series (36), got [{}, {},"),
        ([1.0, [2.0]] * (N // 2), "sample_weight needs one number per series (36), got [1.0, [2.0],"),
        (np.ones(N) * 1j, "sample_weight needs one number per series (36), got array([0.+1.j"),
        (np.ma.masked_array(np.ones(N), np.arange(N) == 3), "sample_weight needs finite values of at least 0"),
        (np.full(N, 1e308), "sample_weight needs a sum from 2.3e-308 to 1.7e308, got inf"),
        (np.full(N, 5e-324), "sample_weight needs a sum from 2.3e-308 to 1.7e308, got"),
        (np.zeros(N), "sample_weight needs a weight above zero in the training series, got zero weights only"),
    ],
)
def test_weights_that_cannot_weigh_are_refused(weights, message):
    with refuses(DataError, message):
        SequenceClassifier().fit(ragged(), classes(), sample_weight=weights)
    fitted = SequenceClassifier(**SMALL).fit(ragged(), classes())
    stepwise = SequenceRegressor(**SMALL).fit(ragged(), steps())
    if "above zero" not in message:
        with refuses(DataError, message):
            fitted.score(ragged(), classes(), sample_weight=weights)
        with refuses(DataError, message):
            stepwise.score(ragged(), steps(), sample_weight=weights)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("x", "groups needs one value for each of the 36 series, got shape ()"),
        (3, "groups needs one value for each of the 36 series, got shape ()"),
        (np.ones((N, 2)), "groups needs one value for each of the 36 series, got shape (36, 2)"),
        ([None] * N, "groups needs a value for every series, series 0 has none (None)"),
        (np.full(N, np.nan), "groups needs a value for every series, series 0 has none (NaN)"),
        (np.ma.masked_array(np.ones(N), np.arange(N) == 3), "groups needs a value for every series, series 3 has none"),
        ([{}] * N, "groups needs labels of one kind, got dict"),
    ],
)
def test_groups_that_are_none_are_refused(groups, message):
    with refuses(DataError, message):
        SequenceClassifier(**SMALL, early_stopping=True).fit(ragged(), classes(), groups=groups)
    with refuses(DataError, message):
        fit_members([SequenceClassifier(**SMALL)], ragged(), classes(), groups=groups)
    with refuses(DataError, message):
        nested_cv_interval(SequenceClassifier(**SMALL), series(), classes(), groups=groups)


def test_groups_and_inner_splits_that_cannot_be_are_refused():
    with refuses(DataError, "groups needs one value for each of the 36 series, got shape (3,)"):
        SequenceClassifier().fit(ragged(), classes(), groups=[1, 2, 3])
    with refuses(ParameterError, "early_stopping needs an inner validation split of the 36 training series"):
        SequenceClassifier(early_stopping=True).fit(ragged(), classes(), groups=np.ones(N))
    with refuses(ParameterError, "early_stopping needs an inner validation split of the 4 training series"):
        SequenceClassifier(early_stopping=True).fit(ragged()[:4], ["a", "b", "b", "b"])
    with refuses(ParameterError, "class_weight needs one class per series, got one per step"):
        SequenceClassifier(class_weight="balanced").fit(ragged(), steps(of_classes=True))


def test_targets_of_another_kind_than_those_of_fit_cannot_be_scored():
    by_series = SequenceClassifier(**SMALL).fit(ragged(), classes())
    with refuses(ParameterError, "this estimator was fitted on a target per series and needs the same to score"):
        by_series.score(ragged(), steps(of_classes=True))
    by_step = SequenceClassifier(**SMALL).fit(ragged(), steps(of_classes=True))
    with refuses(ParameterError, "this estimator was fitted on a target each step and needs the same to score"):
        by_step.score(ragged(), classes())


def test_training_that_diverges_says_how_and_what_cures_it():
    estimator = SequenceRegressor(lr=1e200, clip_norm=None, optimizer="sgd", max_epochs=5, random_state=0)
    with pytest.raises(DivergenceError, match=r"finite losses and weights, got .* smaller lr \(now 1e\+200\)"):
        estimator.fit(ragged(), values())
    assert not hasattr(estimator, "module_")


def test_members_that_share_a_data_set_must_agree_on_how_it_is_read():
    for name, two in (("layout", ("ntc", "nct")), ("burn_in", (0, 1))):
        members = [SequenceClassifier(**{name: value}) for value in two]
        with refuses(ParameterError, f"members that share one data set need the same {name}"):
            fit_members(members, ragged(), classes())


def test_rows_that_are_no_series_fail_their_member_alone():
    members = [SequenceClassifier(**SMALL)] * 5
    rows = [np.arange(N), np.array([0, 1, N]), np.array([-1, 0, 1]), np.zeros(0, dtype=int), classes() < 2]
    fitted = fit_members(members, ragged(), classes(), train_indices=rows)
    assert [str(member) for member in fitted[1:4]] == [
        "a member's indices need to be among the 36 series, got 0 to 36",
        "a member's indices need to be among the 36 series, got -1 to 1",
        "a member needs at least one series, got none",
    ]
    assert fitted[0].classes_.tolist() == [0, 1, 2]
    assert fitted[4].classes_.tolist() == [0, 1]
    with refuses(ParameterError, "fit_members needs train_indices for each of 5 members, got 1"):
        fit_members(members, ragged(), classes(), train_indices=rows[:1])
    assert fit_members([], ragged(), classes()) == []
    assert predict_members([], Sequences.from_arrays(ragged()), []) == []


def test_a_class_that_a_fold_lacks_is_missing_there_alone():
    y = np.array(["a", "b", "c"])[classes()]
    rows = [np.flatnonzero(y != "c"), np.flatnonzero(y == "a"), np.arange(N)]
    members = [SequenceClassifier(**SMALL, class_weight={"a": 1.0, "b": 2.0, "c": 3.0})] * 3
    two, one, three = fit_members(members, ragged(), y, train_indices=rows, eval_indices=[np.arange(N)] * 3)
    assert two.classes_.tolist() == ["a", "b"]
    assert two.predict_proba(ragged()).shape == (N, 2)
    assert two.score(ragged(), y) <= 2 / 3
    assert np.isfinite(two.history_[0].eval_loss)  # over the classes it knows
    assert str(one) == "a classifier needs at least two classes, got one class: 'a'"
    assert three.classes_.tolist() == ["a", "b", "c"]


def test_what_is_only_watched_cannot_fail_a_member():
    y = values()
    y[0] = -5.0
    (fitted,) = fit_members(
        [SequenceRegressor(**SMALL, target_transform="log")],
        ragged(),
        y,
        train_indices=[np.arange(1, N)],
        eval_indices=[np.array([0, 1])],
    )
    assert np.isfinite(fitted.history_[0].eval_loss)
