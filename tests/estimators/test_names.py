"""Channels and static features are what they are called, never where they stand."""

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from estimator_data import N, classes, ragged, series, values
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency
from sklearn.utils.parallel import Parallel, delayed

from throughtime import cross_val_predict, cross_validate, storage
from throughtime.data import Sequences
from throughtime.errors import DataError
from throughtime.estimators import (
    FACTS,
    WEIGHTS,
    Outputs,
    SequenceClassifier,
    SequenceRegressor,
    fit_members,
    predict_members,
    predict_requests,
)
from throughtime.generalization.call_batcher import batch_calls

SMALL = {"hidden_size": 3, "random_state": 0, "max_epochs": 2}
NET = SequenceRegressor(**SMALL)
FLAT = np.random.default_rng(5).normal(size=(N, 6))


def named(names=("heat", "flow"), static_names=None, order=(0, 1)):
    """Series whose channels, and static features, stand in some order under their names."""
    static = None if static_names is None else np.column_stack([classes(), values()])[:, list(order)]
    own = [x[:, list(order)] for x in ragged()]
    return Sequences.from_arrays(own, channel_names=names, static=static, static_names=static_names)


def of_frames(wrap, columns=("heat", "flow")):
    return [wrap(dict(zip(columns, x.T, strict=True))) for x in ragged()]


@pytest.mark.parametrize("estimator", [SequenceClassifier(**SMALL), NET])
@pytest.mark.usefixtures("types_unchecked")
def test_names_of_a_frame_are_kept_and_compared_as_scikit_learn_asks(estimator):
    check_dataframe_column_names_consistency(type(estimator).__name__, estimator)


def scikit_learns(fitted_on, asked):
    """What scikit-learn says of a frame with other columns, or its warning."""
    frames = [np.ones((3, 2)) if names is None else pd.DataFrame(np.ones((3, 2)), columns=names)
              for names in (fitted_on, asked)]  # fmt: skip
    return outcome(lambda: Ridge().fit(frames[0], np.arange(3)).predict(frames[1]))


def outcome(call):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            call()
        except ValueError as error:
            return str(error).replace("SequenceRegressor", "Ridge")
    return [str(each.message).replace("SequenceRegressor", "Ridge") for each in told]


@pytest.mark.parametrize("way", ["predict", "score", "predict_members"])
@pytest.mark.parametrize(
    ("fitted_on", "asked"),
    [
        (("heat", "flow"), ("heat", "flow")),
        (("heat", "flow"), ("flow", "heat")),
        (("heat", "flow"), ("heat", "wind")),
        (("heat", "flow"), None),
        (None, ("heat", "flow")),
        (None, None),
    ],
)
def test_series_are_compared_by_name_with_scikit_learns_words(fitted_on, asked, way):
    fitted = SequenceRegressor(**SMALL).fit(named(fitted_on), values())
    X = named(asked)
    calls = {
        "predict": lambda: fitted.predict(X),
        "score": lambda: fitted.score(X, values()),
        "predict_members": lambda: predict_members([fitted], X, [np.arange(N)]),
    }
    assert outcome(calls[way]) == scikit_learns(fitted_on, asked)


def test_the_names_of_an_earlier_fit_are_forgotten():
    fitted = SequenceRegressor(**SMALL).fit(named(static_names=["age", "size"]), values())
    assert fitted.feature_names_in_.tolist() == ["heat", "flow"]
    assert fitted.feature_names_in_.dtype == object
    assert fitted.static_names_in_.tolist() == ["age", "size"]
    fitted.fit(ragged(), values())
    assert not hasattr(fitted, "feature_names_in_")
    assert not hasattr(fitted, "static_names_in_")
    assert not hasattr(clone(fitted.fit(named(), values())), "feature_names_in_")


