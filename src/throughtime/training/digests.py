"""Digests of what a run is made of, by which a state knows whether it belongs there; the same in every process."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy import ndarray
from torch import Tensor

from throughtime.nn import Net
from throughtime.training.members import Inputs, Member, Recipe


def digests_of(net: Net, recipe: Recipe, inputs: Inputs, members: Sequence[Member]) -> dict[str, Any]:
    """A digest of each part of a run: ``network``, ``recipe``, ``inputs``, and one per member."""
    return {
        "network": digest(net),
        "recipe": digest(recipe),
        "inputs": digest(inputs),
        "members": [digest(member) for member in members],
    }


def digest(value: object) -> str:
    """SHA-256 of a value by its parts: numbers and text, arrays, tensors, dataclasses and other plain objects.

    A function stands for its name: that of a factory with other contents is the same.
    """
    total = hashlib.sha256()
    _add(total, value)
    return total.hexdigest()


def _add(total: Any, value: object) -> None:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, ndarray):
        total.update(f"{value.dtype} {value.shape};".encode())
        total.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
        return
    if isinstance(value, partial):
        value = [value.func, value.args, value.keywords]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        total.update(f"{len(value)} parts;".encode())
        for part in value:
            _add(total, part)
    elif isinstance(value, Mapping):
        _add(total, [part for name in sorted(value) for part in (name, value[name])])
    elif is_dataclass(value) and not isinstance(value, type):
        total.update(f"{type(value).__qualname__};".encode())
        for field in fields(value):
            total.update(f"{field.name}=".encode())
            _add(total, getattr(value, field.name))
    elif hasattr(value, "__qualname__"):  # a function or a class
        total.update(f"{value.__module__}.{value.__qualname__};".encode())
    elif type(value).__repr__ is object.__repr__:  # which names an address
        _add(total, [type(value), getattr(value, "__dict__", {})])
    else:
        total.update(f"{value!r};".encode())
