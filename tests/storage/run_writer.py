"""Writes a run and is killed on the way, again and again: ``python run_writer.py PLACE KILLS``.

One process trains once, and is forked for each attempt.  An attempt is killed before or after a call to the system that
changes the disk, the calls in turn; so every instant that can be told from others on the disk is met.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What changes the disk; each is patched in the fork alone.
CALLS = ("mkdir", "rmdir", "fsync", "replace", "rename", "unlink")


def killed_at(instant: int) -> Callable[[], int]:
    """Let this process end at a call's beginning or end, counted together; gives how many there were."""
    seen = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **keywords: Any) -> Any:
            step()
            result = call(*arguments, **keywords)
            step()
            return result

        return run

    def step() -> None:
        nonlocal seen
        if seen == instant:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    return lambda: seen


def attempt(write: Callable[[Path], None], out: Path, instant: int) -> int:
    """How a fork ended: the count of instants, or killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        count = killed_at(instant)
        write(out)
        os.write(writer, str(count()).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as told:
        count_told = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == (0 if count_told else -signal.SIGKILL), status
    return int(count_told or -1)


def main(place: Path, kills: int) -> None:
    """Count the instants of one attempt, and strike so many of them, evenly spread from the first to the last."""
    from throughtime import storage, study
    from throughtime.cli.command_request import CommandRequest
    from throughtime.cli.plan import plan_of, tables_of

    flags = {"hidden_size": "2", "max_epochs": "2", "verbose": "0"}
    tables = tables_of({"id": "series", "target": "label"}, {"cv": "2"}, flags, None)
    plan = plan_of(CommandRequest("fit", str(place / "table.csv"), None, tables))
    files, facts = study.run_files(study.train(plan)), study.run_facts(plan.model)

    def write(out: Path) -> None:
        storage.claim(out)
        storage.write_run(out, files, facts)

    (place / "runs").mkdir()  # or the first attempt would have more instants than the others
    instants = attempt(write, place / "runs" / "whole", -1)
    for number in range(kills):
        found = attempt(write, place / "runs" / f"{number}", number * (instants - 1) // (kills - 1))
        assert found == -1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