def test_static_features_are_compared_by_name():
    fitted = SequenceRegressor(**SMALL).fit(named(static_names=["age", "size"]), values())
    with pytest.raises(DataError, match="during fit: age, size; got size, age"):
        fitted.predict(named(static_names=["size", "age"]))
    with pytest.warns(UserWarning, match="does not have names of static features, but SequenceRegressor was fitted"):
        fitted.predict(named().replace(static=np.ones((N, 2))))
    unnamed = SequenceRegressor(**SMALL).fit(named().replace(static=np.ones((N, 2))), values())
    with pytest.warns(UserWarning, match="X has names of static features, but .* was fitted without them"):
        unnamed.predict(named(static_names=["age", "size"]))


def test_a_frame_of_static_features_brings_their_names():
    frame = pd.DataFrame({"age": classes(), "size": values()})
    for X in (series(static=frame), series().replace(static=frame)):
        assert X.static_names == ("age", "size")
    fitted = SequenceRegressor(**SMALL).fit(series(static=frame), values())
    with pytest.raises(DataError, match="got size, age"):
        fitted.predict(series(static=frame[["size", "age"]]))


@pytest.mark.parametrize("wrap", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"])
def test_a_list_of_frames_has_the_names_of_their_columns(wrap):
    fitted = SequenceRegressor(**SMALL).fit(of_frames(wrap), values())
    assert fitted.feature_names_in_.tolist() == ["heat", "flow"]
    assert np.array_equal(fitted.predict(of_frames(wrap)), fitted.predict(named()))
    with pytest.raises(DataError, match="same order as they were in fit"):
        fitted.predict(of_frames(wrap, ("flow", "heat")))
    mixed = [*of_frames(wrap)[:3], *of_frames(wrap, ("flow", "heat"))[3:]]
    with pytest.raises(DataError, match=r"got \['flow', 'heat'\] in series 3 and \['heat', 'flow'\] in series 0"):
        fitted.predict(mixed)
    with pytest.raises(DataError, match="got no names in series 3"):
        Sequences.from_arrays([*of_frames(wrap)[:3], *ragged()[3:]])


def test_names_of_which_only_some_are_text_are_refused_as_scikit_learn_does():
    with pytest.raises(DataError, match="all input features have string names") as caught:
        SequenceRegressor(**SMALL).fit(pd.DataFrame(FLAT, columns=[0, 1, 2, 3, 4, "x"]), values())
    assert isinstance(caught.value, TypeError)


def test_channels_before_time_have_no_names_from_their_columns():
    frames = [pd.DataFrame(x.T, columns=[f"t{k}" for k in range(len(x))]) for x in ragged()]
    fitted = SequenceRegressor(**SMALL, layout="nct").fit(frames, values())
    assert not hasattr(fitted, "feature_names_in_")


def test_channels_known_ahead_by_name_are_never_taken_from_another_place():
    X, y = Sequences.from_arrays(list(FLAT.reshape(N, 3, 2)), channel_names=["price", "visits"]), FLAT[:, :3]
    fitted = SequenceRegressor(**SMALL, horizon=1, known=["price"]).fit(X, y)
    with pytest.raises(DataError, match="same order"):
        fitted.predict(X.take_channels([1, 0]))


def batched(estimator: SequenceRegressor, several: list[Any], y: np.ndarray) -> list[SequenceRegressor]:
    """Fitted on each X by calls that meet."""
    with batch_calls():
        fits = Parallel()(delayed(lambda X: [clone(estimator).fit(X, y)])(X) for X in several)
    return [fitted for (fitted,) in fits]


def test_names_are_kept_by_members_and_by_calls_that_meet():
    X = named(static_names=["age", "size"])
    other = X.take_channels([1, 0])
    found = [
        *fit_members([NET, NET], X, values()),
        *batched(NET, [X, other, ragged()], values()),
    ]
    told = [getattr(one, "feature_names_in_", np.array([])).tolist() for one in found]
    assert told == [["heat", "flow"]] * 3 + [["flow", "heat"], []]
    assert found[0].static_names_in_.tolist() == ["age", "size"]
    # what was compared when it was asked for is not compared again where calls meet
    outputs = predict_requests([Outputs(found[2], X), Outputs(found[3], other)])
    assert np.array_equal(found[2].predictions(X, outputs[0]), found[2].predict(X))
    assert np.array_equal(found[3].predictions(other, outputs[1]), found[3].predict(other))


def test_folds_of_a_frame_and_pipelines_that_give_frames_keep_names():
    frame = pd.DataFrame(FLAT, columns=list("abcdef"))
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), NET)
    for estimator, last in ((NET, lambda e: e), (pipeline, lambda e: e[-1])):
        found = cross_validate(estimator, frame, values(), cv=KFold(3), return_estimator=True)
        assert [last(one).feature_names_in_.tolist() for one in found["estimator"]] == [list("abcdef")] * 3
        predicted = cross_val_predict(estimator, frame, values(), cv=KFold(3))
        alone = [clone(estimator).fit(frame.iloc[train], values()[train]).predict(frame.iloc[test])
                 for train, test in KFold(3).split(frame)]  # fmt: skip
        assert np.array_equal(predicted, np.concatenate(alone))
    with pytest.raises(ValueError, match="same order"):
        clone(pipeline).fit(frame, values()).predict(frame[list("fedcba")])


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "save"])
def test_a_copy_compares_names_too(way, tmp_path):
    X = named(static_names=["age", "size"])
    fitted = SequenceRegressor(**SMALL).fit(X, values())
    if way == "save":
        fitted.save(tmp_path / "model")
    copied = {
        "pickle": lambda: pickle.loads(pickle.dumps(fitted)),
        "deepcopy": lambda: copy.deepcopy(fitted),
        "save": lambda: SequenceRegressor.load(tmp_path / "model"),
    }[way]()
    for name in ("feature_names_in_", "static_names_in_"):
        assert getattr(copied, name).tolist() == getattr(fitted, name).tolist()
        assert getattr(copied, name).dtype == object
    assert np.array_equal(copied.predict(X), fitted.predict(X))
    with pytest.raises(DataError, match="same order"):
        copied.predict(X.take_channels([1, 0]))


