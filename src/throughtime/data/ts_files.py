"""The ``.ts`` text format of aeon and sktime, read strictly.

One line a case: channels separated by colons, values by commas, a label or a number to predict after the last colon.
Format: https://www.aeon-toolkit.org/en/stable/api_reference/file_specifications/ts.html
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from throughtime.data.dataset import Dataset
from throughtime.data.limits import VALUE, refuse_beyond_budget
from throughtime.data.reasons import reason
from throughtime.data.sequences import Sequences, as_text
from throughtime.errors import DataError

_FLAGS = {"timestamps", "missing", "univariate", "equallength", "classlabel", "targetlabel"}
_COUNTS = {"dimensions", "serieslength"}
_MISSING = {"?", "nan"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_TEXT = 72  # bytes of a word in a list
_ARRAY = 160  # bytes of an array, beside its values
_SIGNS = re.compile(r"[\d+\-.eE,\s?nNaA]*", re.ASCII)  # what a channel's text may consist of


@dataclass
class _Header:
    name: str = ""
    flags: dict[str, bool] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    @property
    def n_channels(self) -> int | None:
        return 1 if self.flags.get("univariate") else self.counts.get("dimensions")


def read_ts(path: Path, *, require_target: bool = True, dtype: DTypeLike = "float32") -> Dataset:
    """Read a ``.ts`` file.

    Class labels that are all integers become integers, others stay text; ``?`` becomes NaN.

    Raises
    ------
    DataError
        Time stamps, or anything that does not keep to the header and the format; the line is named.
    """
    refuse_beyond_budget(path.stat().st_size, "a .ts file")
    lines = path.read_bytes().splitlines()
    refuse_beyond_budget(_cost(lines), "a .ts file")
    text = _text(enumerate(lines, 1))
    header = _header(text)
    series, targets = _cases(text, header)
    if require_target and not (header.flags.get("classlabel") or header.flags.get("targetlabel")):
        raise DataError("a target needs @classLabel true or @targetLabel true in the header, got neither")
    X = Sequences.from_arrays(series, train_dtype=dtype)
    y: ndarray | None = None
    if header.flags.get("classlabel"):
        whole = all(_WHOLE.fullmatch(label) for label in header.labels)
        y = np.array([int(label) for label in targets], np.int64) if whole else as_text(targets)
    elif header.flags.get("targetlabel"):
        y = np.array([float(target) for target in targets], np.float64)
    ids = tuple(str(index) for index in range(len(X)))
    return Dataset(X, y, ids, path.stem, str(path), None, None if y is None else "y")


def _cost(lines: list[bytes]) -> int:
    """Bytes that the cases of a file take at most while they are read, and as series."""
    values = [line.count(b",") + line.count(b":") + 1 for line in lines]
    channels = max((line.count(b":") + 1 for line in lines), default=0)  # a case's, which then becomes one array
    text = 2 * sum(map(len, lines)) + _TEXT * max(values, default=0)  # a channel's words are held one by one
    return text + 3 * VALUE * sum(values) + _ARRAY * (channels + 2 * len(lines))


def _text(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, str]]:
    """Lines that say something. Comments are dropped undecoded: archives hold some in older encodings."""
    for number, line in lines:
        line = line.strip()
        if not line or line.startswith(b"#"):
            continue
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"line {number} needs UTF-8 text: {reason(error)}") from error


def _header(lines: Iterator[tuple[int, str]]) -> _Header:
    header = _Header()
    seen: set[str] = set()
    for number, line in lines:
        if not line.startswith("@"):
            raise DataError(f"line {number} needs a tag such as @univariate before @data, got {line[:40]!r}")
        tag, *words = line[1:].split()
        tag = {"dimension": "dimensions"}.get(tag.lower(), tag.lower()) if tag else ""
        if tag in seen:
            raise DataError(f"line {number} needs a tag that is not there yet, got @{tag} again")
        seen.add(tag)
        if tag == "data":
            if header.flags.get("classlabel") and header.flags.get("targetlabel"):
                raise DataError("@classLabel and @targetLabel exclude each other, got both")
            if header.flags.get("univariate") and header.counts.get("dimensions", 1) != 1:
                raise DataError(f"@univariate true needs @dimensions 1, got {header.counts['dimensions']}")
            return header
        if tag == "problemname":
            header.name = " ".join(words)
        elif tag in _FLAGS:
            if not words or words[0].lower() not in ("true", "false"):
                raise DataError(f"line {number}: @{tag} needs true or false, got {' '.join(words)[:40]!r}")
            header.flags[tag] = words[0].lower() == "true"
            if tag == "classlabel" and header.flags[tag]:
                header.labels = tuple(words[1:])
                if not header.labels:
                    raise DataError(f"line {number}: @classLabel true needs the labels after it, got none")
            if tag == "timestamps" and header.flags[tag]:
                raise DataError(
                    f"line {number}: @timeStamps needs to be false, got true; series with time stamps are read from "
                    "CSV or Parquet, with the column named by time= (--time)"
                )
        elif tag in _COUNTS:
            if len(words) != 1 or not re.fullmatch(r"0*[1-9]\d{0,8}", words[0], re.ASCII):
                raise DataError(f"line {number}: @{tag} needs a whole number, got {' '.join(words)[:40]!r}")
            header.counts[tag] = int(words[0])
        else:
            raise DataError(f"line {number} needs a tag of the .ts format, got @{tag[:40]}")
    raise DataError("a .ts file needs a line @data, got none")


def _cases(lines: Iterator[tuple[int, str]], header: _Header) -> tuple[list[ndarray], list[str]]:
    labeled = header.flags.get("classlabel") or header.flags.get("targetlabel")
    n_channels = header.n_channels
    length = header.counts.get("serieslength") if header.flags.get("equallength") else None
    series: list[ndarray] = []
    targets: list[str] = []
    for number, line in lines:
        parts = line.split(":")
        if labeled:
            if len(parts) < 2:
                raise DataError(f"line {number} needs a target after the last colon, got none")
            targets.append(_target(parts.pop().strip(), header, number))
        n_channels = n_channels or len(parts)
        if len(parts) != n_channels:
            raise DataError(f"line {number} needs {n_channels} channels, got {len(parts)}")
        channels = [_values(part, header, number) for part in parts]
        if len({len(channel) for channel in channels}) > 1:
            raise DataError(
                f"line {number} needs channels of one length, got {', '.join(str(len(c)) for c in channels[:20])}"
            )
        if header.flags.get("equallength"):
            length = length or len(channels[0])
        if length is not None and len(channels[0]) != length:
            raise DataError(f"line {number} needs {length} values per channel, got {len(channels[0])}")
        series.append(np.stack(channels, 1))
    if not series:
        raise DataError("a .ts file needs at least one case after @data, got none")
    return series, targets


def _target(text: str, header: _Header, number: int) -> str:
    if header.flags.get("classlabel"):
        if text not in header.labels:
            raise DataError(f"line {number} needs one of the labels of @classLabel, got {text[:40]!r}")
        return text
    if not _NUMBER.fullmatch(text) or not np.isfinite(float(text)):
        raise DataError(f"line {number} needs a number to predict after the last colon, got {text[:40]!r}")
    return text


def _values(text: str, header: _Header, number: int) -> ndarray:
    words = text.split(",")
    if "?" in text or "n" in text.lower():
        words = ["nan" if word.strip().lower() in _MISSING else word for word in words]
        if "nan" in words and header.flags.get("missing") is False:
            raise DataError(f"line {number} needs a value everywhere (@missing false), got a missing one")
    try:
        if not _SIGNS.fullmatch(text):  # NumPy would also read 1_000, 0x1p3 and infinity
            raise ValueError
        values: ndarray = np.array(words, np.float64)
    except ValueError:
        odd = next((w.strip() for w in words if w != "nan" and not _NUMBER.fullmatch(w.strip())), text.strip())
        cure = "; time stamps are not read" if odd.startswith("(") else ""
        raise DataError(f"line {number} needs numbers between commas, got {odd[:40]!r}{cure}") from None
    if np.isinf(values).any():
        raise DataError(f"line {number} needs finite numbers, got {words[int(np.isinf(values).argmax())].strip()[:40]}")
    return values
