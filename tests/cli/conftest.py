"""Data that the tests of the commands share."""

from pathlib import Path

import numpy as np
import pytest
from vowels import long_table

from throughtime.data import Sequences, load


@pytest.fixture(scope="session")
def few() -> tuple[Sequences, np.ndarray]:
    """Some series of three of the nine speakers, the classes in turn."""
    X, y = load("japanese-vowels", split="train")
    assert isinstance(y, np.ndarray)
    rows = np.concatenate([np.flatnonzero(y == speaker)[:8] for speaker in (1, 2, 3)])
    return X[rows], y[rows]


@pytest.fixture(scope="session")
def table(few: tuple[Sequences, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "vowels.csv"
    long_table(*few).to_csv(path, index=False)
    return path
