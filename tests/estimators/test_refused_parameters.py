"""How a network starts, is trained back in time and watched: every bad value is refused in words, by every way to fit.

By an estimator of its own, among members, and in a search.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from estimator_data import LENGTHS, N, classes, ragged, steps, values
from sklearn.base import clone

from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor, fit_members
from throughtime.errors import DataWarning, ParameterError, ThroughtimeError

SMALL: dict[str, Any] = {"hidden_size": 2, "max_epochs": 1, "random_state": 0}
LONGEST = int(LENGTHS.max())
BPTT = "bptt needs one of full, checkpointed, truncated, got "
MONITOR = "monitor needs one of flow, flow-every-step or None, got "
VALUE = "clip_value needs a finite number above 0 or None, got "
LAG = "init_lag needs a whole number of at least 2 and of at most 1,000,000,000 or None, got "
BIAS = "forget_bias needs a finite number or None, got "
K1, K2 = (f"k{number} needs a whole number of at least 1 or None, got " for number in (1, 2))
TRUNCATED: dict[str, Any] = {"bptt": "truncated", "k2": 2}

#: What is no value, whatever else is set, and the rule it breaks.
NO_VALUES: dict[str, tuple[str, Sequence[Any]]] = {
    "init_lag": (LAG, (1, 0, -5, 2.0, math.nan, True, "5", [5], np.array([5]), 10**10)),
    "forget_bias": (BIAS, (math.nan, math.inf, True, np.True_, "1", [1.0], np.array([1.0]), 10**400)),
    "bptt": (BPTT, ("half", "Full", "", None, True, 1, ["full"])),
    "k1": (K1, (0, -1, 1.5, 2.0, math.inf, True, "4", [4], np.array([4]))),
    "k2": (K2, (0, -1, 1.5, 2.0, math.inf, True, "4", [4], np.array([4]))),
    "clip_value": (VALUE, (0, 0.0, -1, -0.5, math.nan, math.inf, True, np.True_, "1", [1.0], 10**400)),
    "monitor": (MONITOR, ("grads", "", "FLOW", True, False, 1, ["flow"], print)),
}

#: What contradicts something else: the rest of the parameters, or the series.
CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    *(({"init_lag": 5, "init": init}, f"init_lag needs init='chrono', .* got init_lag=5 with init='{init}'")
      for init in ("torch", "keras", "orthogonal")),
    ({"init_lag": 5}, "init_lag needs init='chrono', which alone has a use for it, got init_lag=5 with init='torch'"),
    *(({"init_lag": 5, "init": "chrono", "cell": cell}, f"chrono needs a cell with a gate .* got cell='{cell}'")
      for cell in ("rnn", "linear")),
    *(({"forget_bias": 1.0, "cell": cell}, f"forget_bias needs a cell with a gate .* got cell='{cell}'")
      for cell in ("rnn", "linear")),
    ({"forget_bias": 0.0, "init": "chrono"}, "forget_bias needs biases other than chrono's, .*, got 0.0, with init="),
    *(({name: 2, "bptt": bptt}, f"{name} needs bptt='truncated', got {name}=2 with bptt='{bptt}'")
      for name in ("k1", "k2") for bptt in ("full", "checkpointed")),
    ({"k1": 2, "k2": 2}, "k1 needs bptt='truncated', got k1=2 with bptt='full'"),
    ({"bptt": "truncated"}, "bptt='truncated' needs k2, the steps that the gradient reaches back, got none"),
    ({"bptt": "truncated", "k1": 2}, "k1 needs a target at each step, got one per series and k1=2"),
    ({"bptt": "truncated", "k2": LONGEST}, f"k2 needs to be below the {LONGEST} steps of the longest training series"),
    (TRUNCATED | {"bidirectional": True}, "bptt='truncated' needs bidirectional=False, got True"),
    ({"monitor": "flow", "hidden_size": 64, "max_epochs": 1, "module": lambda *_: torch.nn.Identity()},
     "module brings a network of its own and needs monitor at its default, got 'flow'"),
]  # fmt: skip


def alone(model: Any, X: Any, y: Any) -> Any:
    return clone(model).fit(X, y)


def among_members(model: Any, X: Any, y: Any) -> Any:
    (found,) = fit_members([model], X, y)
    if isinstance(found, Exception):
        raise found
    return found


def in_a_search(model: Any, X: Any, y: Any) -> Any:
    first, (train, test) = np.argmax(LENGTHS), np.array_split(np.arange(N), 2)
    folds = [(np.union1d(train, [first]), np.setdiff1d(test, [first]))]  # the longest series is one to train on
    return LockstepSearchCV(model, {"lr": [0.01]}, cv=folds, error_score="raise").fit(X, y)


every_way = pytest.mark.parametrize("fit", [alone, among_members, in_a_search])
both = pytest.mark.parametrize(
    ("estimator", "targets"), [(SequenceClassifier, classes), (SequenceRegressor, values)], ids=["classes", "values"]
)


@every_way
@both
@pytest.mark.parametrize("name", NO_VALUES)
def test_what_is_no_value_is_refused_by_the_rule_and_with_the_value(
    name: str, estimator: Any, targets: Callable[[], Any], fit: Callable[..., Any]
) -> None:
    # beside what makes sense of it
    beside = {"init_lag": {"init": "chrono"}, "k1": TRUNCATED, "k2": {"bptt": "truncated"}}.get(name, {})
    rule, bad_values = NO_VALUES[name]
    for value in bad_values:
        with pytest.raises(ParameterError, match="^" + re.escape(f"{rule}{value!r}"[:200])):
            raise AssertionError(f"{value!r}: {fit(estimator(**SMALL | beside | {name: value}), ragged(), targets())}")


@every_way
@both
@pytest.mark.parametrize(("options", "message"), CONTRADICTIONS, ids=lambda part: repr(part)[:60])
def test_what_contradicts_the_rest_is_refused_with_what_to_set(
    options: dict[str, Any], message: str, estimator: Any, targets: Callable[[], Any], fit: Callable[..., Any]
) -> None:
    with pytest.raises(ThroughtimeError, match=f"^{message}"):
        fit(estimator(**SMALL | options), ragged(), targets())


@every_way
def test_a_step_between_updates_beyond_what_a_gradient_reaches_is_refused(fit: Callable[..., Any]) -> None:
    with pytest.raises(ParameterError, match="k2 needs to be at least k1, got k1=4 and k2=2"):
        fit(SequenceRegressor(**SMALL | TRUNCATED, k1=4), ragged(), steps())


@pytest.mark.filterwarnings("ignore::throughtime.errors.FlowWarning")
@both
def test_values_on_the_edge_train(estimator: Any, targets: Callable[[], Any]) -> None:
    for options in (
        {"init": "chrono", "init_lag": 2},
        {"init": "chrono", "init_lag": np.int64(LONGEST)},
        {"forget_bias": 0},
        {"forget_bias": np.float32(-1)},
        {"bptt": "truncated", "k2": LONGEST - 1},
        {"bptt": "truncated", "k2": np.int32(1)},
        {"clip_value": 1e-300},
        {"clip_value": 1},
        {"monitor": "flow", "bptt": "truncated", "k2": 3},
    ):
        assert alone(estimator(**SMALL | options), ragged(), targets()).n_iter_ == 1


def test_a_member_that_contradicts_itself_leaves_its_neighbors_alone() -> None:
    X, y = ragged(), classes()
    good = SequenceClassifier(**SMALL)
    members = [good, *(SequenceClassifier(**SMALL | options) for options, _ in CONTRADICTIONS)]
    found, *others = fit_members(members, X, y)
    for (_, message), other in zip(CONTRADICTIONS, others, strict=True):
        assert re.match(message, str(other))
    expected = alone(good, X, y).module_.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in found.module_.state_dict().items())


def test_a_lag_is_looked_up_in_a_members_own_series() -> None:
    X, y = ragged(), classes()
    rows = np.flatnonzero(LENGTHS <= 6)
    model = SequenceClassifier(**SMALL, init="chrono", init_lag=7)
    fit_members([model], X, y, train_indices=[np.arange(N)])  # without a word
    told = "^init_lag is 7, beyond the 6 steps of the longest training series"
    with pytest.warns(DataWarning, match=told):
        (in_fold,) = fit_members([model], X, y, train_indices=[rows])
    with pytest.warns(DataWarning, match=told):
        alone = model.fit([X[row] for row in rows], y[rows])
    assert in_fold.history_ == alone.history_


def test_an_inner_validation_split_may_hold_the_series_of_the_lag() -> None:
    X = [np.ones((4, 1))] * 20 + [np.ones((50, 1))]
    for seed in range(8):  # whichever side the long one falls on
        model = SequenceClassifier(hidden_size=2, max_epochs=1, random_state=seed, init="chrono", init_lag=50)
        model.set_params(early_stopping=True).fit(X, np.arange(21) % 2)
