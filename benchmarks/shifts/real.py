"""Shifts that nobody planted: other speakers' counts of words, another season, the other wrist."""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seglearn
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

from shifts.part import Part, Row
from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.data import Dataset, Sequences, load_dataset
from throughtime.errors import DataWarning
from throughtime.estimators import SequenceEstimator, fit_members
from throughtime.shift import Reference, correct, diagnose_shift, embed, reference_of

#: Steps of a window of the watch.
WINDOW = 128
#: Networks, and of those how many are corrected.
VOWEL_SEEDS, VOWELS_CORRECTED = 60, 5
SPLIT = "japanese-vowels: training and test split"
DRAWN = "japanese-vowels: a label shift of that size drawn from all"
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
    """The data set's own split; half of the test series get labels, the other half scores; several networks.

    Beside it a shift that is of labels alone, of the same size: as many series of each speaker at random, and the rest.
    """
    train, test = (load_dataset("japanese-vowels", part) for part in ("train", "test"))
    whole = load_dataset("japanese-vowels")
    y = np.asarray(whole.y)
    counts = dict(zip(*np.unique(np.asarray(train.y), return_counts=True), strict=True))
    for seed in range(VOWEL_SEEDS):
        net = SequenceClassifier(hidden_size=32, lr=0.02, max_epochs=30, random_state=seed)
        reference = reference_to(net, train.X, train.y, seed)
        yield row(reference, test.X, test.y, f"{SPLIT}, network {seed}")
        if seed < VOWELS_CORRECTED:
            yield vowels_corrected(net, reference, train, test, seed)
        rng = np.random.default_rng(seed)
        chosen = [rng.permutation(np.flatnonzero(y == speaker))[:n] for speaker, n in counts.items()]
        rows = rng.permutation(np.concatenate(chosen))
        rest = np.setdiff1d(np.arange(len(y)), rows)
        yield row(reference_to(net, whole.X[rows], y[rows], seed), whole.X[rest], y[rest], f"{DRAWN}, network {seed}")


def reference_to(net: SequenceClassifier, X: Any, y: Any, seed: int) -> Reference:
    return trained(net, X, y, list(StratifiedKFold(5, shuffle=True, random_state=seed).split(np.zeros(len(X)), y)))


def vowels_corrected(
    net: SequenceClassifier, reference: Reference, train: Dataset, test: Dataset, seed: int
) -> dict[str, Any]:
    order = np.random.default_rng(seed).permutation(len(test.X))
    some, others = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    y = np.asarray(test.y)
    model = net.fit(train.X, train.y)
    diagnosis = diagnose_shift(reference, embed(reference, test.X[some], y[some]))
    corrected = correct(model, diagnosis, reference=(train.X, train.y), deployed=(test.X[some], y[some]))
    codes = np.searchsorted(model.classes_, y[others])
    said = [one.predict_proba(test.X[others]) for one in (model, corrected.estimator)]
    losses = [-np.log(one[np.arange(len(codes)), codes].clip(1e-12)).mean() for one in said]
    scores = [(one.argmax(1) == codes).mean() for one in said]
    return {"what": f"japanese-vowels: corrected with half of the test labels, network {seed}",
            "verdict": corrected.method, "loss_before": f"{losses[0]:.4f}", "loss_after": f"{losses[1]:.4f}",
            "score_before": f"{scores[0]:.4f}", "score_after": f"{scores[1]:.4f}",
            "sentence": corrected.reason}  # fmt: skip


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
    net = SequenceRegressor(cell="lstm", hidden_size=16, batch_size=8, max_epochs=30, target_transform="sqrt",
                            random_state=0)  # fmt: skip
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
    net = SequenceClassifier(hidden_size=16, max_epochs=8, random_state=0)
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
    """Every row, but of what was named for many networks alone how many got which name."""
    for what in (SPLIT, DRAWN):
        names = Counter(one["verdict"] for one in rows if one["what"].startswith(what))
        counts = ", ".join(f"{name} {count}" for name, count in names.most_common())
        if names:
            yield dict.fromkeys(COLUMNS, "") | {"what": f"{what}, {names.total()} networks", "verdict": counts}
    for one in rows:
        if not one["what"].startswith((SPLIT, DRAWN)):
            yield {name: one[name] for name in COLUMNS}


REAL_PART = Part(("data",), jobs, measure, summary)
