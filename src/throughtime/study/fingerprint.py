"""What tells data sets apart, so that runs on the same series are known to be."""

import hashlib
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
from numpy import ndarray

from throughtime.data import Dataset, Sequences

_TEXT_AT_ONCE = 1 << 20  # bytes


def fingerprint_of(data: Dataset, sample_weight: ndarray | None = None) -> dict[str, str]:
    """SHA-256 of the ``targets``, with series' names, lengths and groups, of the ``inputs``, and of ``weights``."""
    y = data.y.values if isinstance(data.y, Sequences) else data.y
    static = None if data.X.static is None else data.X.static.astype(np.float64)
    parts: dict[str, Iterable[Any]] = {
        "targets": [np.array(data.ids, object), data.X.lengths, y, data.groups],
        # one file may hold in float32 what another does not; overlapping windows never lie side by side
        "inputs": chain((x.astype(np.float64) for x in data.X), [static]),
    }
    if sample_weight is not None:
        parts["weights"] = [sample_weight]
    return {name: digest_of(arrays) for name, arrays in parts.items()}


def digest_of(parts: Iterable[Any]) -> str:
    """SHA-256 of arrays with their types and shapes; text counts as numpy's own."""
    digest = hashlib.sha256()
    for part in parts:
        array = np.asarray("none" if part is None else part)
        text = array.dtype.kind == "O"
        dtype = np.dtype((np.str_, max(map(len, array), default=1) or 1)) if text else array.dtype
        # the shape too, so that no value can pass for one of its neighbor's
        digest.update(f"{dtype.str}{array.shape}".encode())
        if not text:
            digest.update(array.tobytes())
            continue
        at_once = max(1, _TEXT_AT_ONCE // dtype.itemsize)  # every label takes the room of the longest
        for start in range(0, len(array), at_once):
            digest.update(array[start : start + at_once].astype(dtype).tobytes())
    return digest.hexdigest()
