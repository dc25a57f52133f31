"""The docstring of an estimator says of every parameter what its declaration says."""

import ast
import inspect
import pydoc
import re

import pytest
from numpydoc.docscrape import NumpyDocString

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceEstimator
from throughtime.parameters import check_value, declared

ESTIMATORS = [SequenceClassifier, SequenceRegressor]


def entries(cls, section="Parameters"):
    return {entry.name: entry for entry in NumpyDocString(cls.__doc__)[section]}


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_parameter_of_the_signature_is_described_in_its_order_with_its_default(cls):
    described = entries(cls)
    signature = inspect.signature(cls).parameters
    assert list(described) == list(signature)
    for name, entry in described.items():
        assert ast.literal_eval(entry.type.rpartition("default=")[2]) == signature[name].default
        assert ("None" in entry.type) == declared(cls.schema)[name].optional
        help_words = re.findall(r"\w+", declared(cls.schema)[name].option.help.lower())
        assert re.findall(r"\w+", " ".join(entry.desc).lower()) == help_words


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_bounds_and_choices_that_are_described_are_those_that_are_checked(cls):
    for name, entry in entries(cls).items():
        parameter = declared(cls.schema)[name]
        if words := re.match(r"\{(.*)\}", entry.type):
            for choice in ast.literal_eval(f"[{words[1]}]"):
                check_value(parameter, choice)
            with pytest.raises(ParameterError):
                check_value(parameter, "of no parameter")
        if not entry.type.startswith(("int", "float")):
            continue
        for bound, text in re.findall(r"(at least|at most|above|below) ([\d,]+)", entry.type):
            edge, step = int(text.replace(",", "")), 1 if bound in ("at least", "below") else -1
            inside = edge if bound.startswith("at") else edge - step * 0.5
            check_value(parameter, inside if entry.type.startswith("float") else int(inside))
            with pytest.raises(ParameterError):
                check_value(parameter, edge - step if bound.startswith("at") else edge)
        if not re.search(r"at least|above", entry.type):
            check_value(parameter, -1)


def test_attributes_of_all_estimators_stand_beside_those_of_one():
    shared = list(entries(SequenceEstimator, "Attributes"))
    assert list(entries(SequenceClassifier, "Attributes")) == [*shared, "classes_"]
    assert list(entries(SequenceRegressor, "Attributes")) == shared


def test_help_shows_the_parameters():
    shown = pydoc.plain(pydoc.render_doc(SequenceClassifier))
    assert "hidden_size : int of at least 1 and of at most 1,000,000, default=64" in shown
    assert "Units per layer and direction." in shown
    assert "'peephole_lstm'} or CellSpec, default='gru'" in shown


def test_a_subclass_keeps_its_docstring_or_inherits_ours():
    class Named(SequenceClassifier):
        """Mine."""

    class Silent(SequenceClassifier):
        pass

    assert Named.__doc__ == "Mine."
    assert inspect.getdoc(Silent) == inspect.getdoc(SequenceClassifier)
