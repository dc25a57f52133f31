"""What checkpoints cost: fits of over a minute and short ones, and a search, with and without them in turns.

``python benchmarks/checkpoints.py`` writes ``results/checkpoints.csv``. Each pair begins with an empty directory; the
number of epochs is such that a fit takes as long as ``--long`` or ``--short`` says, and the same for both of a pair.
``keeping_percent`` is the time within what keeps them over the rest, in the same run: what else the machine does falls
on both alike, and disks' and caches' aftermath is not in it.
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch

from recording import cpu_model, write_rows
from throughtime import LockstepSearchCV, SequenceClassifier, fit_members
from throughtime.errors import FlowWarning
from throughtime.kernels import isa_names
from throughtime.parameters import CellName
from throughtime.training import Checkpoints
from throughtime.training.checkpoints import Keeper
from timing import paired, ratios, rested_seconds, seconds

Shape = tuple[CellName, int, int, Literal["flow"] | None]

#: cell, units, members, monitor
SHAPES: tuple[Shape, ...] = (
    ("gru", 16, 10, None),  # ten folds of a small network: an epoch is as short as a checkpoint
    ("gru", 16, 10, "flow"),
    ("lstm", 128, 10, None),  # 7 MB a checkpoint
    ("gru", 16, 200, None),
)
SERIES, TIME, CHANNELS, CLASSES = 270, 29, 12, 9
TARGET_PERCENT, TARGET_SECONDS = 2.0, 1.0
#: Of runs that take so long the percentage counts, of shorter ones the seconds.
LONG = 60.0

Training = Callable[[str | None], object]


def data() -> tuple[Any, Any]:
    """Of the size of Japanese vowels."""
    rng = np.random.default_rng(0)
    y = np.arange(SERIES) % CLASSES
    X = rng.normal(size=(SERIES, TIME, CHANNELS)).astype("float32")
    X[:, :, 0] += y[:, None]
    return X, y


def fit_of(shape: Shape, epochs: int) -> Training:
    """Members of one shape, each on nine tenths of the series."""
    (cell, units, members, monitor), (X, y) = shape, data()
    nets = [
        SequenceClassifier(
            cell=cell, hidden_size=units, max_epochs=epochs, monitor=monitor, random_state=m, early_stopping=False
        )
        for m in range(members)
    ]
    rows = [np.flatnonzero(np.arange(SERIES) % 10 != m % 10) for m in range(members)]
    return lambda directory: fit_members(nets, X, y, train_indices=rows, checkpoints=directory)


def search_of(epochs: int) -> Training:
    """Eight shapes and so groups, five folds, and the refit."""
    X, y = data()
    net = SequenceClassifier(max_epochs=epochs, random_state=0, early_stopping=False)
    grid = {"hidden_size": [8, 12, 16, 24, 32, 48, 64, 96]}
    return lambda directory: LockstepSearchCV(net, grid, cv=5, checkpoints=directory).fit(X, y)


def epochs_for(training: Callable[[int], Training], wanted: float) -> int:
    """How many take as long as is wanted."""
    epochs = 4
    while (took := seconds(partial(training(epochs), None))) < 1:
        epochs *= 2
    return max(2, round(epochs * wanted / took))


class Clock:
    """Seconds within what keeps checkpoints: digests of what is trained, looking for files, and writing them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count them in this block."""
        parts = [(Checkpoints, "keeper"), (Keeper, "resume"), (Keeper, "on_epoch")]
        real = [getattr(owner, name) for owner, name in parts]
        for (owner, name), call in zip(parts, real, strict=True):
            setattr(owner, name, self._counted(call))
        try:
            yield
        finally:
            for (owner, name), call in zip(parts, real, strict=True):
                setattr(owner, name, call)

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any) -> Any:
            begin = time.perf_counter()
            try:
                return call(*given)
            finally:
                self.seconds += time.perf_counter() - begin

        return counted


def row(name: dict[str, Any], training: Callable[[int], Training], wanted: float, rounds: int) -> dict[str, object]:
    """The cost of one, by pairs."""
    epochs = epochs_for(training, wanted)
    run = training(epochs)
    written: list[tuple[int, int]] = []

    keeping: list[float] = []

    def kept() -> None:
        with TemporaryDirectory(dir=PLACE) as directory:
            begin, clock = time.perf_counter(), Clock()
            with clock.running():
                run(directory)
            keeping.append(100 * clock.seconds / (time.perf_counter() - begin - clock.seconds))
            files = list(Path(directory).iterdir())
            written.append((len(files), max(file.stat().st_size for file in files)))

    others, plain = paired(kept, lambda: run(None), rounds, rested_seconds)
    percent = [100 * (1 / one - 1) for one in ratios(others, plain)]
    added = [one - other for one, other in zip(others, plain, strict=True)]
    long = statistics.median(plain) >= LONG
    return name | {
        "epochs": epochs,
        "seconds_without": round(statistics.median(plain), 2),
        "added_seconds": round(statistics.median(added), 3),
        "target_seconds": "" if long else TARGET_SECONDS,
        "added_percent": round(statistics.median(percent), 2),
        "low_percent": round(min(percent), 2),
        "high_percent": round(max(percent), 2),
        "target_percent": TARGET_PERCENT if long else "",
        "keeping_percent": round(statistics.median(keeping), 2),
        "files": written[-1][0],
        "largest_file_bytes": written[-1][1],
        "rounds": rounds,
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "isa": isa_names()[0],
        "torch_version": torch.__version__,
    }


def main() -> None:
    global PLACE
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", type=float, default=65, help="seconds of a long fit")
    parser.add_argument("--short", type=float, default=4, help="seconds of a short one")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of each long fit; of each short one three times")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--place", help="where directories are made: cost depends on the disk")
    parser.add_argument("--smoke", action="store_true", help="try one shape, and write nothing")
    options = parser.parse_args()
    PLACE = options.place
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", FlowWarning)
    rows = []
    for shape in SHAPES[:1] if options.smoke else SHAPES:
        cell, units, members, monitor = shape
        what = {"what": "fit", "cell": cell, "hidden_size": units, "members": members, "monitor": monitor or ""}
        for wanted, rounds in ((options.short, 3 * options.rounds), (options.long, options.rounds)):
            rows.append(row(what, partial(fit_of, shape), wanted, rounds))
            print({name: rows[-1][name] for name in list(rows[-1])[:14]}, flush=True)
    what = {"what": "search", "cell": "gru", "hidden_size": "8 to 96", "members": 41, "monitor": ""}
    for wanted in (options.short, options.long):
        rows.append(row(what, search_of, wanted, options.rounds))
        print({name: rows[-1][name] for name in list(rows[-1])[:14]}, flush=True)
    if not options.smoke:
        write_rows("checkpoints.csv", rows)


PLACE: str | None = None

if __name__ == "__main__":
    main()
