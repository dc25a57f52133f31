"""How far an exported graph is from its estimator in float32, and both from the same weights run in float64.

``python benchmarks/onnx_parity.py`` trains networks of each cell, one shallow and one deep and bidirectional, as a
classifier and a regressor on a task that needs memory, and compares them on 60 unseen series of up to 200 steps;
``results/onnx_parity.csv``. Distances are largest absolute ones: of probabilities, or of numbers in deviations of the
target. What the two differ by is float32: rounding that a recurrence amplifies, and ONNX Runtime's tanh, a rational
approximation that is off by up to 2.6e-7 where torch's is by 3.2e-8, which the c of an LSTM adds up.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy import ndarray

from recording import cpu_model, write_rows
from throughtime import SequenceClassifier, SequenceRegressor, export_onnx
from throughtime.data import Sequences
from throughtime.parameters import CellName

CELLS: tuple[CellName, ...] = ("rnn", "gru", "lstm", "linear", "peephole_lstm")
SHAPES = ((1, False), (3, True))
CHANNELS, UNITS, TRAINED, UNSEEN = 3, 24, 120, 60


def series(n: int, shortest: int, longest: int, rng: np.random.Generator) -> list[ndarray]:
    """Noise, of random lengths; of float32 numbers, so that both precisions read the same."""
    lengths = rng.integers(shortest, longest + 1, n)
    return [rng.normal(size=(length, CHANNELS)).astype(np.float32).astype(np.float64) for length in lengths]


def answers(estimator: Any, X: Sequences) -> ndarray:
    """Probabilities, or numbers in deviations of the target."""
    if isinstance(estimator, SequenceClassifier):
        return np.asarray(estimator.predict_proba(X))
    numbers: ndarray = np.asarray(estimator.predict(X)) / estimator.target_scale_
    return numbers


def graph_answers(estimator: Any, X: Sequences) -> ndarray:
    """The same of the exported graph in ONNX Runtime."""
    x = np.zeros((len(X), int(X.lengths.max()), CHANNELS))
    for row, values in zip(x, X, strict=True):
        row[: len(values)] = values
    with tempfile.TemporaryDirectory() as directory:
        export_onnx(estimator, path := Path(directory) / "model.onnx")
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = "probabilities" if isinstance(estimator, SequenceClassifier) else "prediction"
    (found,) = session.run([name], {"x": x, "lengths": np.array(X.lengths)})
    in_deviations: ndarray = np.asarray(found) / getattr(estimator, "target_scale_", 1.0)
    return in_deviations


def in_float64(estimator: Any) -> Any:
    """An estimator with the same weights that computes in float64."""
    wide = type(estimator)(**estimator.get_params() | {"dtype": "float64", "max_epochs": 1})
    rng = np.random.default_rng(0)
    y = np.arange(8) % 4 if isinstance(estimator, SequenceClassifier) else rng.normal(size=8)
    wide.fit(Sequences.from_arrays(series(8, 5, 9, rng)), y)
    wide.__dict__.update({name: value for name, value in vars(estimator).items() if name.startswith("target_")})
    for name, weight in wide.network_.state.items():
        weight.copy_(estimator.network_.state[name])
    return wide


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = []
    for cell in CELLS:
        for layers, both in SHAPES:
            for cls in (SequenceClassifier, SequenceRegressor):
                rng = np.random.default_rng(0)
                x = series(TRAINED, 10, 40, rng)
                total, first = np.array([one[:, 0].sum() for one in x]), np.array([one[0, 1] for one in x])
                y = (total > 0) + 2 * (first > 0) if cls is SequenceClassifier else total + first
                estimator = cls(
                    cell=cell, num_layers=layers, bidirectional=both, hidden_size=UNITS, max_epochs=15, batch_size=16,
                    lr=0.003, dtype="float32", random_state=0,
                ).fit(Sequences.from_arrays(x), y)  # fmt: skip
                unseen = Sequences.from_arrays(series(UNSEEN, 1, 200, rng))
                own, graph, wide = (
                    answers(estimator, unseen),
                    graph_answers(estimator, unseen),
                    answers(in_float64(estimator), unseen),
                )
                row = {"cell": cell, "layers": layers, "bidirectional": both, "kind": estimator.task.kind}
                pairs = {"graph_to_estimator": (graph, own), "estimator_to_float64": (own, wide)}
                pairs["graph_to_float64"] = (graph, wide)
                distances = {name: f"{np.abs(one - other).max():.1e}" for name, (one, other) in pairs.items()}
                rows.append(row | distances | {"cpu": cpu_model(), "onnxruntime": onnxruntime.__version__})
                print(rows[-1], flush=True)
    write_rows("onnx_parity.csv", rows)


if __name__ == "__main__":
    main()
