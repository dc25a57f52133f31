"""Runs whose every name is hostile: of channels, classes, groups, series, targets, sources, settings and findings."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from throughtime import SequenceClassifier, SequenceRegressor, evaluate, storage
from throughtime.data import Columns, Dataset, Sequences
from throughtime.storage import json_to_bytes


def write_classes(place: Path, names: Sequence[str]) -> None:
    """A run of as many channels, classes and groups as there are names, with series set aside for a test."""
    model = SequenceClassifier(hidden_size=2, max_epochs=1, random_state=0)
    evaluate(model, _data(names, 2), test=_data(names, 1), cv=2, baselines=False).save(place / "trained")
    _rename(place / "trained", place / "run", names)


def write_numbers(place: Path, names: Sequence[str]) -> None:
    """A run of as many channels and groups as there are names, with a target each step."""
    data = _data(names, 1)
    y = Sequences.from_arrays([x[:, :1] for x in data.X], times=data.X.times and [*data.X.times])
    numbers = Dataset(data.X, y, data.ids, data.name, data.source, data.groups, names[0], data.columns)
    model = SequenceRegressor(hidden_size=2, max_epochs=1, random_state=0)
    evaluate(model, numbers, cv=2, baselines=False).save(place / "trained")
    _rename(place / "trained", place / "run", names)


def _data(names: Sequence[str], times: int) -> Dataset:
    """Series named and grouped in turn; each class is that of neighbors, so that folds of groups know it."""
    n = len(names) * times
    rng = np.random.default_rng(times)
    groups = np.array([names[k % len(names)] for k in range(n)], object)
    X = Sequences.from_arrays(rng.normal(size=(n, 4, len(names))).astype("float32"), channel_names=names, groups=groups)
    y = np.array([names[k // times] for k in range(n)], object)
    ids = tuple(f"{names[k % len(names)]}{'' if k < len(names) else k}" for k in range(n))
    columns = Columns(id=names[0], time=names[1], target=names[2], group=names[3], channels=tuple(names))
    return Dataset(X, y, ids, names[0], names[1], X.groups, names[2], columns)


def _rename(trained: Path, run: Path, names: Sequence[str]) -> None:
    """Write a run again, with hostile texts where its files hold text."""
    opened = storage.read_run(trained)
    files: dict[str, bytes] = {name: opened.bytes(name) for name in opened.manifest.files}
    named = iter(names * 20)
    metrics = json.loads(files["metrics.json"])
    new_names = {model["name"]: next(named) for model in metrics["models"]}
    for model in metrics["models"]:
        model["name"] = new_names[model["name"]]
    metrics["intervals"] = {
        new_names[model]: {metric: one | {"method": next(named)} for metric, one in by_metric.items()}
        for model, by_metric in metrics["intervals"].items()
    }
    texts = "code", "title", "source", "detail", "remedy", "docs"
    metrics["leakage"] = [
        dict.fromkeys(texts, name) | {"verdict": "found", "severity": "error", "measured": 1.0, "threshold": 0.0}
        for name in names
    ]
    members: list[dict[str, Any]] = json.loads(files["members.json"])
    kept = ("prefix", "seed", "fold")
    members[0] = {name: members[0][name] for name in kept} | {"failure": " / ".join(names)}
    config = json.loads(files["config.json"])
    config |= {"test": next(named), "source": next(named)}
    for name, value in (("metrics", metrics), ("members", members), ("config", config)):
        files[f"{name}.json"] = json_to_bytes(value)
    facts = dict(opened.manifest.facts) | {"instruction_set": next(named), "machine": next(named), next(named): "x"}
    storage.write_run(run, files, facts)