def test_a_model_saved_before_names_were_loads_and_bad_names_are_refused(tmp_path):
    fitted = SequenceRegressor(**SMALL).fit(named(), values())
    fitted.save(tmp_path / "model")
    saved = storage.read_run(tmp_path / "model")
    facts = saved.json(FACTS)

    def rewritten(name, facts):
        storage.write_run(
            tmp_path / name,
            {FACTS: storage.json_to_bytes(facts), WEIGHTS: storage.arrays_to_bytes(saved.arrays(WEIGHTS))},
            {},
        )
        return tmp_path / name

    old = SequenceRegressor.load(rewritten("old", {key: facts[key] for key in facts if key != "names"}))
    assert not hasattr(old, "feature_names_in_")
    assert np.array_equal(old.predict(ragged()), fitted.predict(named()))
    for number, names in enumerate([{"module_": ["a"]}, {"feature_names_in_": [1, 2]}, {"feature_names_in_": "ab"}, 7]):
        with pytest.raises(OSError, match="needs to hold a saved estimator"):
            SequenceRegressor.load(rewritten(f"bad{number}", facts | {"names": names}))


def test_an_array_of_static_features_in_any_memory_order_is_the_same():
    static = np.column_stack([classes(), values()])
    found = [SequenceRegressor(**SMALL).fit(series(static=s), values()).predict(series(static=s))
             for s in (static, np.asfortranarray(static))]  # fmt: skip
    assert np.array_equal(*found)


@pytest.mark.parametrize("swapped", ["channels", "static"])
def test_test_series_of_networks_and_baselines_have_the_names_of_the_training_series(swapped):
    from throughtime.study import assess, assess_baselines, scorers_for

    X, y = named(static_names=["age", "size"]), values()
    other = X.take_channels([1, 0]) if swapped == "channels" else X.take_static([1, 0])
    splits, scorers = list(KFold(2).split(np.zeros(N))), scorers_for(NET, y)
    with pytest.raises(DataError, match=r"same order|size, age"):
        assess([NET], X, y, splits, scorers, test=(other, y))
    with pytest.raises(DataError, match="_names of X in their order"):
        assess_baselines(NET, X, y, splits, scorers, test=(other, y))
