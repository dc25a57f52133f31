"""NumPy archives: ``X, y`` or ``values, offsets, y``, read without pickle and within a budget of memory.

What a member declares is checked against the archive's directory before anything is unpacked: a small file cannot
claim a large array. What counts is the memory that the arrays take, and the series that come of them.
"""

import ast
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from throughtime.data.conversion import Layout, as_sequences, as_targets
from throughtime.data.dataset import Columns, Dataset, Untargeted
from throughtime.data.index_columns import nameless, numbers_rows
from throughtime.data.limits import VALUE, refuse_beyond_budget
from throughtime.data.reasons import reason
from throughtime.data.sequences import Sequences, as_labels
from throughtime.data.untargeted import leave_out
from throughtime.errors import DataError

_REQUIRED = ({"X"}, {"values", "offsets"})
_OPTIONAL = {"y", "groups", "static", "times", "ids", "channel_names", "static_names"}
# What zipfile raises; an unknown compression is a NotImplementedError, which is a RuntimeError.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError)
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # as numpy.savez packs
_DEFLATE = 1032  # the most that deflate can pack into one byte
_LAST_LETTER = 0x10FFFF
_LABEL = 64  # bytes of a Python text, beside its letters
_AT_ONCE = 1 << 16  # bytes unpacked between two looks at Ctrl-C
_DTYPE = re.compile(r"[<>|=]([?biufcUSO]\d{0,9}|[mM]8\[\w{1,9}\])", re.ASCII)


def read_archive(
    path: Path,
    *,
    layout: Layout = "ntc",
    targets: Untargeted = "drop",
    require_target: bool = True,
    dtype: DTypeLike = "float32",
) -> Dataset:
    """Read an ``.npz``.

    Parameters
    ----------
    path
        Holds ``X`` (3-D, or 2-D for a single channel), or ``values`` ``(step, channel)`` with ``offsets``
        ``(series + 1,)``. Beside them ``y``, one per series or one per step (in the shape of X, or flat beside
        ``values``), and ``groups``, ``static``, ``times``, ``ids``, ``channel_names``, ``static_names`` where they are
        known.
    layout
        Of a 3-D ``X``.
    dtype
        float32 or float64, to train in; the arrays are held as they are.
    targets
        What becomes of series whose target is NaN or empty text, at every step where it is one per step.

    Raises
    ------
    DataError
        Another content, pickled objects, a damaged archive, or arrays that need more memory than the budget.
    """
    arrays = unpack(path, layout)
    flat = "values" in arrays
    missing = next(want - set(arrays) for want in _REQUIRED if ("values" in want) == flat)
    if missing or ("X" in arrays and flat):
        raise DataError(f"an archive needs X, or values and offsets, got {', '.join(sorted(arrays)) or 'nothing'}")
    unknown = set(arrays) - _OPTIONAL - {"X", "values", "offsets"}
    if unknown:
        raise DataError(
            f"an archive needs no other array than X, values, offsets, {', '.join(sorted(_OPTIONAL))}, "
            f"got {', '.join(sorted(unknown))}"
        )
    X = Sequences(arrays["values"], arrays["offsets"]) if flat else as_sequences(arrays["X"], layout)
    X = _complete(X.to_train_in(dtype), arrays)
    for channel, name in enumerate(X.channel_names or ()):
        if nameless(name) or numbers_rows(name, X.values[:, channel], 1):
            raise DataError(
                f"X needs channels that were measured, got {name!r}, as the index of a data frame is called; leave it "
                "out, or name it otherwise"
            )
    if require_target and "y" not in arrays:
        raise DataError(f"a target needs an array y in the archive, got {', '.join(sorted(arrays))}")
    empty = _without_target(arrays["y"], X, flat) if "y" in arrays else np.zeros(len(X), np.bool_)
    learnable = "y" in arrays and (require_target or not empty.any())
    y = _targets(arrays["y"], X, flat, empty) if learnable else None
    ids = as_labels(arrays["ids"], "ids", len(X)).tolist() if "ids" in arrays else range(len(X))
    names = tuple(str(name) for name in ids)
    columns = Columns(targets=targets)
    data = Dataset(X, y, names, path.stem, str(path), X.groups, "y" if "y" in arrays else None, columns)
    return leave_out(data, empty, targets) if y is not None and empty.any() else data


