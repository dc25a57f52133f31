"""Small data and estimators that the tests of studies share."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.data import Dataset, read

SMALL: dict[str, Any] = {"hidden_size": 3, "max_epochs": 2, "random_state": 0}
FLAGS = ["--hidden-size", "3", "--max-epochs", "2", "--random-state", "0", "--verbose", "0"]


def labeled(place: Path) -> tuple[Path, dict[str, str]]:
    """24 series of 2 classes in 6 groups, and the columns to read them by."""
    rng = np.random.default_rng(0)
    series = np.repeat(np.arange(24), 6)
    rows = {"series": [f"{k:03d}" for k in series], "step": np.tile(np.arange(6), 24), "site": series % 6}
    values = {"a": rng.normal(size=144) + series % 2, "b": rng.normal(size=144)}
    pd.DataFrame(rows | values | {"label": np.where(series % 2, "ebb", "flow")}).to_csv(place / "t.csv", index=False)
    return place / "t.csv", {"id": "series", "time": "step", "target": "label", "group": "site"}


def rain(place: Path) -> tuple[Path, dict[str, str]]:
    """12 series with a target each day, in a time zone over the change of the clocks."""
    rng = np.random.default_rng(1)
    days = pd.date_range("2024-03-01", periods=144, freq="D", tz="Europe/Berlin")
    rows = pd.DataFrame({"site": np.repeat([f"s{k}" for k in range(12)], 12), "when": days, "v": rng.normal(size=144)})
    rows["flow"] = rows["v"].round(2) * 2 + 0.5
    rows.to_csv(place / "rain.csv", index=False)
    return place / "rain.csv", {"id": "site", "time": "when", "target": "flow"}


def archive(place: Path, name: str, n: int) -> Path:
    """Series of 2 channels with numbered classes, as ``.npz``."""
    rng = np.random.default_rng(n)
    np.savez(place / name, X=rng.normal(size=(n, 5, 2)), y=np.arange(n) % 3, channel_names=["p", "q"])
    return place / name


def data_of(source: tuple[Path, dict[str, str]], **more: Any) -> Dataset:
    path, columns = source
    return read(str(path), **columns, **more)


def classifier(**settings: Any) -> SequenceClassifier:
    return SequenceClassifier(**(SMALL | settings))


def regressor(**settings: Any) -> SequenceRegressor:
    return SequenceRegressor(**(SMALL | settings))


def arrays(n: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Series of one channel, and classes that depend on them."""
    X = np.random.default_rng(2).normal(size=(n, 5, 2)).astype("float32")
    return X, np.where(X[:, :, 0].mean(1) > 0, "up", "down")
