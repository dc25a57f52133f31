"""The flags of columns are the same in every command that reads a source, and in a config."""

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from throughtime.cli.app import app
from throughtime.cli.columns import LISTS, Columns
from throughtime.cli.config import read_config
from throughtime.data import read

NAMES = [field.name for field in fields(Columns)]
TYPED = {"target_kind": "step", "decimal": ",", "targets": "error", "static": "a, b", "channels": 'c,"d,e"'}
TYPED |= {"window": 8, "stride": 4, "history": 2}
MEANT = TYPED | {"static": ["a", "b"], "channels": ["c", "d,e"]}


@pytest.mark.parametrize("command", ["fit", "search", "flow", "data"])
def test_every_command_that_reads_a_table_has_a_flag_for_each_column(command: str) -> None:
    options: Any = {option.name: option for option in typer.main.get_command(app).commands[command].params}  # type: ignore[attr-defined]
    for name in NAMES:
        assert options[name].opts == [f"--{name.replace('_', '-')}"]
        assert options[name].default is None
        assert options[name].rich_help_panel == "Data"


def test_what_is_typed_is_what_reading_takes_and_what_is_not_is_left_out() -> None:
    assert Columns(**TYPED).typed() == MEANT  # type: ignore[arg-type]
    assert Columns().typed() == {}
    assert set(NAMES) <= set(inspect.signature(read).parameters)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_takes_each_column_by_the_name_of_its_flag(name: str, tmp_path: Path) -> None:
    value = MEANT.get(name, "x")
    (tmp_path / "config.toml").write_text(f"[data]\n{name} = {value!r}\n")
    assert read_config(tmp_path / "config.toml")["data"] == {name: value}
    assert (name in LISTS) == isinstance(value, list)
