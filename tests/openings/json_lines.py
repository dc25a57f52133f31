"""A reader of a user's own, in one file: a series per line, as JSON with ``x`` and ``y``."""

import json
from pathlib import Path

import numpy as np

from throughtime import Dataset, Sequences
from throughtime.data import Reader, ReadOptions
from throughtime.errors import DataError


def read_lines(path: Path, options: ReadOptions) -> Dataset:
    """The series of a file, and their targets."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not all("y" in line for line in lines) and options.require_target:
        raise DataError("a line needs a target y, got none")
    X = Sequences.from_arrays([np.array(line["x"], dtype=options.dtype) for line in lines])
    ids = tuple(map(str, range(len(lines))))
    return Dataset(X, np.array([line.get("y") for line in lines]), ids, path.stem, str(path))


JSON_LINES = Reader((".jsonl",), False, read_lines)
