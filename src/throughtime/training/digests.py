"""Digests of what a run is made of, by which a state knows whether it belongs there; the same in every process."""

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy import ndarray
from torch import Tensor, nn

from throughtime.nn import Net
from throughtime.training.members import Inputs, Member, Recipe

#: Packages whose functions and classes a name stands for: their versions are kept beside a state.
_BY_NAME = {"builtins", "functools", "numpy", "throughtime", "torch"}


def digests_of(net: Net, recipe: Recipe, inputs: Inputs, members: Sequence[Member]) -> dict[str, Any]:
    """A digest of each part of a run: ``network``, ``recipe``, ``inputs``, and one per member."""
    return {
        "network": digest(net),
        "recipe": digest(recipe),
        "inputs": digest(inputs),
        "members": [digest(member) for member in members],
    }


def digest(value: object) -> str:
    """SHA-256 of a value by its parts: numbers and text, arrays, tensors, modules, dataclasses and other plain objects.

    A function or a class of the user's own is its bytecode, which differs between versions of Python, with what it
    names of its module: functions, classes and plain values. What it takes from other modules is their names.
    """
    total = _Digest()
    total.add(value)
    return total.hexdigest()


class _Digest:
    """SHA-256 of the values that were added."""

    def __init__(self) -> None:
        self._total: Any = hashlib.sha256()
        #: functions and classes whose code is part of it, which may name each other
        self._known: set[int] = set()
        #: objects whose attributes are being added, which may hold each other
        self._within: list[int] = []

    def hexdigest(self) -> str:
        return str(self._total.hexdigest())

    def add(self, value: object) -> None:
        if isinstance(value, Tensor):
            value = value.detach().cpu().numpy()
        if isinstance(value, ndarray):
            self._text(f"{value.dtype} {value.shape};")
            self._total.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
            return
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, list | tuple):
            self._text(f"{len(value)} parts;")
            for part in value:
                self.add(part)
        elif isinstance(value, set | frozenset):
            self.add(sorted(map(digest, value)))
        elif isinstance(value, Mapping):
            self.add([part for name in sorted(value) for part in (name, value[name])])
        elif isinstance(value, ModuleType):
            self._text(f"{value.__name__};")
        elif hasattr(value, "__qualname__"):  # a function or a class
            self._add_code(value)
        elif (parts := _parts(value)) is None:
            self._text(f"{value!r};")
        elif id(value) not in self._within:
            self._within.append(id(value))
            self.add(parts)
            self._within.pop()

    def _add_code(self, value: Any) -> None:
        """The name, and of the user's own what it does."""
        self._text(f"{value.__module__}.{value.__qualname__};")
        own = inspect.unwrap(value)
        if isinstance(own, MethodType):
            self.add([own.__self__, own.__func__])
        if id(own) in self._known or not isinstance(own, FunctionType | type) or _stands_for_itself(own):
            return
        self._known.add(id(own))
        if isinstance(own, type):
            bases = [one for one in own.__mro__ if one.__module__ == own.__module__]
            self.add([[one.__qualname__, _written(one)] for one in bases])
            self.add([one for one in own.__mro__ if one.__module__ != own.__module__])
        else:
            known = {name: own.__globals__[name] for name in _names(own.__code__) if name in own.__globals__}
            used = {name: one for name, one in known.items() if _is_of(one, own.__module__) or _is_plain(one)}
            self.add([own.__code__, own.__defaults__, own.__kwdefaults__, _enclosed(own), used])

    def _text(self, text: str) -> None:
        self._total.update(text.encode())


def _parts(value: Any) -> list[Any] | None:
    """What an object is made of; ``None`` where its ``repr`` says all."""
    if isinstance(value, CodeType):
        return [value.co_code, value.co_consts, value.co_names]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, property):
        return [value.fget, value.fset]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value), {field.name: getattr(value, field.name) for field in fields(value)}]
    if isinstance(value, nn.Module):
        public = {name: one for name, one in vars(value).items() if not name.startswith("_")}
        return [type(value), repr(value), value.state_dict(), public]
    kind: Any = type(value)
    says_nothing = kind.__repr__ is object.__repr__  # but an address
    if hasattr(value, "__dict__"):
        return [kind, vars(value), "" if says_nothing else repr(value)]
    return [kind] if says_nothing else None


def _stands_for_itself(value: Any) -> bool:
    """Whether a name is enough."""
    return str(value.__module__).partition(".")[0] in _BY_NAME


def _written(kind: type) -> dict[str, Any]:
    """What a class says, without what dataclasses and Python add."""
    special = {"__call__", "__post_init__"} | (set() if is_dataclass(kind) else {"__init__"})
    code = FunctionType, staticmethod, classmethod, property
    return {
        name: part
        for name, part in vars(kind).items()
        if name in special or (not name.startswith("__") and (isinstance(part, code) or _is_plain(part)))
    }


def _names(code: CodeType) -> set[str]:
    """What a function's code names, and the functions inside it."""
    inner = [_names(part) for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*inner)


def _enclosed(function: FunctionType) -> list[Any]:
    """What a function keeps of the one it was defined in."""
    found = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # of a name without a value yet
            found.append(cell.cell_contents)
    return found


def _is_of(value: object, module: str | None) -> bool:
    return isinstance(value, FunctionType | type) and value.__module__ == module


def _is_plain(value: object) -> bool:
    """Whether it is numbers and text, or lists and mappings of these."""
    try:
        json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
