"""What the readers say of a source, as a person sees it, and that a run's source is read alike by all commands."""

from pathlib import Path

import pandas as pd
from vowels import COLUMNS, run

from throughtime.storage import read_run

QUICK = ["--hidden-size", "4", "--max-epochs", "2", "--cv", "2"]


def test_row_numbers_are_no_channel_and_a_line_says_so(table: Path, tmp_path: Path) -> None:
    indexed = tmp_path / "indexed.csv"
    pd.read_csv(table).to_csv(indexed)
    code, said, error = run("fit", indexed, *COLUMNS, *QUICK, "--out", tmp_path / "run")
    assert code == 0, error
    assert "'': taken for row numbers" in said
    assert "" not in read_run(tmp_path / "run").json("config.json")["channels"]
    for command in (["data", indexed, *COLUMNS], ["predict", tmp_path / "run", indexed, "-o", tmp_path / "p.csv"]):
        code, said, error = run(*command)
        assert code == 0, error
        assert ("row numbers" in said) == (command[0] == "data")  # a run names its channels
