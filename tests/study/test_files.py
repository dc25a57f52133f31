"""What a run says of itself."""

import pytest
import torch

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.study import run_facts


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
