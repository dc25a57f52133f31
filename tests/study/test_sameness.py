"""A study goes on where its data, folds and settings are those that it was begun with, wherever the data are."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from studies import arrays, classifier

from throughtime import study
from throughtime.data import Dataset, Sequences
from throughtime.errors import DataError, ParameterError
from throughtime.storage import json_from_bytes, json_to_bytes

X, Y = arrays()
DATA = Dataset(Sequences.from_arrays(X), Y, tuple(map(str, range(20))), "x", "x.csv")
TEST = replace(DATA, source="test.csv")
WEIGHTS = np.linspace(1, 2, 20)


def marks(data: Dataset = DATA, test: Dataset | None = TEST, **asked: Any) -> dict[str, Any]:
    """Those of a plan, as a request keeps them."""
    options: dict[str, Any] = {"cv": 2, "sample_weight": WEIGHTS} | asked
    plain: dict[str, Any] = json_from_bytes(
        json_to_bytes(study.marks_of_plan(study.plan(options.pop("model", classifier()), data, test, **options)))
    )
    return plain


def test_the_same_elsewhere_goes_on() -> None:
    moved = marks(replace(DATA, source="y.csv"), replace(TEST, source="z.csv"))
    study.refuse_other(marks(), moved, "run")


CHANGED = Sequences.from_arrays(X + 1e-7)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"data": replace(DATA, X=CHANGED)}, "the training series that it was begun with, got other values; --source"),
        ({"data": replace(DATA, y=Y[::-1])}, "the training .* other targets, names, lengths or groups; --source says"),
        ({"test": replace(TEST, X=CHANGED)}, "the test series that it was begun with, got other values; --test says"),
        ({"test": None}, "the test series .* other targets, names, lengths or groups; other values; --test"),
        ({"sample_weight": WEIGHTS[::-1]}, "the training series .* got other weights; --source"),
    ],
)
def test_other_data_are_refused_and_named(other: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=f"^run needs {words}"):
        study.refuse_other(marks(), marks(**other), "run")
    study.refuse_other(marks(**other), marks(**other), "run")


def test_another_setting_is_refused_with_both_values_and_so_are_other_folds() -> None:
    began, now = marks(), marks(model=classifier(lr=0.5))
    was = began["settings"]["parameters"]["lr"]
    with pytest.raises(ParameterError, match=re.escape(f"run was begun with parameters.lr {was}, got 0.5; begin")):
        study.refuse_other(began, now, "run")
    del now["settings"]["parameters"]["lr"]  # of a version that has it no more, or had it not yet
    with pytest.raises(ParameterError, match=re.escape(f"run was begun with parameters.lr {was}, got None; begin")):
        study.refuse_other(began, now, "run")
    with pytest.raises(ParameterError, match=re.escape(f"run was begun with parameters.lr None, got {was}; begin")):
        study.refuse_other(now, began, "run")
    folds = [(np.arange(10), np.arange(10, 20)), (np.arange(10, 20), np.arange(10))]
    turned = [(train[::-1], test) for train, test in folds]
    with pytest.raises(ParameterError, match="run was begun with other folds than these settings give now"):
        study.refuse_other(marks(cv=folds), marks(cv=turned), "run")
