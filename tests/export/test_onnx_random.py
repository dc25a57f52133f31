"""Random models: whatever goes together, the graph of whole series and the stream answer as the estimator.

A sample by default; ``THROUGHTIME_SOAK=1`` takes fifty times as many.
"""

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import expected_of, series
from onnx_runs import assert_alike, check, feeds_of, random_model, read_rows, session_of, streamed

MODELS = 500 if os.environ.get("THROUGHTIME_SOAK") else 10
CELLS = ["rnn", "relu", "gru", "lstm", "linear", "peephole_lstm"]
FEATURES = [
    "diff",
    "diff:2:9",
    "lag:1:3",
    "rolling:3",
    "rolling:2:8:min:std",
    "fourier:7:3.5",
    "summary:mean:slope:max",
]


def random_case(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the series, and parameters of the estimator."""
    choose = random.Random(seed)
    cell = choose.choice(CELLS)
    parameters: dict[str, Any] = {"cell": "rnn", "nonlinearity": "relu"} if cell == "relu" else {"cell": cell}
    parameters |= {"num_layers": choose.choice([1, 1, 2, 3]), "bidirectional": choose.random() < 0.3}
    parameters |= {"hidden_size": choose.randint(1, 9), "classes": choose.random() < 0.5}
    parameters |= {"dtype": choose.choice(["float32", "float32", "float64"]), "by_step": choose.random() < 0.4}
    if choose.random() < 0.3:
        parameters["normalize"] = "none"
    unbounded = cell in ("relu", "linear") or "normalize" in parameters
    if unbounded:  # of large numbers float32 rounds more
        parameters["dtype"] = "float64"
    if choose.random() < 0.25:
        parameters |= {"zoneout": choose.choice([0.0, 0.3]), "cell_zoneout": 0.2 if "lstm" in cell else 0.0}
    words = choose.sample(FEATURES, choose.choice([0, 0, 1, 2, 3]))
    if parameters["by_step"]:
        words = [word for word in words if not word.startswith("summary")]
        if not (parameters["classes"] or parameters["bidirectional"]) and choose.random() < 0.6:
            parameters |= {
                "horizon": choose.randint(1, 4),
                "known": choose.sample(range(3), choose.randint(0, 3)) or None,
            }
    else:
        parameters["pooling"] = choose.choice(["last", "mean", "max"])
        if not (parameters["classes"] or unbounded):  # whose exp may be 0
            parameters["target_transform"] = choose.choice(["none", "log", "log1p", "sqrt"])
    numbers = [word.partition(":")[0] for word in words]
    parameters["features"] = (
        ",".join(word for place, word in enumerate(words) if numbers.index(numbers[place]) == place) or None
    )
    times = choose.choice([None, "days", "numbers"])
    options = {"missing": choose.random() < 0.5, "static": choose.random() < 0.4, "times": times}
    return options | {"dtype": "float64", "shortest": 1 + parameters.get("horizon", 0)}, parameters


@pytest.mark.parametrize("seed", range(MODELS))
def test_a_random_model_answers_the_same(seed: int, tmp_path: Path) -> None:
    options, parameters = random_case(seed)
    estimator = random_model(series(8, 14, **options), **parameters)
    if hasattr(estimator, "target_scale_"):
        estimator.target_mean_, estimator.target_scale_ = 0.5, 2.0
    whole = session_of(estimator, tmp_path / "whole.onnx")
    shapes = [(1, 1 + options["shortest"]), (5, 33), (2, 8)]
    for n, longest in shapes:
        check(estimator, whole, series(n, longest, seed=seed, **options))
    if parameters["bidirectional"] or "summary" in (parameters["features"] or ""):
        return
    stream = session_of(estimator, tmp_path / "stream.onnx", streaming=True)
    for n, longest in shapes:
        X = series(n, longest, seed=seed, **options)
        expected = expected_of(estimator, X)
        if estimator.horizon_:
            expected = expected[~np.isnan(expected)]
        found = streamed(stream, read_rows(estimator, feeds_of(estimator, X)), 5, estimator.by_step_, seed)
        assert_alike(estimator, found, expected)
