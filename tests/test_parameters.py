"""Parameters are declared once, and everybody reads the same declaration."""

import inspect
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.errors import ParameterError
from throughtime.parameters import (
    ClassifierArguments,
    ClassifierParameters,
    NetworkParameters,
    Parameter,
    RegressorArguments,
    RegressorParameters,
    check_value,
    check_values,
    declared,
)

BOTH = {SequenceClassifier: ClassifierArguments, SequenceRegressor: RegressorArguments}
EVERY = {**declared(ClassifierArguments), **declared(RegressorArguments)}

each_estimator = pytest.mark.parametrize(("estimator", "schema"), BOTH.items(), ids=lambda part: part.__name__)
each_parameter = pytest.mark.parametrize("parameter", EVERY.values(), ids=lambda parameter: parameter.name)


@each_parameter
def test_every_default_passes_its_own_check_and_has_words_of_help(parameter: Parameter):
    check_value(parameter, parameter.option.default)
    assert len(parameter.option.help) > 4
    assert not parameter.option.help.endswith(".")


@each_estimator
def test_an_estimators_signature_is_the_declaration(estimator, schema):
    signature = inspect.signature(estimator)
    assert list(signature.parameters) == list(declared(schema))
    for name, argument in signature.parameters.items():
        assert argument.kind is inspect.Parameter.KEYWORD_ONLY
        assert argument.default == declared(schema)[name].option.default
    assert estimator().get_params() == {name: p.option.default for name, p in declared(schema).items()}


@each_estimator
def test_what_is_set_is_kept_as_it_is_given_and_cloned(estimator, schema):
    given_values = {name: object() for name in declared(schema)}
    made = estimator(**given_values)
    for name, value in given_values.items():
        assert getattr(made, name) is value
    changed = clone(estimator(hidden_size=7, lr=0.5)).set_params(lr=0.25, cell="lstm")
    assert (changed.hidden_size, changed.lr, changed.cell) == (7, 0.25, "lstm")
    assert repr(changed) == f"{estimator.__name__}(cell='lstm', hidden_size=7, lr=0.25)"


def test_what_both_estimators_take_is_declared_once():
    shared = declared(NetworkParameters)
    for schema in (ClassifierParameters, RegressorParameters):
        assert {name: declared(schema)[name] for name in shared} == shared


def just_outside(parameter: Parameter) -> list[object]:
    option, whole = parameter.option, parameter.type is int
    step = 1 if whole else 1e-9
    values: list[object] = []
    if option.at_least is not None:
        values.append(option.at_least - step)
    if option.above is not None:
        values.append(option.above)
    if option.at_most is not None:
        values.append(option.at_most + step)
    if option.below is not None:
        values.append(option.below)
    return values


NEITHER_WORD_NOR_NUMBER = [
    object(),
    [1],
    (),
    b"rnn",
    1 + 2j,
    np.array([1.0, 2.0]),
    np.array(["rnn", "gru"]),
    np.array([5]),
]


@each_parameter
def test_a_value_outside_the_rule_is_refused_in_words_that_name_parameter_and_value(parameter: Parameter):
    wrong: list[object] = [*NEITHER_WORD_NOR_NUMBER]
    if not parameter.optional:
        wrong.append(None)
    if parameter.type in (int, float):
        wrong += [*just_outside(parameter), math.nan, math.inf, -math.inf, True, np.True_, "1", 10**400]
        wrong += [0.5, 2.0] if parameter.type is int else []
    elif parameter.name != "device":
        wrong += ["", "no such word", 1]
    if parameter.name == "known":  # takes a list of whole numbers
        wrong[1:2] = [[True], [0.5]]
    for value in wrong:
        with pytest.raises(ParameterError) as refusal:
            check_value(parameter, value)
        message = str(refusal.value)
        assert message.startswith(f"{parameter.name} needs ")
        assert f", got {value!r}" in message


@each_parameter
def test_what_is_just_inside_a_bound_is_taken(parameter: Parameter):
    option = parameter.option
    for bound in (option.at_least, option.at_most):
        if bound is not None:
            check_value(parameter, bound)
            check_value(parameter, (np.int64 if parameter.type is int else np.float64)(bound))
    if option.above is not None:
        check_value(parameter, math.nextafter(option.above, math.inf))
    if option.below is not None:
        check_value(parameter, math.nextafter(option.below, -math.inf))
    for word in parameter.choices:
        check_value(parameter, word)
    if parameter.type is bool:
        check_value(parameter, np.bool_(True))


@given(
    name=st.sampled_from(sorted(EVERY)),
    value=st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.integers()),
        st.dictionaries(st.text(), st.floats()), st.complex_numbers(), st.decimals(), st.fractions(),
    ),
)  # fmt: skip
def test_any_value_is_taken_or_refused_and_nothing_else_happens(name, value):
    message = ""
    try:
        check_value(EVERY[name], value)
    except ParameterError as refusal:
        message = str(refusal)
    assert message == "" or message.startswith(f"{name} needs ")


def test_an_unknown_name_is_refused_with_the_nearest_known_one():
    with pytest.raises(ParameterError, match=r"^'hiden_size' is not a parameter of classifiers; did you mean 'hidden_"):
        check_values(ClassifierParameters, {"hiden_size": 8})
    with pytest.raises(ParameterError, match=r"^'class_weight' is not a parameter of regressors"):
        check_values(RegressorParameters, {"class_weight": None})
    with pytest.raises(
        ParameterError, match=r"^'zzz' is not a parameter of regressors; there are cell, nonlinearity, hidden_size,"
    ):
        check_values(RegressorArguments, {"zzz": 1})
    check_values(ClassifierParameters, {})


@pytest.mark.parametrize("estimator", BOTH)
def test_parameters_are_looked_at_in_fit_and_not_before(estimator):
    wrong = estimator(max_epochs=0)
    with pytest.raises(ParameterError, match=r"^max_epochs needs a whole number of at least 1, got 0$"):
        wrong.fit(np.zeros((4, 3, 1)), [0, 1, 0, 1])


def test_reading_the_declaration_does_not_load_torch():
    code = "import sys, throughtime.parameters; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
