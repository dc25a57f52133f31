"""Estimators with random weights, and what ONNX Runtime makes of their graphs, whole series or a stream."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from exported import expected_of, fitted
from numpy import ndarray

from throughtime import SequenceRegressor
from throughtime.data import Sequences
from throughtime.estimators import SequenceEstimator
from throughtime.estimators.targets import transform
from throughtime.export import export_onnx

#: Of probabilities; of numbers in deviations of the target as it was learned, or of the largest where that is beyond
#: one. In float32 both sides round, each in its own order; that float64 agrees so much better shows that nothing else
#: differs.
TOLERANCES = {"float32": 1e-6, "float64": 1e-12}
TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


def random_model(X: Sequences, **parameters: Any) -> SequenceEstimator:
    """An estimator whose weights, biases and peepholes are all anything but zero."""
    estimator = fitted(X, **{"dtype": "float32"} | parameters)
    generator = torch.Generator().manual_seed(5)
    for name, weight in estimator.network_.state.items():
        if name not in ("shift", "scale"):
            weight += 0.2 * torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    return estimator


def session_of(estimator: SequenceEstimator, path: Path, **options: Any) -> onnxruntime.InferenceSession:
    """The exported graph in ONNX Runtime, on one thread of the CPU."""
    export_onnx(estimator, path, **options)
    return open_session(path.read_bytes())


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, feeds: dict[str, ndarray]) -> dict[str, ndarray]:
    """All outputs by name."""
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def feeds_of(estimator: SequenceEstimator, X: Sequences) -> dict[str, ndarray]:
    """Series as a graph takes them; behind their ends is what would spoil all if it were read."""
    x = np.full((len(X), int(X.lengths.max()), X.n_channels), np.inf)
    x[:, ::2] = 1e30
    feeds = {"x": x, "lengths": np.array(X.lengths, np.int64)}
    for row, values in zip(x, X, strict=True):
        row[: len(values)] = values
    if X.static is not None:
        feeds["static"] = np.array(X.static, np.float64)
    if estimator.time_units_ in ("days", "numbers"):
        times = (
            X.times
            if estimator.time_units_ == "numbers"
            else (X.times - np.datetime64(0, "ns")) / np.timedelta64(1, "D")
        )
        feeds["clock"] = np.full(x.shape[:2], np.inf)
        for row, own in zip(feeds["clock"], np.split(times, X.offsets[1:-1]), strict=True):
            row[: len(own)] = own
    return feeds


def own_steps(outputs: ndarray, lengths: ndarray) -> ndarray:
    """Outputs of the series' own steps, one after the other."""
    return np.concatenate([row[:length] for row, length in zip(outputs, lengths, strict=True)])


def answers(estimator: SequenceEstimator, outputs: dict[str, ndarray], lengths: ndarray) -> ndarray:
    """The probabilities or predictions among the outputs: a row per series or step."""
    found = outputs["prediction" if "prediction" in outputs else "probabilities"]
    return own_steps(found, lengths) if estimator.by_step_ else found


def assert_alike(estimator: SequenceEstimator, found: ndarray, expected: ndarray) -> None:
    """Within the tolerance of the network's precision, NaN where NaN is expected."""
    tolerance = TOLERANCES[str(estimator.network_.dtype).removeprefix("torch.")]
    if isinstance(estimator, SequenceRegressor):
        scaled = [
            transform(estimator.target_transform, values) - estimator.target_mean_ for values in (found, expected)
        ]
        found, expected = (values / estimator.target_scale_ for values in scaled)
        tolerance *= max(1.0, np.nanmax(np.abs(expected)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def check(estimator: SequenceEstimator, session: onnxruntime.InferenceSession, X: Sequences) -> None:
    """A graph's answers to series, and its labels, are the estimator's."""
    outputs = run(session, feeds_of(estimator, X))
    lengths = np.array(X.lengths)
    assert_alike(estimator, answers(estimator, outputs, lengths), expected_of(estimator, X))
    if "label" in outputs:
        labels, expected = outputs["label"], estimator.predict(X)
        assert outputs["logits"].shape == outputs["probabilities"].shape
        if estimator.by_step_:
            labels, expected = own_steps(labels, lengths), expected.values[:, 0]
        np.testing.assert_array_equal(labels, expected)


def read_rows(estimator: SequenceEstimator, feeds: dict[str, ndarray]) -> dict[str, ndarray]:
    """What a stream is fed, whole: of a forecast the known channels a horizon ahead, beside the others."""
    ahead = estimator.horizon_
    if not ahead:
        return feeds
    rows = feeds["x"][:, :-ahead].copy()
    rows[:, :, estimator.known_] = feeds["x"][:, ahead:, estimator.known_]
    clock = {"clock": feeds["clock"][:, ahead:]} if "clock" in feeds else {}
    return feeds | {"x": rows, "lengths": feeds["lengths"] - ahead} | clock


def start_of(session: onnxruntime.InferenceSession, batch: int) -> dict[str, ndarray]:
    """The states at the start: zeros."""
    outputs = {port.name for port in session.get_outputs()}
    return {
        port.name: np.zeros([batch, *port.shape[1:]], TYPES[port.type])
        for port in session.get_inputs()
        if f"next_{port.name}" in outputs
    }


def streamed(
    session: onnxruntime.InferenceSession, feeds: dict[str, ndarray], most: int, by_step: bool, seed: int = 0
) -> ndarray:
    """Answers of a stream whose calls bring up to so many steps of each series, and now and then none.

    Returns
    -------
    Those of the last call, or of every step one series after the other.
    """
    rng = np.random.default_rng(seed)
    lengths, done = feeds["lengths"], np.zeros(len(feeds["lengths"]), np.int64)
    states = start_of(session, len(lengths))
    by_series: list[list[ndarray]] = [[] for _ in lengths]
    while True:
        new = np.minimum(rng.integers(0, most + 1, len(lengths)), lengths - done)
        time = max(1, int(new.max()))
        part = {"x": np.full((len(new), time, feeds["x"].shape[2]), np.inf), "lengths": new}
        if "clock" in feeds:
            part["clock"] = np.full((len(new), time), np.inf)
        if "static" in feeds:
            part["static"] = feeds["static"]
        for name in part.keys() & {"x", "clock"}:
            for row, whole, start, count in zip(part[name], feeds[name], done, new, strict=True):
                row[:count] = whole[start : start + count]
        outputs = run(session, part | states)
        found = outputs["prediction" if "prediction" in outputs else "probabilities"]
        for own, row, count in zip(by_series, found, new, strict=True):
            own.append(row[:count] if by_step else row)
        states = {name: outputs[f"next_{name}"] for name in states}
        done += new
        if (done == lengths).all():
            break
    if by_step:
        return np.concatenate([np.concatenate(own) for own in by_series])
    return np.stack([own[-1] for own in by_series])
