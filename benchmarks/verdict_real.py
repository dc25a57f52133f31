"""What ``diagnose`` says of real data: a river, a smart watch, nine speakers.

``python benchmarks/verdict_real.py`` writes a row per diagnosis and per score to ``results/verdict_real.csv``; what is
expected stands in README.md. ``--epochs`` divides all epochs, for a quick look.
"""

import argparse
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, cross_val_score

import throughtime
from recording import cpu_model, write_rows
from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.data import load_dataset
from throughtime.errors import DataWarning
from throughtime.generalization import Diagnosis, Setting, diagnose, leakage_report

#: Steps of a window of the watch, which overlap by half.
WINDOW = 128
SEED = 0


def fulda(divide: int) -> Iterator[dict[str, Any]]:
    """Whole years as folds; from either start the other is probed: forget bias 3, which loses, and torch's."""
    data = load_dataset("fulda", "train")
    base = SequenceRegressor(
        cell="lstm", hidden_size=32, batch_size=8, max_epochs=40 // divide, target_transform="sqrt"
    )
    both = {"torch's start": None, "forget bias 3": 3.0}
    for start, bias in both.items():
        other = next(name for name in both if name != start)
        probe = Setting(other, {"forget_bias": both[other]}, "not optimized")
        found = diagnose(
            base.set_params(forget_bias=bias), data.X, data.y, groups=data.groups, cv="group", probes=[probe]
        )
        yield row("fulda", f"from {start}, {other} probed", found, probe.name)


def watch(divide: int) -> Iterator[dict[str, Any]]:
    """Overlapping windows by three kinds of folds, and the verdict on those at random."""
    data = load_dataset("watch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # steps at the ends fill no window
        windows = data.windows(WINDOW, stride=WINDOW // 2)
    assert windows.X.source is not None
    assert windows.groups is not None
    series, people = windows.X.source.series, windows.groups
    net = SequenceClassifier(hidden_size=16, max_epochs=max(1, 8 // divide), random_state=SEED)
    folds: dict[str, Any] = {
        "windows at random": (KFold(5, shuffle=True, random_state=SEED), None),
        "whole series": (GroupKFold(5), series),
        "unseen people": (GroupKFold(5), people),
    }
    for name, (cv, groups) in folds.items():
        scores = throughtime.cross_val_score(net, windows.X, windows.y, cv=list(cv.split(series, None, groups)))
        yield {"data": "watch", "what": f"accuracy, {name}", "value": f"{np.mean(scores):.3f}"}
    at_random = folds["windows at random"][0]
    for finding in leakage_report(windows.X, y=windows.y, groups=people, cv=at_random):
        if finding.verdict == "found":
            yield {"data": "watch", "what": "leakage_report, windows at random", "value": finding.code}
    found = diagnose(net, windows.X, windows.y, groups=people, cv=at_random, probes=["whole groups"], repeats=1)
    yield row("watch", "windows at random, people are groups", found, "whole groups")


def vowels(divide: int) -> Iterator[dict[str, Any]]:
    """All automatic probes; beside them the linear model that is hard to beat."""
    data = load_dataset("japanese-vowels", "train")
    net = SequenceClassifier(hidden_size=32, max_epochs=max(1, 40 // divide))
    yield row("japanese-vowels", "as it is", diagnose(net, data.X, data.y), None)
    means = np.stack([np.concatenate([x.mean(0), x.std(0), x[0], x[-1]]) for x in data.X])
    linear = cross_val_score(RidgeClassifier(), means, data.y, cv=StratifiedKFold(5, shuffle=True, random_state=SEED))
    yield {
        "data": "japanese-vowels",
        "what": "accuracy, ridge on means, deviations and ends",
        "value": f"{linear.mean():.3f}",
    }


def row(data: str, what: str, found: Diagnosis, probe: str | None) -> dict[str, Any]:
    """What came out, and what the probe that the diagnosis is about gains, in units of the dummy's loss."""
    effect = next((one for one in found.effects if one.probe == probe), None)
    gains = (
        {}
        if effect is None
        else {name: f"{getattr(effect, name) / found.chance:.3f}" for name in ("gain", "low", "high")}
    )
    return {
        "data": data,
        "what": what,
        "value": found.verdict,
        "remedy": "" if found.remedy is None else found.remedy.probe,
        "loss": f"{found.loss / found.chance:.3f}",
        "probe": probe or "",
        **gains,
        "sentence": found.sentence,
        "seconds": f"{found.seconds:.0f}",
    }


COLUMNS = ("data", "what", "value", "remedy", "loss", "probe", "gain", "low", "high", "sentence", "seconds")
PARTS = {"fulda": fulda, "watch": watch, "japanese-vowels": vowels}


def complete(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same columns in every row."""
    machine = {"cpu": cpu_model(), "cores": os.cpu_count()}
    return [{name: one.get(name, "") for name in COLUMNS} | machine for one in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=PARTS, action="append")
    parser.add_argument("--epochs", type=int, default=1, metavar="N", help="divide all epochs by N")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in options.data or PARTS:
        begin = time.perf_counter()
        for one in PARTS[name](options.epochs):
            rows.append(one)
            write_rows("verdict_real.csv", complete(rows))
            print(*(value for value in one.values() if value != ""), sep=" | ", flush=True)
        print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
