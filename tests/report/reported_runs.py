"""Small runs of every kind that a page is made of, in memory."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from throughtime import SequenceClassifier, SequenceRegressor, evaluate, read, storage, study
from throughtime.data import Columns, Dataset, Sequences
from throughtime.study import Run, Study, run_facts, run_files
from throughtime.study.planning import taken

SMALL: dict[str, Any] = {"hidden_size": 3, "max_epochs": 2, "random_state": 0}


def run_of(made: Study, change: Mapping[str, bytes | None] | None = None) -> Run:
    """The run that a study would be saved as; files can be changed, and left out with ``None``."""
    files: dict[str, bytes | None] = run_files(made) | dict(change or {})
    kept = {name: content for name, content in files.items() if content is not None}
    model = made.estimator
    return Run(storage.unwritten_run(Path("runs/small"), kept, run_facts(model)), model.module)


def classes(names: tuple[str, str] = ("ebb", "flow"), group: str = "site") -> Study:
    """24 series of 2 classes in 6 groups, two seeds, a test; the first fold has one class and fails."""
    rng = np.random.default_rng(0)
    y = np.array([names[k % 2] for k in range(24)], object)
    X = Sequences.from_arrays(
        rng.normal(size=(24, 6, 2)) + (np.arange(24) % 2)[:, None, None],
        channel_names=[f"a {names[0]}", f"b {names[1]}"],
        groups=np.array([f"{group} {k // 4}" for k in range(24)], object),
    )
    columns = Columns(target=f"label {names[1]}", group=group)
    ids = tuple(f"{names[1]} {k}" for k in range(24))
    data = Dataset(X, y, ids, names[0], f"{names[0]}.csv", X.groups, f"label {names[1]}", columns)
    ebb = np.arange(0, 12, 2)
    cv = [(ebb, np.arange(12, 16)), (np.arange(8, 16), np.arange(8)), (np.arange(8), np.arange(8, 16))]
    network = SequenceClassifier(**SMALL, num_layers=2, bidirectional=True, monitor="flow")
    return evaluate(network, taken(data, np.arange(16)), test=taken(data, np.arange(16, 24)), cv=cv, seeds=2)


def values() -> Study:
    """One number per series, each left out in turn, no test, no names."""
    X = np.random.default_rng(2).normal(size=(14, 5, 1))
    return evaluate(SequenceRegressor(**SMALL), X, X.sum((1, 2)), cv="loo")


def steps(place: Path) -> Study:
    """A number each day of 6 series, with a test."""
    return evaluate(SequenceRegressor(**SMALL), _days(place), test=0.34, cv=2)


def forecast(place: Path) -> Study:
    """The same, forecast from its own past."""
    return evaluate(SequenceRegressor(**SMALL, horizon=2), _days(place, own_past=True), season=3, cv=2)


def _days(place: Path, **more: Any) -> Dataset:
    rng = np.random.default_rng(1)
    days = pd.date_range("2024-03-01", periods=120, freq="D")
    rows = pd.DataFrame(
        {"site": np.repeat([f"s{k}" for k in range(6)], 20), "when": days, "rain": rng.normal(size=120)}
    )
    rows["flow"] = rows["rain"] * 2 + 0.5
    rows.to_csv(place / "days.csv", index=False)
    return read(str(place / "days.csv"), id="site", time="when", target="flow", **more)


def labels_by_step() -> Study:
    """A class at each step of 6 series."""
    X = np.random.default_rng(3).normal(size=(6, 8, 1))
    return evaluate(SequenceClassifier(**SMALL), X, Sequences.from_arrays((X > 0).astype(float)), cv=2)


def searched() -> Study:
    """The setting chosen among four."""
    X = np.random.default_rng(4).normal(size=(20, 5, 2))
    made = study.plan(SequenceClassifier(**SMALL), _unnamed(X, np.arange(20) % 2), 0.2, cv=2)
    ranking = study.search(made, {"lr": [0.01, 0.1], "hidden_size": [2, 3]})
    return study.train(study.chosen_plan(made, ranking), search=ranking)


def _unnamed(X: np.ndarray, y: np.ndarray) -> Dataset:
    return Dataset(Sequences.from_arrays(X), y, tuple(map(str, range(len(X)))), "numbers", "numbers.npz")


#: Everything that a page shows, by what is special of it.
RUNS: dict[str, Callable[[Path], Study]] = {
    "classes": lambda _: classes(),
    "values": lambda _: values(),
    "steps": steps,
    "forecast": forecast,
    "labels by step": lambda _: labels_by_step(),
    "searched": lambda _: searched(),
}
