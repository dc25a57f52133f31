"""A classifier with other numbers in its output layer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy import ndarray
from scipy.special import softmax

from throughtime.data import Sequences
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceClassifier, SequenceRegressor, predict_members, recalibrate

RNG = np.random.default_rng(0)
X = Sequences.from_arrays([RNG.normal(size=(4 + n % 3, 2)) for n in range(24)])
Y = np.arange(24) % 3
BIAS = np.array([0.5, -0.2, -0.3])


def fitted(**changed: object) -> SequenceClassifier:
    parameters = {"hidden_size": 4, "max_epochs": 2, "random_state": 0, **changed}
    return SequenceClassifier(**parameters).fit(X, Y)  # type: ignore[arg-type]


def logits_of(model: SequenceClassifier) -> ndarray:
    (outputs,) = predict_members([model], X, [np.arange(len(X))])
    return outputs.astype(np.float64)


@pytest.mark.parametrize("changed", [{}, {"bidirectional": True, "cell": "lstm"}, {"pooling": "mean", "num_layers": 2}])
def test_probabilities_are_those_of_the_scaled_and_shifted_logits(changed: dict[str, object]) -> None:
    model = fitted(**changed)
    expected = softmax(logits_of(model) / 2.5 + BIAS, axis=1)
    # float32 weights, logits of about 1
    np.testing.assert_allclose(recalibrate(model, 2.5, BIAS).predict_proba(X), expected, atol=1e-6)


def test_it_and_the_classifier_it_is_made_of_do_not_change_with_each_other() -> None:
    model = fitted()
    before = model.predict_proba(X)
    _ = model.module_
    one, other = recalibrate(model, 2.0, BIAS), recalibrate(model, 2.0, BIAS)
    expected = other.predict_proba(X)
    with torch.no_grad():
        for parameter in one.module_.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(model.predict_proba(X), before)
    with torch.no_grad():
        for parameter in model.module_.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(recalibrate(other, 1.0, np.zeros(3)).predict_proba(X), expected)


def test_the_identity_changes_no_bit() -> None:
    model = fitted()
    np.testing.assert_array_equal(recalibrate(model, 1.0, np.zeros(3)).predict_proba(X), model.predict_proba(X))


def test_log_ratios_of_priors_multiply_probabilities_by_them() -> None:
    model = fitted()
    ratios = np.array([2.0, 1.0, 0.25])
    expected = model.predict_proba(X) * ratios
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(recalibrate(model, 1.0, np.log(ratios)).predict_proba(X), expected, atol=1e-6)


def test_it_is_saved_and_loaded_as_any_classifier(tmp_path: Path) -> None:
    corrected = recalibrate(fitted(), 2.0, BIAS)
    corrected.save(tmp_path / "model")
    loaded = SequenceClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), corrected.predict_proba(X))
    assert loaded.get_params() == corrected.get_params()


def test_classes_of_steps_are_recalibrated_at_each_step() -> None:
    y = Sequences(RNG.integers(0, 3, (X.n_steps, 1)).astype(float), X.offsets)
    model = SequenceClassifier(hidden_size=4, max_epochs=2, random_state=0).fit(X, y)
    expected = softmax(logits_of(model) / 2 + BIAS, axis=1)
    np.testing.assert_allclose(recalibrate(model, 2.0, BIAS).predict_proba(X).values, expected, atol=1e-6)


class Mean(torch.nn.Module):
    """A network of the user's own, whose last layer has a name that nobody knows."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.last = torch.nn.Linear(n_inputs, n_outputs)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        return self.last(x.mean(1))


@pytest.mark.parametrize(
    ("temperature", "bias", "said"),
    [(0.0, BIAS, "temperature above 0, got 0"), (1.0, BIAS[:2], "3 finite biases"), (1.0, BIAS * np.nan, "finite")],
)
def test_numbers_that_are_no_calibration_are_refused(temperature: float, bias: ndarray, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        recalibrate(fitted(), temperature, bias)


def test_a_network_without_a_known_output_layer_of_classes_is_refused() -> None:
    regressor = SequenceRegressor(hidden_size=4, max_epochs=1, random_state=0).fit(X, Y.astype(float))
    own = SequenceClassifier(module=Mean, max_epochs=1, random_state=0).fit(X, Y)
    for model in (regressor, own):
        with pytest.raises(ParameterError, match="an output layer of ours, got Sequence"):
            recalibrate(model, 1.0, BIAS)
