"""The files of a saved estimator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from throughtime import storage
from throughtime.estimators.interface import FittedEstimator
from throughtime.estimators.persistence import restore, to_plain

E = TypeVar("E", bound=FittedEstimator)

FACTS, WEIGHTS = "model.json", "model.safetensors"


def write_estimator(estimator: FittedEstimator, directory: Path) -> None:
    """Write a fitted estimator as a run of two files."""
    facts, arrays = to_plain(estimator)
    files = {FACTS: storage.json_to_bytes(facts), WEIGHTS: storage.arrays_to_bytes(arrays)}
    storage.write_run(directory, files, {"kind": "estimator"})


def read_estimator(directory: Path, class_of: Callable[[str], type[E]], module: Any = None, cell: Any = None) -> E:
    """Read a fitted estimator, from `write_estimator` or from a run of the command line (its refit)."""
    run = storage.read_run(directory)
    return restore(run.json(FACTS), run.arrays(WEIGHTS), str(directory), class_of, module, cell)
