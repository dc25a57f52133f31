"""What a run says of itself."""

import numpy as np
import pytest
import torch

from throughtime import SequenceClassifier, SequenceRegressor, evaluate
from throughtime.study import Run, run_facts


@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceRegressor])
@pytest.mark.parametrize(
    ("parameters", "holds"),
    [
        ({}, True),
        ({"device": "cpu:0"}, True),
        ({"device": "cuda"}, False),
        ({"device": "cuda:1"}, False),
        ({"device": "mps"}, False),
        ({"module": lambda inputs, outputs: torch.nn.Linear(inputs, outputs)}, False),
    ],
    ids=["default", "cpu", "cuda", "second cuda", "mps", "module"],
)
def test_a_run_promises_its_bits_for_the_built_in_network_on_the_cpu_alone(estimator, parameters, holds):
    facts = run_facts(estimator(**parameters))
    assert facts["bitwise_reproducible"] is holds
    assert facts["device"] == parameters.get("device", "cpu")


def test_names_are_text_in_pictures_though_they_look_like_formulas_or_the_font_lacks_them(tmp_path):
    X = np.random.default_rng(0).normal(size=(12, 3, 1))
    y = np.array(["cost $\\frac$", "\u6c34"] * 6)
    model = SequenceClassifier(hidden_size=2, max_epochs=1, random_state=0)
    evaluate(model, X, y, cv=2, baselines=False).save(tmp_path / "run")
    assert "out_of_fold.png" in Run.open(tmp_path / "run").names
