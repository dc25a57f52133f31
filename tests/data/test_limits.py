"""What the budget counts is what reading takes, at its peak; text takes the room of its own letters."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from throughtime.data import archives, concatenate, csv_files, limits, read, table_files, ts_files
from throughtime.errors import DataError

SLACK = 2**19  # bytes of buffers, messages and the like
BLOCKS = 2**22  # bytes of the blocks of a CSV that pyarrow has at a time


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, int]]:
    """Bytes counted, and bytes taken at the peak, by reading a file."""
    counted: list[int] = []
    for module in (archives, csv_files, table_files, ts_files):
        monkeypatch.setattr(module, "refuse_beyond_budget", lambda needed, *_: counted.append(needed))

    def measure(path: Path, **options: Any) -> tuple[int, int]:
        read(path, require_target=False, **options)  # what is loaded and cached once
        counted.clear()
        usual = pa.default_memory_pool()
        pool = pa.proxy_memory_pool(usual)
        pa.set_memory_pool(pool)
        tracemalloc.start()
        try:
            read(path, require_target=False, **options)
            return max(counted), tracemalloc.get_traced_memory()[1] + pool.max_memory()
        finally:
            tracemalloc.stop()
            pa.set_memory_pool(usual)

    return measure


@pytest.mark.parametrize("dtype", ["?", "u1", "f2", "f4", "f8", "i8"])
@pytest.mark.parametrize("layout", ["ntc", "nct"])
def test_what_an_archive_takes_is_counted(dtype, layout, taken, tmp_path):
    np.savez_compressed(tmp_path / "x.npz", X=np.ones((1000, 100, 3), dtype))
    for held in ("float32", "float64"):
        counted, peak = taken(tmp_path / "x.npz", layout=layout, dtype=held)
        assert peak - SLACK <= counted <= 4 * 300_000 * 12


def test_what_comes_with_the_series_of_an_archive_is_counted(taken, tmp_path):
    n = 20_000
    words = np.arange(n).astype("U8")
    parts = {
        "y": np.ones(n, "u1"),
        "ids": words,
        "groups": words,
        "static": np.ones((n, 3), "u1"),
        "times": np.ones(n, "u1"),
    }
    np.savez(tmp_path / "x.npz", values=np.ones((n, 1), "u1"), offsets=np.arange(n + 1), **parts)
    counted, peak = taken(tmp_path / "x.npz")
    assert peak - SLACK <= counted


ROWS = 100_000
TEXTS = {
    "few series": "id,v\n" + "".join(f"{row % 9},1\n" for row in range(ROWS)),
    "a row each": "id,v\n" + "".join(f"{row},1\n" for row in range(ROWS)),
    "wide": "id," + ",".join(f"c{k}" for k in range(50)) + "\n" + f"a,{','.join('1' * 50)}\n" * (ROWS // 50),
}


@pytest.mark.parametrize("text", TEXTS)
def test_what_a_csv_takes_is_counted(text, taken, tmp_path):
    (tmp_path / "x.csv").write_text(TEXTS[text])
    counted, peak = taken(tmp_path / "x.csv", id="id")
    assert peak - BLOCKS <= counted <= 8 * peak


TABLES = {
    "bits": {"id": np.zeros(ROWS, "i1"), **{f"c{k}": np.zeros(ROWS, bool) for k in range(8)}},
    "a row each": {"id": np.arange(ROWS).astype(str), "v": np.zeros(ROWS, "f4")},
    "bytes": {"id": np.zeros(ROWS, "i1"), "v": np.zeros(ROWS, "i1")},
}


@pytest.mark.parametrize("table", TABLES)
def test_what_a_parquet_file_takes_is_counted(table, taken, tmp_path):
    pq.write_table(pa.table(TABLES[table]), tmp_path / "x.parquet")
    counted, peak = taken(tmp_path / "x.parquet", id="id")
    assert peak - SLACK <= counted <= 8 * peak


CASES = {
    "one long": ",".join(str(k / 7) for k in range(ROWS)) + "\n",
    "many short": "1.5\n" * 10_000,
    "many channels": (":".join(["1.5"] * 100) + "\n") * 200,
}


@pytest.mark.parametrize("cases", CASES)
def test_what_a_ts_file_takes_is_counted(cases, taken, tmp_path):
    header = f"@univariate {'false' if ':' in CASES[cases] else 'true'}\n@classLabel false\n@data\n"
    (tmp_path / "x.ts").write_text(header + CASES[cases])
    counted, peak = taken(tmp_path / "x.ts")
    assert peak - SLACK <= counted <= 8 * peak


def test_a_directory_counts_all_its_files(tmp_path, monkeypatch):
    for k in range(10):
        (tmp_path / f"{k}.csv").write_text("v\n" + "1\n" * 1000)
    monkeypatch.setattr(limits, "BUDGET", 10 * 1000 * 60)
    with pytest.raises(DataError, match="a directory needs at most 600000 bytes of memory"):
        read(tmp_path, require_target=False)
    monkeypatch.setattr(limits, "BUDGET", 10 * 1000 * 200)
    assert len(read(tmp_path, require_target=False).X) == 10


def test_of_a_parquet_file_only_the_columns_asked_for_are_decoded(tmp_path, monkeypatch):
    n = 10_000
    rows = {"id": np.arange(n) // 10, "y": np.arange(n) // 10 % 2, "v": np.arange(n) / 7, "v.w": np.ones(n)}
    pq.write_table(pa.table(rows | {f"c{k}": np.arange(n) / 3 for k in range(50)}), tmp_path / "x.parquet")
    roles = {"id": "id", "target": "y"}
    whole = read(tmp_path / "x.parquet", **roles)
    monkeypatch.setattr(limits, "BUDGET", 300 * n)
    with pytest.raises(
        DataError, match=r"channels= \(--id, .* read those columns alone, or read parts of whole series"
    ):
        read(tmp_path / "x.parquet", **roles)
    data = read(tmp_path / "x.parquet", channels=["v"], **roles)
    np.testing.assert_array_equal(data.X.values[:, 0], whole.X.values[:, 0])
    np.testing.assert_array_equal(data.y, whole.y)


def test_parts_of_a_file_join_as_the_refusal_says(tmp_path, monkeypatch):
    rows = pa.table({"id": np.repeat(["a", "b", "c", "d"], 50), "v": np.arange(200) / 7})
    pq.write_table(rows, tmp_path / "x.parquet")
    whole = read(tmp_path / "x.parquet", id="id", require_target=False)
    for k in range(2):
        pq.write_table(rows[100 * k : 100 * (k + 1)], tmp_path / f"{k}.parquet")
    monkeypatch.setattr(limits, "BUDGET", 200 * 100)
    with pytest.raises(DataError, match=r"read parts of whole series, which .*concatenate\(\[read\(part\)\.X"):
        read(tmp_path / "x.parquet", id="id", require_target=False)
    parts = [read(tmp_path / f"{k}.parquet", id="id", require_target=False) for k in range(2)]
    assert concatenate([part.X for part in parts]) == whole.X
    with pytest.raises(DataError, match="concatenate needs Sequences, got Dataset; its X is one"):
        concatenate(parts)
    with pytest.raises(DataError, match="concatenate needs Sequences, got ndarray; as_sequences makes one"):
        concatenate([np.zeros((2, 3, 1))])
    for wrong in (whole.X, 3):
        with pytest.raises(DataError, match="concatenate needs a list of Sequences, got"):
            concatenate(wrong)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_one_long_label_costs_its_own_letters_alone(kind, taken, tmp_path):
    n, long = 2000, "x" * 100_000  # as wide as the longest, 2,000 labels would take 800 MB
    label = [long, *(f"s{k}" for k in range(1, n))]
    table = pa.table({"id": label, "g": label, "y": label, "v": [1.0] * n})
    if kind == "csv":
        pa.csv.write_csv(table, tmp_path / "x.csv")
    else:
        pq.write_table(table, tmp_path / "x.parquet")
    _, peak = taken(tmp_path / f"x.{kind}", id="id", group="g", target="y")
    assert peak < 30_000_000


def test_labels_of_python_keep_the_room_of_their_own_letters():
    labels = np.array(["x" * 1_000_000, *map(str, range(1000))], object)
    tracemalloc.start()
    X = archives.Sequences(np.zeros((1001, 1)), np.arange(1002), groups=labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert X.groups.tolist() == labels.tolist()
