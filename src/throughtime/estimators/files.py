"""The files of a saved estimator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numpy import ndarray

from throughtime import storage
from throughtime.errors import StorageError
from throughtime.estimators.interface import FittedEstimator
from throughtime.estimators.persistence import restore, to_plain
from throughtime.nn import Architecture, layer_directions
from throughtime.records import Records
from throughtime.stability import FlowRecord, flow_from_arrays, flow_to_arrays, layer_names

E = TypeVar("E", bound=FittedEstimator)

FACTS, WEIGHTS = "model.json", "model.safetensors"
#: Gradients through time, of an estimator that has records of them.
FLOW = "model_flow.safetensors"


def write_estimator(estimator: FittedEstimator, directory: Path) -> None:
    """Write a fitted estimator as a run of two files, or three where it has records of gradients."""
    facts, arrays = to_plain(estimator)
    files = {FACTS: storage.json_to_bytes(facts), WEIGHTS: storage.arrays_to_bytes(arrays)}
    if hasattr(estimator, "flow_"):
        files[FLOW] = storage.arrays_to_bytes(flow_to_arrays(estimator.flow_))
    storage.write_run(directory, files, {"kind": "estimator"})


def read_estimator(directory: Path, class_of: Callable[[str], type[E]], module: Any = None, cell: Any = None) -> E:
    """Read a fitted estimator, from `write_estimator` or from a run of the command line (its refit)."""
    run = storage.read_run(directory)
    estimator = restore(run.json(FACTS), run.arrays(WEIGHTS), str(directory), class_of, module, cell)
    if FLOW in run.manifest.files:
        vars(estimator)["flow_"] = _flow_of(estimator, run.arrays(FLOW), str(directory / FLOW))
    return estimator


def _flow_of(estimator: FittedEstimator, arrays: dict[str, ndarray], source: str) -> Records[FlowRecord]:
    """The records, of the layers that the network has."""
    records = flow_from_arrays(arrays, source)
    net = estimator.network_.net
    places = layer_directions(net.num_layers, net.bidirectional) if isinstance(net, Architecture) else []
    layers = layer_names([reverse for _, reverse in places])
    if any(record.layers != layers for record in records):
        found = ", ".join(records[0].layers)
        raise StorageError(f"{source} needs records of {', '.join(layers) or 'no layers'}, got some of {found}")
    return records
