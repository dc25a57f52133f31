"""Runs whose reports are looked at: small, and with everything that a page may have to show, or with nothing of it."""

from pathlib import Path

import numpy as np
import pandas as pd

from throughtime import SequenceClassifier, SequenceRegressor, evaluate, read

#: Reports of one run, then of two.
PAGES = ("classes", "forecast", "least", "compared", "incomparable")


def write_runs(place: Path) -> None:
    """The runs ``classes``, ``other_classes`` on the same folds, ``forecast`` and ``least``."""
    source = _labeled(place)
    columns = {"id": "series", "time": "step", "target": "label", "group": "site"}
    data = read(str(source), **columns)  # type: ignore[arg-type]
    network = {"hidden_size": 4, "max_epochs": 6, "lr": 0.05, "random_state": 0}
    classifier = SequenceClassifier(**network)
    evaluate(classifier, data, cv=4, seeds=2, test=0.25).save(place / "classes")
    other = SequenceClassifier(**network | {"cell": "lstm", "dropout": 0.3, "max_epochs": 9})
    evaluate(other, data, cv=4, seeds=2, test=0.25).save(place / "other_classes")
    daily = read(str(_daily(place)), id="site", time="when", target="discharge")
    regressor = SequenceRegressor(hidden_size=4, max_epochs=4, lr=0.05, random_state=0)
    evaluate(regressor, daily, cv=3, test=0.25).save(place / "forecast")
    X = np.random.default_rng(0).normal(size=(6, 3, 1))
    least = SequenceRegressor(hidden_size=2, max_epochs=1, random_state=0)
    evaluate(least, X, X[:, :, 0].sum(1), cv=2, baselines=False).save(place / "least")


def _labeled(place: Path) -> Path:
    """48 series of 3 classes in 12 groups."""
    rng = np.random.default_rng(0)
    series = np.repeat(np.arange(48), 8)
    rows = {"series": [f"gauge {k:02d}" for k in series], "step": np.tile(np.arange(8), 48), "site": series % 12}
    values = {f"channel {name}": rng.normal(size=384) + (series % 3 == k) for k, name in enumerate("abc")}
    labels = np.array(["ebb", "flow", "slack water"])[series % 3]
    pd.DataFrame(rows | values | {"label": labels}).to_csv(place / "tides.csv", index=False)
    return place / "tides.csv"


def _daily(place: Path) -> Path:
    """12 series with a target each day."""
    rng = np.random.default_rng(1)
    days = pd.date_range("2024-03-01", periods=30, freq="D")
    rain = rng.gamma(1.0, 3.0, size=(12, 30))
    frame = pd.DataFrame({"site": np.repeat([f"site {k}" for k in range(12)], 30), "when": np.tile(days, 12)})
    frame["rain (mm)"] = rain.ravel()
    frame["discharge"] = np.cumsum(rain, axis=1).ravel() / 10 + rng.normal(size=360)
    frame.to_csv(place / "daily.csv", index=False)
    return place / "daily.csv"
