"""Arrays and plain values to bytes and back, without pickle: safetensors and JSON."""

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy
from pydantic import TypeAdapter, ValidationError

from throughtime.errors import DataError, StorageError

_LONGEST_SHOWN = 60  # letters of a value in an error
_KINDS = "biuf"  # bool, signed, unsigned, float: what torch, numpy and safetensors all have


def arrays_to_bytes(arrays: Mapping[str, npt.ArrayLike]) -> bytes:
    """Write named arrays as one safetensors file, the same bytes for the same arrays.

    Raises
    ------
    DataError
        If an array is neither bool, integer nor float of at most 64 bits.
    """
    ready = {}
    for name in sorted(arrays):
        if name == "__metadata__":
            raise DataError("an array needs a name of its own, got '__metadata__', which safetensors keeps")
        array = np.asarray(arrays[name])
        if array.dtype.kind not in _KINDS or array.dtype.itemsize > 8:
            raise DataError(
                f"array {name!r} needs bool, integer or float numbers of at most 64 bits, got {array.dtype}"
            )
        # safetensors copies raw memory: a transposed or big-endian array would be read back scrambled.
        ready[name] = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
    return safetensors.numpy.save(ready)


def arrays_from_bytes(content: bytes, source: str = "arrays") -> dict[str, npt.NDArray[Any]]:
    """Read what ``arrays_to_bytes`` wrote; ``source`` is what an error calls it."""
    try:
        return dict(safetensors.numpy.load(content))
    # A dtype that numpy lacks, such as bfloat16's variants, is a KeyError there.
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise StorageError(f"{source} needs to be a safetensors file, got {error}") from error


def json_to_bytes(value: Any) -> bytes:
    """Write a plain value as JSON: keys sorted, indented, ASCII, a newline at the end.

    Mappings, sequences, records (dataclasses), numpy scalars and arrays and dates are taken.  JSON
    has no NaN and no infinity: both become ``null``, since a curve that diverged must not cost the run.

    Raises
    ------
    DataError
        If a key is not text, or a value is of another kind.
    """
    text = json.dumps(_plain(value, "value"), sort_keys=True, indent=1, allow_nan=False)
    return (text + "\n").encode("ascii")


def json_from_bytes(content: bytes, source: str = "file") -> Any:
    """Read JSON, which has neither NaN nor infinity; ``source`` is what an error calls it."""
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{source} needs to be JSON, got {error}") from error


def typed(value: Any, kind: Any, source: str, what: str) -> Any:
    """Give a plain value as a type that pydantic knows: a ``TypedDict``, a dataclass, a list of these.

    Nothing is converted but lists, to tuples where these are meant, and mappings to dataclasses.

    Raises
    ------
    StorageError
        "<source> needs to hold <what>, got ..." with the place of the first value that is not of its type.
    """
    try:
        return TypeAdapter(kind).validate_json(json_to_bytes(value), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "value"
        text = repr(first["input"])
        shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
        raise StorageError(f"{source} needs to hold {what}, got {place} = {shown}: {first['msg']}") from error


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word}, which JSON does not have")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits}, which no float holds")
    return value


def _plain(value: Any, where: str) -> Any:
    """Reduce ``value`` to what JSON has; ``where`` is its place in the whole, for errors."""
    match value:
        case None | bool() | str():
            return str(value) if isinstance(value, str) else value
        case np.generic() | np.ndarray():
            if value.dtype.kind == "M":
                return value.astype(str).tolist()
            return _plain(value.tolist(), where)
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else None
        case date():
            return value.isoformat()
        case Mapping():
            for key in value:
                if not isinstance(key, str):
                    raise DataError(f"{where} needs keys of text to be written as JSON, got {key!r}")
            return {str(key): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return {field.name: _plain(getattr(value, field.name), f"{where}.{field.name}") for field in fields}
        case _:
            kinds = "numbers, text, dates, lists, mappings or records"
            raise DataError(f"{where} needs {kinds} to be written as JSON, got {type(value).__name__}")
