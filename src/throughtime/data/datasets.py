"""Data sets that need no download: one in this package, the others in the wheels of packages that `pip` installs."""

import csv
import difflib
import importlib.util
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy import ndarray

from throughtime.data.archives import unpack
from throughtime.data.catalog import CATALOG, BuiltIn
from throughtime.data.dataset import Dataset
from throughtime.data.sequences import Sequences, concatenate
from throughtime.data.ts_files import read_ts
from throughtime.errors import DataError, MissingDependencyError, ParameterError

Split = Literal["train", "test"]

_HISTORY = 90  # days of weather before each month of fulda


def available() -> tuple[BuiltIn, ...]:
    """List every built-in data set, whether or not the package that carries it is installed."""
    return CATALOG


def load(
    name: str, split: Split | None = None, *, history: int | None = None
) -> tuple[Sequences, ndarray | Sequences | None]:
    """Load a built-in data set as ``X, y``.

    Parameters
    ----------
    name
        One of `available`.
    split
        ``"train"``, ``"test"``, or None for both, train first.
    history
        Only for ``fulda``: days of weather before each month whose discharge is the target; 90 when not given.

    Raises
    ------
    MissingDependencyError
        The package that carries it is not installed.
    """
    data = load_dataset(name, split, history=history)
    return data.X, data.y


