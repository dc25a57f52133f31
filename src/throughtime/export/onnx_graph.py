"""A fitted estimator as an ONNX graph, built node by node: any batch, any time, ragged; whole series or a stream.

torch's own exporter is not used: it fails for recurrent layers that are bidirectional or read ragged series, or
freezes the number of steps it was shown.
"""

import json
from importlib.metadata import version
from pathlib import Path

from throughtime.errors import MissingDependencyError
from throughtime.estimators import SequenceEstimator
from throughtime.export.contents import Contents, contents_of, refuse_streaming
from throughtime.export.onnx_inputs import add_inputs, network_inputs
from throughtime.export.onnx_nodes import Graph, States, model_bytes
from throughtime.export.onnx_outputs import add_outputs
from throughtime.export.onnx_recurrence import recurrent_layers
from throughtime.storage import claim_file, write_file

#: Old enough for ONNX Runtime 1.6 (December 2020) and all later ones:
#: https://onnxruntime.ai/docs/reference/compatibility.html
OPSET, IR_VERSION = 13, 7


def export_onnx(estimator: SequenceEstimator, path: str | Path, *, streaming: bool = False) -> None:
    """Write a fitted estimator as an ONNX model: scaling, masks of missing values, network and classes in one file.

    Parameters
    ----------
    estimator
        A fitted ``SequenceClassifier`` or ``SequenceRegressor``.
    path
        A new file.
    streaming
        Read series a few steps at a time: the states are inputs, all zero at the start, and outputs ``next_...``.

    Raises
    ------
    ParameterError
        For what cannot be exported: a ``module`` or cell of the user's own; as a stream, what reads a whole series.
    MissingDependencyError
        Without the package onnx.
    StorageError
        When the file exists or cannot be written.

    Notes
    -----
    Inputs: ``x`` (batch, time, channel), float64, raw values, NaN where missing; ``lengths`` (batch,), int64, the steps
    of each series, anything beyond them is not read; where the model has them ``static`` (batch, feature), float64, and
    ``clock`` (batch, time), float64: the times of the steps, in days since 1970 (UTC) where they are dates.

    Outputs: of a classifier ``logits``, ``probabilities`` (float64) and ``label``, of a regressor ``prediction``
    (float64) in the target's own unit; (batch, ...), or (batch, time, ...) with a target at each step. What `predict`
    would refuse (a length that is none, an infinite value, a missing one with ``missing="error"``), steps beyond a
    series' end and those without a forecast are NaN, the label "", the lowest integer (of uint64 the highest) or NaN. A
    label of bool has no missing value: it is False there, and NaN in the probabilities tells.
    """
    contents = contents_of(estimator)
    if streaming:
        refuse_streaming(contents)
    path = Path(path)
    claim_file(path)
    graph = Graph()
    given = add_inputs(graph, contents)
    states = States(graph, streaming, batch=graph.size(given.x, 0))
    read = network_inputs(graph, states, contents, given)
    layers = recurrent_layers(graph, states, contents, read)
    add_outputs(graph, states, contents, read, layers)
    try:
        content = model_bytes(graph, OPSET, IR_VERSION, _metadata(contents, streaming))
    except ImportError as error:
        raise MissingDependencyError(
            "export_onnx needs onnx, which is not installed; pip install 'throughtime[onnx]' brings it"
        ) from error
    write_file(path, content)


def _metadata(contents: Contents, streaming: bool) -> dict[str, str]:
    """What a model says of itself; all values but the version are JSON."""
    facts = {
        "cell": contents.cell,
        "channels": contents.channels,
        "static": contents.static,
        "classes": contents.classes,
        "features": [str(spec) for spec in contents.features],
        "clock": contents.clock,
        "horizon": contents.horizon,
        "known": contents.known,
        "streaming": streaming,
    }
    return {"throughtime": version("throughtime")} | {
        name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()
    }
