"""``fit`` and ``search`` killed at random instants and gone on with: the run of an unbroken one, byte for byte.

``python benchmarks/kills.py --kills 1000`` trains in forks of one process, kills each by SIGKILL after a random time,
lets ``throughtime resume`` do the rest (kills that too, every fourth time), and compares the run with an unbroken one.
``results/kills.csv``.
"""

import argparse
import hashlib
import json
import mmap
import os
import random
import re
import select
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recording import cpu_model, write_rows
from throughtime import generalization
from throughtime.cli import run_in_progress
from throughtime.cli.fit import fit
from throughtime.cli.resume import resume
from throughtime.cli.search import search
from throughtime.storage import MANIFEST, is_unfinished, read_run
from throughtime.study import assessment, files
from throughtime.training import Checkpoints, checkpoints

FLAGS = {"hidden_size": "4", "verbose": "0"}
#: Seconds of the columns of a search, by the ends of their names.
TIMES = re.compile(r"(mean|std)_(fit|score)_time")
#: What a child tells its parent: the time of the state that was kept last, whether networks train, and how many seconds
#: apart checkpoints may be: the longest epoch, or so many times what the longest write took.
BOARD = struct.Struct("ddd")


def main() -> None:
    """Kill, resume, compare; print and write a row per command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="of each command half [1000]")
    parser.add_argument("--every", type=float, default=0.2, help="seconds between two checkpoints [0.2]")
    parser.add_argument("--epochs", type=int, default=400, help="of every network [400]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="without pictures, and with one baseline")
    parser.add_argument("--results", default="kills.csv", help="file among the results, or a path [kills.csv]")
    given = parser.parse_args()
    torch.set_num_threads(1)  # a fork has no other threads
    run_in_progress.CHECKPOINT_EVERY = given.every
    if given.quick:
        baselines_for = generalization.baselines_for
        vars(assessment)["baselines_for"] = lambda *data, **more: baselines_for(*data, **more)[:1]
        vars(files)["_drawn"] = lambda *_: b"PNG"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rng = np.random.default_rng(0)
        y = np.arange(24) % 2
        np.savez(place / "data.npz", X=rng.normal(size=(24, 6, 2)) + 0.3 * y[:, None, None], y=y)
        (place / "grid.toml").write_text("lr = [0.001, 0.05]\n")
        os.chdir(place)
        flags = FLAGS | {"max_epochs": str(given.epochs)}
        commands: dict[str, Callable[[Path], Any]] = {
            "fit": lambda out: fit("data.npz", {}, {"cv": "3"}, flags, out=out, report=not given.quick),
            "search": lambda out: search(
                "data.npz", Path("grid.toml"), {}, {"cv": "3"}, flags, out=out, report=not given.quick
            ),
        }
        fit(
            "data.npz", {}, {"cv": "3"}, FLAGS | {"max_epochs": "1"}, out=place / "first", report=False
        )  # what forks need not load
        for name, command in commands.items():
            rows.append(struck(name, command, place, given.kills // 2, given))
            print("; ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    write_rows(given.results, rows)
    sys.exit(any(row["identical"] != row["kills"] or row["unreadable"] or row["leftovers"] for row in rows))


def struck(name: str, command: Callable[[Path], Any], place: Path, kills: int, given: Any) -> dict[str, Any]:
    """The row of one command."""
    draw = random.Random(f"{name} {given.seed}")
    whole = place / f"{name}-whole"
    begin = time.monotonic()
    assert child(lambda: command(whole), None)[0], f"{name} fails"
    seconds = time.monotonic() - begin
    expected = contents(whole)
    found: Counter[str] = Counter()
    largest = allowed = 0.0
    for number in range(kills):
        out = place / f"{name}-{number}"
        again = 0
        ended, lost, may_be = child(partial(command, out), draw.uniform(0, seconds))
        while True:
            largest, allowed = max(largest, lost), max(allowed, may_be)
            found["strikes"] += not ended
            if not again:
                found["ended before" if ended else "begun" if out.exists() else "not begun"] += 1
            again += 1
            try:
                if out.exists() and not is_unfinished(out):
                    read_run(out)
            except Exception as error:  # whatever it is, it is to be counted
                print(f"{out}: {error!r}")
                found["unreadable"] += 1
            go_on = partial(resume if out.exists() else command, out)
            strike = draw.uniform(0, seconds) if again < 3 and not draw.randrange(4) else None
            ended, lost, may_be = child(go_on, strike)
            if strike is None:
                break
        found["identical"] += ended and contents(out) == expected
        found["leftovers"] += out.exists() and sorted(os.listdir(out)) != sorted(os.listdir(whole))
        shutil.rmtree(out, ignore_errors=True)
    hidden = [path for path in place.iterdir() if path.name.startswith(".")]
    for path in hidden:
        shutil.rmtree(path, ignore_errors=True)
    return {
        "command": name,
        "kills": kills,
        "strikes": found["strikes"],
        "identical": found["identical"],
        "not_begun": found["not begun"],
        "ended_before": found["ended before"],
        "unreadable": found["unreadable"],
        "leftovers": found["leftovers"],
        "hidden": len(hidden),
        "largest_loss_s": round(largest, 3),
        "allowed_loss_s": round(max(allowed, given.every), 3),
        "every_s": given.every,
        "seconds_unbroken": round(seconds, 2),
        "cpu": cpu_model(),
        "torch": metadata.version("torch"),
        "throughtime": metadata.version("throughtime"),
    }


def child(work: Callable[[], Any], after: float | None) -> tuple[bool, float, float]:
    """Work in a fork, killed after some seconds.

    Returns
    -------
    Whether it came to its end; the seconds of training that were lost; those that may be, beside ``--every``.
    """
    board = mmap.mmap(-1, BOARD.size)
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        code = 1
        try:
            os.close(reader)
            tell(board)
            with open(os.devnull, "w") as silent:
                sys.stdout = silent
                work()
            code = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(code)
    os.close(writer)
    select.select([reader], [], [], after)  # which the child's end closes
    struck_at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(reader)
    kept, training, allowed = BOARD.unpack(board[:])
    return status == 0, struck_at - kept if status and training else 0.0, allowed


def tell(board: mmap.mmap) -> None:
    """Write on a board, which the parent sees, what is kept of the training of this process."""
    save, resumed, on_epoch = Checkpoints.save, checkpoints.Keeper.resume, checkpoints.Keeper.on_epoch
    last = 0.0

    def write(**values: float) -> None:
        now = dict(zip(("kept", "training", "allowed"), BOARD.unpack(board[:]), strict=True)) | values
        board[:] = BOARD.pack(*now.values())

    def allow(seconds: float) -> None:
        write(allowed=max(BOARD.unpack(board[:])[2], seconds))

    def keep(self: Checkpoints, *arguments: Any, **more: Any) -> None:
        state_of = time.monotonic()
        save(self, *arguments, **more)
        allow(checkpoints.TIMES_ITS_COST * (time.monotonic() - state_of))
        write(kept=state_of)

    def begin(self: Any) -> Any:
        nonlocal last
        state = resumed(self)
        last = time.monotonic()
        write(kept=last, training=1.0)
        return state

    def epoch(self: Any, state: Any) -> None:
        nonlocal last
        allow(time.monotonic() - last)
        on_epoch(self, state)
        last = time.monotonic()
        if not state.running:
            write(training=0.0)

    for owner, name, method in (
        (Checkpoints, "save", keep),
        (checkpoints.Keeper, "resume", begin),
        (checkpoints.Keeper, "on_epoch", epoch),
    ):
        setattr(owner, name, method)


def contents(run: Path) -> dict[str, str]:
    """The SHA-256 of every file of a run, without what says how long it took."""
    try:
        opened = read_run(run)
    except OSError:
        return {}
    found = {}
    for name in opened.manifest.files:
        content = opened.bytes(name)
        if name == "config.json":
            value = json.loads(content)
            value.pop("seconds")
            (value.get("search") or {}).pop("seconds", None)
            content = json.dumps(value).encode()
        if name == "search.csv":
            lines = [line.split(",") for line in content.decode().splitlines()]
            timed = [place for place, title in enumerate(lines[0]) if TIMES.fullmatch(title.strip('"'))]
            content = repr([[cell for n, cell in enumerate(line) if n not in timed] for line in lines]).encode()
        if name.endswith(".jsonl"):
            content = re.sub(rb', "time": [^}]*}', b"}", content)
        if name == "report.html":  # a page says when and how long
            content = b""
        found[name] = hashlib.sha256(content).hexdigest()
    assert MANIFEST not in found
    return found


if __name__ == "__main__":
    main()