def load_dataset(name: str, split: Split | None = None, *, history: int | None = None) -> Dataset:
    """Load a built-in data set with what belongs to it; the parameters are those of `load`."""
    entries = {entry.name: entry for entry in CATALOG}
    if name not in entries:
        close = difflib.get_close_matches(str(name), entries, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise DataError(f"a built-in data set needs to be one of {', '.join(entries)}, got {name!r}{hint}")
    if split not in (None, "train", "test"):
        raise ParameterError(f"split needs 'train', 'test' or None, got {split!r}")
    entry = entries[name]
    if name == "fulda":
        return _fulda(entry, split, _HISTORY if history is None else history)
    if history is not None:
        raise ParameterError(f"history needs the data set fulda, got {history} with {name}")
    return _LOADERS[name](entry, split)


def _located(entry: BuiltIn, file: str) -> Path:
    """A file of an installed package, found without importing the package."""
    spec = importlib.util.find_spec(entry.package)
    roots = [] if spec is None else list(spec.submodule_search_locations or [])
    if not roots:
        raise MissingDependencyError(f"{entry.name} needs the package {entry.package}: {entry.install}")
    path = Path(roots[0], file)
    if not path.is_file():
        raise MissingDependencyError(
            f"{entry.name} needs a release of {entry.package} that carries {file}: {entry.install}"
        )
    return path


def _dataset(
    entry: BuiltIn,
    split: Split | None,
    X: Sequences,
    y: ndarray | Sequences,
    ids: tuple[str, ...] | None = None,
    target: str = "y",
) -> Dataset:
    names = tuple(str(index) for index in range(len(X))) if ids is None else ids
    source = entry.name if split is None else f"{entry.name}:{split}"
    return Dataset(X, y, names, entry.name, source, X.groups, target)


def _cut(entry: BuiltIn, split: Split | None, X: Sequences, y: ndarray, target: str) -> Dataset:
    """Training series stand before test series in X."""
    n = entry.n_train
    rows = {None: slice(None), "train": slice(None, n), "test": slice(n, None)}[split]
    return _dataset(entry, split, X[rows], y[rows], target=target)


def _japanese_vowels(entry: BuiltIn, split: Split | None) -> Dataset:
    arrays = unpack(Path(__file__).parent / "files" / "japanese_vowels.npz")
    return _cut(entry, split, Sequences(arrays["values"], arrays["offsets"]), arrays["y"], "speaker")


def _aeon(entry: BuiltIn, split: Split | None, *, file: str) -> Dataset:
    splits: tuple[Split, ...] = ("train", "test") if split is None else (split,)
    parts = [read_ts(_located(entry, f"datasets/data/{file}/{file}_{part.upper()}.ts")) for part in splits]
    y = np.concatenate([part.y for part in parts if isinstance(part.y, ndarray)])
    return _dataset(entry, split, concatenate([part.X for part in parts]), y)


def _digits(entry: BuiltIn, split: Split | None, *, n_steps: int) -> Dataset:
    path = _located(entry, "datasets/data/digits.csv.gz")
    table = np.loadtxt(path, np.float32, delimiter=",", encoding="ascii")
    X = Sequences(table[:, :-1].reshape(len(table) * n_steps, -1), np.arange(len(table) + 1) * n_steps)
    return _cut(entry, split, X, table[:, -1].astype(np.int64), "digit")


def _spoken_digits(entry: BuiltIn, split: Split | None) -> Dataset:
    arrays = unpack(_located(entry, "datasets/data/digits.npz"))
    X = Sequences(arrays["X"], np.concatenate([[0], np.cumsum(arrays["lengths"])]))
    return _cut(entry, split, X, arrays["y"], "digit")


def _watch(entry: BuiltIn, split: Split | None) -> Dataset:
    path = _located(entry, "data/watch_dataset.npy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # written by a NumPy whose module names have changed
        # A pickle, but one of an installed package: whoever could change it could change that package's code.
        content = np.load(path, allow_pickle=True).item()
    subjects = np.asarray(content["subject"], np.int64)
    X = Sequences.from_arrays(
        [part.astype(np.float32) for part in content["X"]], groups=subjects, channel_names=content["X_labels"]
    )
    y = np.asarray(content["y_labels"])[np.asarray(content["y"], np.int64)]
    test = np.isin(subjects, (9, 10))
    rows = {None: np.argsort(test, kind="stable"), "train": np.flatnonzero(~test), "test": np.flatnonzero(test)}[split]
    return _dataset(entry, split, X[rows], y[rows], target="exercise")


def _fulda(entry: BuiltIn, split: Split | None, history: int) -> Dataset:
    if not 0 <= history <= 365:
        raise ParameterError(f"history needs 0 to 365 days, the record beginning a year before 1980, got {history}")
    path = _located(entry, "examples/cmf_data/fulda_climate.csv")
    with path.open(encoding="utf-8", newline="") as file:
        header, _, *rows = csv.reader(file)  # the second line holds the units
    if header != ["date", "tmax", "tmin", "tmean", "Prec", "Q"]:
        raise DataError(f"fulda needs the columns of spotpy's file as they are known, got {', '.join(header)}")
    days = np.array(["-".join(reversed(row[0].split("."))) for row in rows], "datetime64[D]")
    table = np.array([row[1:] for row in rows], np.float64).astype(np.float32)
    if not ((np.diff(days) == np.timedelta64(1, "D")).all() and np.isfinite(table).all()):
        raise DataError("fulda needs an unbroken record of days, spotpy's file has gaps")

    years = {"train": (1980, 1986), "test": (1986, 1989), None: (1980, 1989)}[split]
    months = np.arange(f"{years[0]}-01", f"{years[1]}-01", dtype="datetime64[M]")
    begins = months.astype("datetime64[D]") - days[0]
    ends = (months + 1).astype("datetime64[D]") - days[0]
    leads = begins.astype(np.int64) - history
    one, lead = np.zeros(len(months), np.int64), np.full(len(months), history)

    def cut(columns: slice, names: list[str]) -> Sequences:
        record = Sequences(table[:, columns], [0, len(table)], times=days, channel_names=names)
        pieces = record.cut(one, leads, ends.astype(np.int64), history=lead)
        return pieces.replace(groups=months.astype("datetime64[Y]").astype(np.int64) + 1970)

    X, y = cut(slice(0, 4), header[1:5]), cut(slice(4, 5), header[5:]).without_history()
    return _dataset(entry, split, X, y, tuple(str(month) for month in months), target="Q")


_LOADERS: dict[str, Callable[[BuiltIn, Split | None], Dataset]] = {
    "japanese-vowels": _japanese_vowels,
    "basic-motions": partial(_aeon, file="BasicMotions"),
    "italy-power-demand": partial(_aeon, file="ItalyPowerDemand"),
    "gunpoint": partial(_aeon, file="GunPoint"),
    "arrow-head": partial(_aeon, file="ArrowHead"),
    "pickup-gesture": partial(_aeon, file="PickupGestureWiimoteZ"),
    "covid-3month": partial(_aeon, file="Covid3Month"),
    "cardano-sentiment": partial(_aeon, file="CardanoSentiment"),
    "digits": partial(_digits, n_steps=8),
    "digits-pixels": partial(_digits, n_steps=64),
    "spoken-digits": _spoken_digits,
    "watch": _watch,
}
