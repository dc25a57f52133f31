"""A config file that is written says what it was written from."""

import datetime
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.cli.config import config_text, read_config
from throughtime.errors import ParameterError

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | WORDS
VALUES = st.recursive(PLAIN, lambda part: st.lists(part, max_size=3) | st.dictionaries(WORDS, part, max_size=3))


@given(st.dictionaries(WORDS, VALUES, max_size=4), st.lists(WORDS, max_size=2))
def test_any_table_is_read_as_it_was_written(table: dict[str, Any], comment: list[str]) -> None:
    assert tomllib.loads(config_text({"data": table}, comment)) == ({"data": table} if table else {})


def test_a_config_is_read_as_it_was_written(tmp_path: Path) -> None:
    tables: dict[str, dict[str, Any]] = {
        "model": {
            "cell": "lstm",
            "clip_norm": None,
            "lr": 1e-05,
            "bidirectional": True,
            "known": [3, "rain, today"],
            "class_weight": {"zero's": 2.0, '"one"': 1},
        },
        "data": {"id": "the\tseries", "channels": ["a", "b, c"], "window": 7, "split": 0.25},
        "validation": {"cv": "purged:5,purge=3", "scoring": ["accuracy"]},
    }
    path = tmp_path / "it.toml"
    path.write_text(config_text(tables, ["Remedy:\nlr"]), encoding="utf-8")
    assert read_config(path) == tables
    assert path.read_text().startswith("# Remedy: lr\n\n[model]\n")
    path.write_text(config_text({"model": {}, "data": {}, "validation": {}}))
    assert read_config(path) == {"model": {}, "data": {}, "validation": {}}


def test_what_has_no_words_is_refused() -> None:
    with pytest.raises(ParameterError, match="init needs"):
        config_text({"model": {"init": object()}})
    with pytest.raises(ParameterError, match="a config file needs numbers, words, lists and tables, got datetime"):
        config_text({"data": {"id": datetime.date(2026, 1, 1)}})
