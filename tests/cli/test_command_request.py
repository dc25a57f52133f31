"""What a command was asked for comes back as it was, and finds its data again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from throughtime.cli.command_request import CommandRequest
from throughtime.errors import DataError
from throughtime.nn import Scheme


def test_a_request_comes_back_with_its_rules_and_its_seed(tmp_path: Path) -> None:
    tables: Any = {"model": {"init": Scheme(forget_bias=2.0)}, "data": {"test": "t.csv"}, "validation": {}}
    asked = CommandRequest("search", "data.csv", "regression", tables, {"n_iter": 3}).with_seed(7)
    again = CommandRequest.from_plain(asked.to_plain(), tmp_path)
    assert again == asked
    assert again.tables["model"]["random_state"] == 7


def test_data_are_looked_for_where_they_are_said_to_be_then_here_then_where_the_command_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    tables: Any = {"model": {}, "data": {"test": "test.csv"}, "validation": {}}
    asked = CommandRequest("fit", "train.csv", None, tables)
    monkeypatch.chdir(tmp_path / "here")

    def places(source: str | None = None, test: str | None = None) -> tuple[str, str]:
        found = asked.with_sources(source, test)
        return found.source, found.tables["data"]["test"]

    for given, option in ((("a.csv", None), "--test"), ((None, "b.csv"), "--source")):
        with pytest.raises(DataError, match=rf"no longer at .*, nor at {tmp_path}.*; {option} says where they are"):
            places(*given)
    for name in ("train.csv", "test.csv"):
        np.savetxt(tmp_path / "there" / name, [1])
    assert places() == (str(tmp_path / "there" / "train.csv"), str(tmp_path / "there" / "test.csv"))
    for name in ("train.csv", "test.csv"):
        np.savetxt(tmp_path / "here" / name, [1])
    assert places() == ("train.csv", "test.csv")
    assert places("a.csv", "b.csv") == ("a.csv", "b.csv")
    without = CommandRequest("fit", "train.csv", None, {"model": {}, "data": {}, "validation": {}})
    assert without.with_sources(None, None).tables["data"] == {}
    assert without.with_sources(None, "b.csv").tables["data"] == {"test": "b.csv"}
