"""Damaged files, read in a process of bounded memory and time, and compared with what another reader finds in them.

``python reader_fuzz.py FORM SEED COUNT FOLDER`` prints a JSON object: how many files were refused, how many read, and
what was neither a `DataError` nor right.
"""

import csv
import io
import json
import re
import resource
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from data_forms import long_table, write_all

from throughtime.data import Sequences, limits, load, read
from throughtime.errors import DataError, DataWarning

BUDGET = 256 * 2**20  # bytes that a reader may take here
ROOM = 2**30  # bytes of address space, beside what is mapped before the first file
SECONDS = 0.1  # of CPU per file; reading one takes some milliseconds

FORMS = ("csv", "parquet", "npz", "ts", "csv directory", "parquet directory")
TOKENS = (
    b"",
    b"NA",
    b"nan",
    b"inf",
    b"-Infinity",
    b"1e999",
    b"1e-400",
    b"0x1F",
    b"1_000",
    b"<0.01",
    b"1,5",
    b"007",
    b"-0",
    b"+1.5",
    b".5",
    b"9" * 40,
    b"9" * 400,
    b"true",
    b"2024-02-30",
    b"2024-01-01T00:00:00+02:00",
    b"99999-01-01",
    "\u0661".encode(),
    b"\x00",
    b"\xff",
    b'"',
    b'"a""b"',
    b"\xef\xbb\xbf",
    b"?",
    b"u1",
    b" 1 ",
    b"\r",
)
SIGNS = (b",", b":", b";", b"\n", b"\t", b"")
#: What pyarrow takes for missing in a column of numbers.
MISSING = {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "N/A", "NA"}
MISSING |= {"NULL", "NaN", "n/a", "nan", "null"}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bits flipped, bytes overwritten, a piece cut out, doubled or moved, the end cut off."""
    edited = bytearray(content)
    kind, at, n = rng.integers(6), int(rng.integers(len(edited))), int(rng.integers(1, 64))
    if kind == 0:
        for index in rng.integers(len(edited), size=rng.integers(1, 9)):
            edited[index] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        edited[at : at + n] = rng.bytes(len(edited[at : at + n]))
    elif kind == 2:
        del edited[at : at + n]
    elif kind == 3:
        edited[at:at] = edited[at : at + n]
    elif kind == 4:
        to = int(rng.integers(len(edited)))
        edited[to : to + n] = edited[at : at + n]
    else:
        del edited[at:]
    return bytes(edited)


def retyped(content: bytes, rng: np.random.Generator) -> bytes:
    """A file of text with some of its words replaced, or lines lost, doubled or moved."""
    if rng.random() < 0.3:
        lines = content.splitlines(keepends=True)
        at, to = rng.integers(len(lines), size=2)
        line = lines.pop(int(at))
        lines[int(to) : int(to)] = [line] * int(rng.integers(3))
        return b"".join(lines)
    words = re.split(rb"([,:;\n])", content)
    for at in rng.integers(len(words), size=rng.integers(1, 4)):
        words[int(at)] = SIGNS[int(rng.integers(len(SIGNS)))] if at % 2 else TOKENS[int(rng.integers(len(TOKENS)))]
    return b"".join(words)


def repacked(content: bytes, rng: np.random.Generator) -> bytes:
    """An archive with a damaged member under a sound checksum."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[int(rng.integers(len(members)))]
    head = bytearray(members[name][:128])
    if rng.random() < 0.7:
        for at in rng.integers(128, size=rng.integers(1, 4)):
            head[int(at)] = b"0123456789,()<>|fiuUSOMm8[]s' "[int(rng.integers(30))]
        members[name] = bytes(head) + members[name][128:]
    else:
        members[name] = members[name][:128] + damaged(members[name][128:], rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return buffer.getvalue()


def mutated(form: str, content: bytes, rng: np.random.Generator) -> bytes:
    """A file damaged as its form allows, or byte by byte, or both."""
    aware = {"csv": retyped, "ts": retyped, "npz": repacked}.get(form.split()[0])
    if aware is not None and rng.random() < 0.6:
        content = aware(content, rng)
        if not content or rng.random() < 0.8:
            return content
    return damaged(content, rng)


def write(form: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Six short series with all that may come with them, and the arguments that read them."""
    X, y = load("japanese-vowels", "train")
    rows = np.arange(0, 270, 45)
    few, labels = Sequences.from_arrays([X[k][:4, :3] for k in rows]), np.asarray(y)[rows]
    path, columns = write_all(folder, few, labels)[form]
    steps, series = np.tile(np.arange(4), len(few)), np.repeat(np.arange(len(few)), 4)
    if form == "npz":
        own = {"groups": np.array(list("gghhii")), "static": np.arange(6.0)[:, None], "ids": np.array(list("uvwxyz"))}
        np.savez_compressed(path, values=few.values, offsets=few.offsets, y=labels, times=steps, **own)
    if form in ("npz", "ts"):
        return path, columns
    table = long_table(few, labels)
    for name, column in (("t", 9 - steps), ("g", np.array(list("gghhii"))[series]), ("a", series / 2)):
        table = table.append_column(name, pa.array(column))
    keep = pa.csv.write_csv if "csv" in form else pq.write_table
    if not path.is_dir():
        keep(table, path)
    else:
        for k in range(len(few)):
            part = table[4 * k : 4 * k + 4].drop_columns("utterance")
            keep(part, path / f"u{k}{'.csv' if 'csv' in form else '.parquet'}")
    return path, {**columns, "time": "t", "group": "g", "static": ["a"]}


Rows = list[dict[str, Any]]


def csv_rows(path: Path) -> Rows:
    text = path.read_bytes().decode("utf-8-sig")
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def parquet_rows(path: Path) -> Rows:
    return pq.read_table(path).to_pylist()


def number(cell: Any) -> float:
    """What a cell says, of text or a number."""
    if not isinstance(cell, str):
        return np.nan if cell is None else float(cell)
    word = cell.strip(" \t")
    if word in MISSING:
        return np.nan
    if word.lower() in ("true", "false"):
        return float(word.lower() == "true")
    if not NUMBER.fullmatch(word):
        raise ValueError(f"{cell!r} was read as a number")
    return float(word)


def check_rows(data: Any, rows: Rows, ids: list[str]) -> None:
    """Compare with the rows of a table, each of the series that ``ids`` says."""
    by_series: dict[str, Rows] = {}
    for name, row in zip(ids, rows, strict=True):
        by_series.setdefault(name, []).append(row)
    kept = {name for name, own in by_series.items() if any(row["speaker"] not in (None, *MISSING) for row in own)}
    words = [name for name in by_series if name in kept]
    assert list(data.ids) == words, "other series"
    channels = data.columns.channels
    ordered = [sorted(by_series[name], key=lambda row: number(row["t"])) for name in words]
    same_values(data.X, [[[number(row[channel]) for channel in channels] for row in own] for own in ordered])
    assert data.X.times.tolist() == [number(row["t"]) for own in ordered for row in own], "other times"
    np.testing.assert_array_equal(data.X.static[:, 0], [number(own[0]["a"]) for own in ordered])
    groups = zip(ordered, data.groups.tolist(), strict=True)
    assert all(same_label(group, row["g"]) for own, group in groups for row in own), "other groups"
    if not isinstance(data.y, Sequences):
        for name, label in zip(words, data.y.tolist(), strict=True):
            told = {row["speaker"] for row in by_series[name]} - {None, *MISSING}
            assert all(same_label(label, word) for word in told), f"target {label!r}, not {told}"


def same_label(label: Any, word: Any) -> bool:
    return str(label) == str(word) or (not isinstance(label, str) and label == number(word))


def same_values(X: Sequences, want: list[Any]) -> None:
    assert X.lengths.tolist() == [len(series) for series in want], "other lengths"
    for got, series in zip(X, want, strict=True):
        np.testing.assert_array_equal(got, np.array(series, np.float64))


def check_table(data: Any, path: Path) -> None:
    rows = csv_rows(path) if path.suffix == ".csv" else parquet_rows(path)
    check_rows(data, rows, [str(row["utterance"]) for row in rows])


def check_directory(data: Any, path: Path) -> None:
    files = sorted(path.iterdir(), key=lambda file: int(file.stem[1:]))
    parts = [(file.stem, csv_rows(file) if file.suffix == ".csv" else parquet_rows(file)) for file in files]
    check_rows(data, [row for _, rows in parts for row in rows], [name for name, rows in parts for _ in rows])


def check_archive(data: Any, path: Path) -> None:
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    offsets, y = arrays["offsets"], arrays["y"]
    if isinstance(data.y, Sequences):
        return
    kept = np.flatnonzero((y == y) & (y != "" if y.dtype.kind == "U" else True))
    assert data.y.tolist() == y[kept].tolist(), "other targets"
    series = [slice(offsets[k], offsets[k + 1]) for k in kept]
    same_values(data.X, [arrays["values"][rows].astype(np.float64) for rows in series])
    if "groups" in arrays:
        assert data.groups.tolist() == arrays["groups"][kept].tolist(), "other groups"
    if "ids" in arrays:
        assert list(data.ids) == [str(name) for name in arrays["ids"][kept].tolist()], "other ids"
    if "static" in arrays:
        static = arrays["static"][kept].astype(np.float64)
        np.testing.assert_array_equal(data.X.static, static.reshape(len(kept), -1))
    if "times" in arrays:
        times = np.concatenate([arrays["times"][rows] for rows in series])
        same = times.astype("M8[ns]") if times.dtype.kind == "M" else times.astype(np.float64)
        np.testing.assert_array_equal(data.X.times, same)


def check_ts(data: Any, path: Path) -> None:
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    lines = [line.strip() for line in content.splitlines()]
    lines = [line.decode() for line in lines if line and not line.startswith(b"#")]
    head = next(place for place, line in enumerate(lines) if line.lower().split()[0] == "@data")
    cases = [line.split(":") for line in lines[head + 1 :]]
    if data.y is not None:
        assert [str(label) for label in data.y] == [case.pop().strip() for case in cases]
    missing = {"?", "nan"}
    same_values(
        data.X,
        [
            np.array([[np.nan if w.strip().lower() in missing else number(w) for w in c.split(",")] for c in case]).T
            for case in cases
        ],
    )


CHECKS: dict[str, Callable[[Any, Path], None]] = {
    "csv": check_table,
    "parquet": check_table,
    "npz": check_archive,
    "ts": check_ts,
    "csv directory": check_directory,
    "parquet directory": check_directory,
}


def fuzz(form: str, seed: int, count: int, folder: Path) -> dict[str, Any]:
    """Read ``count`` damaged files of one form; each that fails is kept in the folder."""
    path, columns = write(form, folder)
    whole = path.is_dir()
    target = sorted(path.iterdir())[1] if whole else path
    original = target.read_bytes()
    CHECKS[form](read(path, dtype="float64", **columns), path)  # the check itself is right
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {"refused": 0, "read": 0, "wrong": []}
    for index in range(count):
        target.write_bytes(mutated(form, original, rng))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", DataWarning)
                data = read(path, dtype="float64", **columns)
        except DataError as error:
            found["refused"] += 1
            if not str(error).startswith(str(path)) or len(str(error)) > 2000:
                found["wrong"].append(f"{index}: message {str(error)[:300]!r}")
            continue
        except BaseException as error:
            found["wrong"].append(f"{index}: {type(error).__name__}: {str(error)[:300]}")
            (folder / f"wrong{index}").write_bytes(target.read_bytes())
            continue
        found["read"] += 1
        try:
            CHECKS[form](data, path)
        except Exception as error:
            found["wrong"].append(f"{index}: read, but {type(error).__name__}: {str(error)[:600]}")
            (folder / f"wrong{index}").write_bytes(target.read_bytes())
    return found


def mapped() -> int:
    """Bytes of address space in use."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    form, seed, count, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    limits.BUDGET = BUDGET
    resource.setrlimit(resource.RLIMIT_AS, (mapped() + ROOM, resource.RLIM_INFINITY))
    seconds = 60 + int(SECONDS * count)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    print(json.dumps(fuzz(form, seed, count, folder)))