def unpack(path: Path, layout: Layout = "ntc") -> dict[str, ndarray]:
    """Every array of an archive, once the headers tell that they, and what they become, stay within the budget."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            twice = len({member.filename for member in members}) < len(members)
            if twice or not all(member.filename.endswith(".npy") for member in members):
                raise DataError("an archive needs .npy members of different names, as numpy.savez writes them")
            for member in members:
                if member.compress_type not in _PACKED:
                    kind = member.compress_type
                    raise DataError(f"{member.filename} needs to be stored or deflated, got compression {kind}")
            headers = []
            for member in members:
                with archive.open(member) as stream:
                    headers.append(_header(stream, member))
            costs = (
                _cost(member.filename, shape, dtype, layout)
                for member, (shape, _, dtype, _) in zip(members, headers, strict=True)
            )
            refuse_beyond_budget(sum(costs), "an archive")
            arrays = {}
            for member, (shape, fortran, dtype, size) in zip(members, headers, strict=True):
                with archive.open(member) as stream:
                    _header(stream, member)
                    content = _filled(stream, size)
                if dtype.kind == "U":
                    _refuse_no_letters(content.view(dtype.str[0] + "u4"), member.filename)
                flat = content.view(dtype)
                arrays[member.filename.removesuffix(".npy")] = flat.reshape(shape, order="F" if fortran else "C")
            return arrays
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(f"an archive needs an intact .npz, as numpy.savez writes it: {reason(error)}") from error


def _cost(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], layout: Layout) -> int:
    """Bytes that an array takes while it becomes a part of the series."""
    n = math.prod(shape)
    shared = name in ("X.npy", "values.npy") and dtype.kind == "f" and dtype.itemsize >= 4 and layout == "ntc"
    copies = VALUE * (1 if shared else 2)
    return n * (dtype.itemsize + copies + (_LABEL if dtype.kind in "US" else 0))


def _refuse_no_letters(codes: ndarray, name: str) -> None:
    """Refuse numbers that Unicode gives to no letter: Python cannot hold them, or cannot write them."""
    for start in range(0, len(codes), _AT_ONCE):
        part = codes[start : start + _AT_ONCE]
        if (part > _LAST_LETTER).any() or ((part >= 0xD800) & (part < 0xE000)).any():
            raise DataError(f"{name} needs text of Unicode, got other numbers in it")


def _filled(stream: IO[bytes], size: int) -> ndarray:
    """The bytes that are left of a member, its checksum compared; its own ``read`` would hold them twice."""
    flat = np.empty(size, np.uint8)
    view, done = flat.data, 0
    while done < size:
        part = stream.read(min(_AT_ONCE, size - done))
        if not part:
            raise EOFError("it ends early")
        view[done : done + len(part)] = part
        done += len(part)
    if stream.read(1):  # at the end zipfile compares the checksum
        raise EOFError("it goes on after its end")
    return flat


def _header(
    stream: IO[bytes] | zipfile.ZipExtFile, member: zipfile.ZipInfo
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, Fortran order, dtype and bytes of an array, as its header declares them and its member's size confirms.

    numpy.load's own parser accepts more than numpy.save writes, and allocates before it looks.
    """
    magic = stream.read(8)
    if magic[:6] != b"\x93NUMPY" or magic[6:] not in (b"\x01\x00", b"\x02\x00"):
        raise DataError(f"{member.filename} needs npy format 1.0 or 2.0, got {magic!r}")
    width = 2 if magic[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > 10_000:
        raise DataError(f"{member.filename} needs a header of at most 10,000 bytes, got {length}")
    try:
        header = ast.literal_eval(stream.read(length).decode("ascii"))
        descr, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
        if isinstance(descr, list):
            raise DataError(f"{member.filename} needs an array of one dtype, got fields")
        if not _DTYPE.fullmatch(descr):
            raise ValueError(descr)
        dtype = np.dtype(descr)
        whole = isinstance(shape, tuple) and len(shape) < 32 and all(type(axis) is int and axis >= 0 for axis in shape)
        if not whole or type(fortran) is not bool:
            raise ValueError(shape)
    except DataError:
        raise
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError) as error:
        raise DataError(f"{member.filename} needs the header that numpy.save writes, got a damaged one") from error
    if dtype.hasobject:
        raise DataError(
            f"{member.filename} needs numbers or text, got pickled objects; save an array of one dtype, such as "
            "y.astype(str), or ragged series as values and offsets"
        )
    size = dtype.itemsize
    for axis in shape:
        size *= axis
    if size != member.file_size - len(magic) - width - length or member.file_size > _DEFLATE * (
        member.compress_size + 1
    ):
        raise DataError(f"{member.filename} needs to be as large as its header says, got a damaged archive")
    return shape, fortran, dtype, size


def _complete(X: Sequences, arrays: dict[str, ndarray]) -> Sequences:
    parts = ("groups", "static", "channel_names", "static_names")
    extras: dict[str, Any] = {name: arrays[name] for name in parts if name in arrays}
    for name in ("channel_names", "static_names"):
        if name in extras and extras[name].ndim != 1:
            raise DataError(f"{name} needs one axis, got shape {extras[name].shape}")
    if "times" in arrays:
        extras["times"] = arrays["times"].reshape(-1) if arrays["times"].shape == X.shape[:2] else arrays["times"]
    return Sequences(X.values, X.offsets, train_dtype=X.train_dtype, **extras) if extras else X


def _without_target(y: ndarray, X: Sequences, flat: bool) -> ndarray:
    """Which series have no target; none where all have none, which is another mistake."""
    missing: Any = y == "" if y.dtype.kind == "U" else y != y
    if flat and y.shape == (X.n_steps,) != (len(X),):
        empty: ndarray = np.logical_and.reduceat(missing, X.offsets[:-1])
    elif y.ndim and len(y) == len(X):
        empty = missing.reshape(len(X), -1).all(1)
    else:
        return np.zeros(len(X), np.bool_)
    return empty & ~empty.all()


def _targets(y: ndarray, X: Sequences, flat: bool, empty: ndarray) -> ndarray | Sequences:
    """The targets in the forms of `as_targets`, those of ``empty`` series meaning nothing."""
    if empty.any():
        y = y.copy()
        y[np.repeat(empty, X.lengths) if flat and len(y) != len(X) else empty] = 0
    if flat and y.ndim == 1 and len(y) == X.n_steps != len(X):
        y_steps = Sequences(y[:, None], X.offsets, times=X.times, groups=X.groups, channel_names=["y"])
        return as_targets(y_steps, X)
    targets = as_targets(y, X)
    if isinstance(targets, Sequences):
        return Sequences(targets.values, X.offsets, times=X.times, groups=X.groups, channel_names=["y"])
    return targets.astype({"i": np.int64, "u": np.int64, "f": np.float64}.get(targets.dtype.kind, targets.dtype))
