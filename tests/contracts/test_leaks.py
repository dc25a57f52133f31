"""Nothing is left behind: after many fits a process has the memory, the files and the threads that it had before."""

import gc
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from throughtime import LockstepSearchCV, SequenceClassifier, cross_validate, fit_members
from throughtime.training import FlowMonitor, MetricLog

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process holds"),
    pytest.mark.usefixtures("types_unchecked"),
]

SOAK = "THROUGHTIME_SOAK" in os.environ

X = np.random.default_rng(0).normal(size=(20, 500, 2))
Y = np.arange(20) % 2
NET = SequenceClassifier(hidden_size=4, max_epochs=1, random_state=0, cell="rnn")

#: A thousand fits may take 8 MB more; of a few, not even half of each one's series may stay.
TIMES = 1000 if SOAK else 30
MOST_BYTES = 8 * 2**20 if SOAK else TIMES * X.nbytes // 2


def held() -> tuple[int, list[str], list[threading.Thread]]:
    """Resident bytes, open files and threads."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = [os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd") if _is_open(number)]
    return pages * os.sysconf("SC_PAGE_SIZE"), sorted(files), threading.enumerate()


def _is_open(number: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{number}")


def fit(_: Path) -> None:
    NET.fit(X, Y)


def fit_and_predict(_: Path) -> None:
    NET.fit(X + 0.0, Y).predict_proba(X + 0.0)


def save_and_load(path: Path) -> None:
    NET.fit(X, Y).save(path / "net")
    SequenceClassifier.load(path / "net").predict(X)
    shutil.rmtree(path / "net")


def watch(path: Path) -> None:
    (path / "log").unlink(missing_ok=True)
    fit_members([NET, NET], X + 0.0, Y, observers=[MetricLog(path / "log"), FlowMonitor(warn=False)])


def cross_validation(_: Path) -> None:
    cross_validate(NET, X, Y, cv=2, return_estimator=True)


def search_with_checkpoints(path: Path) -> None:
    LockstepSearchCV(NET, {"lr": [0.01, 0.1]}, cv=2, checkpoints=path / "kept").fit(X, Y)
    shutil.rmtree(path / "kept")


def refused(_: Path) -> None:
    with pytest.raises(ValueError, match="finite"):
        NET.fit(np.where(X > 0, np.inf, X), Y)


@pytest.mark.parametrize(
    "work", [fit, fit_and_predict, save_and_load, watch, cross_validation, search_with_checkpoints, refused]
)
def test_many_fits_leave_no_memory_no_file_and_no_thread(work: Callable[[Path], None], tmp_path: Path) -> None:
    for _ in range(10):  # pools of memory and of threads fill
        work(tmp_path)
    more = []
    for _ in range(1 if SOAK else 4):  # what leaks does so each time; a heap that others left in pieces fills once
        memory, files, threads = held()
        for _ in range(TIMES):
            work(tmp_path)
        after, files_after, threads_after = held()
        assert files_after == files
        assert threads_after == threads
        more.append(after - memory)
        if more[-1] <= MOST_BYTES:
            break
    assert more[-1] <= MOST_BYTES, f"{[f'{one / 2**20:.1f} MB' for one in more]} more"
