"""A reader from a file outside the package reads its files as those of the package are read."""

from pathlib import Path

import pytest
from json_lines import JSON_LINES

from throughtime import read
from throughtime.data import READERS
from throughtime.errors import DataError, ParameterError

READ = (*READERS, JSON_LINES)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "two.jsonl"
    path.write_text('{"x": [[1.0], [2.0]], "y": 3}\n{"x": [[4.0]], "y": 5}\n')
    return path


def test_its_files_are_read(file: Path) -> None:
    data = read(file, readers=READ)
    assert [series.tolist() for series in data.X] == [[[1.0], [2.0]], [[4.0]]]
    assert data.y.tolist() == [3, 5]


def test_its_errors_name_the_file_and_columns_are_not_for_it(file: Path) -> None:
    with pytest.raises(ParameterError, match=r"^id needs a table .* got .*two\.jsonl$"):
        read(file, id="series", readers=READ)
    file.write_text('{"x": [[1.0]]}\n')
    with pytest.raises(DataError, match=r"two\.jsonl: a line needs a target y, got none"):
        read(file, readers=READ)


def test_without_it_the_suffixes_that_there_are_are_named(file: Path) -> None:
    with pytest.raises(DataError, match=r"a file needs to be \.csv, \.parquet, \.npz or \.ts, got \.jsonl"):
        read(file)
