"""Shifts that nobody planted: other speakers' counts of words, another season, the other wrist."""

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seglearn
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

from shifts.part import Part, Row
from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.data import Sequences, load_dataset
from throughtime.errors import DataWarning
from throughtime.estimators import SequenceEstimator, fit_members
from throughtime.shift import Reference, correct, diagnose_shift, embed, reference_of

#: Steps of a window of the watch.
WINDOW = 128
TESTS = ("X", "Y", "concept", "Y given X", "X given Y")


def trained(net: SequenceEstimator, X: Any, y: Any, splits: Sequence[Any], groups: Any = None) -> Reference:
    members = fit_members([net] * len(splits), X, y, train_indices=[train for train, _ in splits])
    return reference_of(members, X, y, splits, groups=groups)  # type: ignore[arg-type]


def row(reference: Reference, X: Any, y: Any, what: str, groups: Any = None) -> dict[str, Any]:
    begin = time.perf_counter()
    deployed = embed(reference, X, y, groups=groups)
    found = diagnose_shift(reference, deployed)
    p = {test.name: f"{test.p_value:.3g}" for test in found.tests}
    return {"what": what, "verdict": found.verdict} | {name: p.get(name, "") for name in TESTS} | {
        "sentence": found.sentence, "seconds": f"{time.perf_counter() - begin:.1f}"}  # fmt: skip


def vowels() -> Iterable[dict[str, Any]]:
    """The data set's own split; half of the test series get labels, the other half scores."""
    train, test = load_dataset("japanese-vowels", "train"), load_dataset("japanese-vowels", "test")
    net = SequenceClassifier(hidden_size=32, lr=0.02, max_epochs=30)
    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(np.zeros(len(train.X)), train.y))
    reference = trained(net, train.X, train.y, splits)
    yield row(reference, test.X, test.y, "japanese-vowels: training and test split")
    order = np.random.default_rng(0).permutation(len(test.X))
    some, others = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    y = np.asarray(test.y)
    model = net.fit(train.X, train.y)
    diagnosis = diagnose_shift(reference, embed(reference, test.X[some], y[some]))
    corrected = correct(model, diagnosis, reference=(train.X, train.y), deployed=(test.X[some], y[some]))
    codes = np.searchsorted(model.classes_, y[others])
    said = [one.predict_proba(test.X[others]) for one in (model, corrected.estimator)]
    losses = [-np.log(one[np.arange(len(codes)), codes].clip(1e-12)).mean() for one in said]
    scores = [(one.argmax(1) == codes).mean() for one in said]
    yield {"what": "japanese-vowels: corrected with half of the test labels", "verdict": corrected.method,
           "loss_before": f"{losses[0]:.4f}", "loss_after": f"{losses[1]:.4f}", "score_before": f"{scores[0]:.4f}",
           "score_after": f"{scores[1]:.4f}", "sentence": corrected.reason}  # fmt: skip


def fulda() -> Iterable[dict[str, Any]]:
    """Months from May to October by whole years, then the winters; the other months of summer as a control."""
    data = load_dataset("fulda")
    assert data.X.times is not None
    assert isinstance(data.y, Sequences)
    ends = data.X.times[np.cumsum(data.X.lengths) - 1].astype("datetime64[M]")
    month = ends.astype(int) % 12 + 1
    warm = (month >= 5) & (month <= 10)
    years = np.asarray(data.groups)
    early = years < 1986
    net = SequenceRegressor(cell="lstm", hidden_size=16, batch_size=8, max_epochs=30, target_transform="sqrt")
    rows = np.flatnonzero(warm & early)
    X, y = data.X[rows], data.y[rows]
    splits = list(GroupKFold(len(set(years[rows]))).split(rows, None, years[rows]))
    reference = trained(net, X, y, splits, groups=np.arange(len(rows)))
    for name, own in {"winters, 1980 to 1988": ~warm, "summers, 1986 to 1988": warm & ~early}.items():
        found = np.flatnonzero(own)
        X, y = data.X[found], data.y[found]
        score = np.mean([member.score(X, y) for member in reference.members])
        named = f"fulda: summers, 1980 to 1985, and {name}"
        yield row(reference, X, y, named, groups=1000 + np.arange(len(found))) | {"score_before": f"{score:.3f}"}


def watch() -> Iterable[dict[str, Any]]:
    """Exercises with the watch at one wrist, and at the other; people are the groups."""
    data = load_dataset("watch")
    path = Path(seglearn.__file__).parent / "data" / "watch_dataset.npy"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        content = np.load(path, allow_pickle=True).item()
    subjects = np.asarray(content["subject"])
    side = np.asarray(content["side"])[np.argsort(np.isin(subjects, (9, 10)), kind="stable")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # steps at the ends fill no window
        windows = data.windows(WINDOW, stride=WINDOW)
    assert windows.X.source is not None
    X, y, series = windows.X, np.asarray(windows.y), windows.X.source.series
    wrist = side[series]
    net = SequenceClassifier(hidden_size=16, max_epochs=8)
    one, other = np.unique(side)
    rows = np.flatnonzero(wrist == one)
    splits = list(StratifiedGroupKFold(5, shuffle=True, random_state=0).split(rows, y[rows], series[rows]))
    reference = trained(net, X[rows], y[rows], splits, groups=series[rows])
    found = np.flatnonzero(wrist == other)
    accuracy = np.mean([member.score(X[found], y[found]) for member in reference.members])
    own = row(reference, X[found], y[found], "watch: one wrist and the other", groups=series[found] + 1000)
    yield own | {"score_before": f"{accuracy:.3f}"}


PARTS: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {"japanese-vowels": vowels, "fulda": fulda, "watch": watch}
COLUMNS = ("what", "verdict", *TESTS, "loss_before", "loss_after", "score_before", "score_after", "sentence", "seconds")


def jobs(_: str, __: int | None) -> list[tuple[str]]:
    return [(name,) for name in PARTS]


def measure(data: str) -> list[dict[str, Any]]:
    return [{name: one.get(name, "") for name in COLUMNS} for one in PARTS[data]()]


def summary(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    for one in rows:
        yield {name: one[name] for name in COLUMNS}


REAL_PART = Part(("data",), jobs, measure, summary)
