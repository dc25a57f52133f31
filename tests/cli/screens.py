"""Runs commands on screens that break: ``python screens.py CASES``, a JSON list; prints the exit codes as JSON.

One process imports what takes seconds, and is forked for each case.
"""

import io
import json
import os
import sys
import threading
from typing import Any


def screen(kind: str, descriptor: int) -> io.TextIOWrapper | None:
    """What Python makes of standard output, or error, when it starts so; the descriptor is made so too."""
    encoding = "utf-8"
    if kind == "closed":
        os.close(descriptor)
        return None
    if kind == "reader gone":
        reader, writer = os.pipe()
        os.close(reader)
    elif kind == "full":
        writer = os.open("/dev/full", os.O_WRONLY)
    elif kind == "terminal":
        person, writer = os.openpty()  # without a size: zero columns
        threading.Thread(target=read_all, args=(person,), daemon=True).start()
    elif kind == "ascii":
        encoding, writer = "ascii", os.open(os.devnull, os.O_WRONLY)
    else:
        writer = os.open(kind, os.O_WRONLY | os.O_CREAT)
    os.dup2(writer, descriptor)
    os.close(writer)
    return open(descriptor, "w", encoding=encoding, closefd=False)


def read_all(descriptor: int) -> None:
    """A terminal that nobody reads blocks whoever writes."""
    while os.read(descriptor, 2**16):
        pass


def run(words: list[str], out: str, err: str, environment: dict[str, str]) -> None:
    """Run a command and end the process, without taking Python apart: in a fork that copies all of its memory."""
    from throughtime.cli import main

    os.environ.update(environment)
    sys.stdout, sys.stderr = screen(out, 1), screen(err, 2)  # type: ignore[assignment]
    sys.argv = ["throughtime", *words]
    code: Any = 1
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def exit_code(case: dict[str, Any]) -> int:
    child = os.fork()
    if not child:
        run(case["words"], case["out"], case["err"], case.get("environment", {}))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    import throughtime.cli.compare
    import throughtime.cli.diagnose
    import throughtime.cli.flow
    import throughtime.cli.predict
    import throughtime.cli.search  # noqa: F401

    print(json.dumps([exit_code(case) for case in json.loads(sys.argv[1])]))
