"""``throughtime resume``: go on with a run that was stopped, as its command would have."""

from pathlib import Path

from throughtime import storage
from throughtime.cli import diagnose, fit, search
from throughtime.cli.command_request import Command, CommandRequest
from throughtime.cli.screen import as_typed, console

_COMMANDS = {"fit": fit.go_on, "search": search.go_on, "diagnose": diagnose.go_on}


def resume(directory: Path, source: str | None = None, test: str | None = None) -> None:
    """Do what is left of a run; nothing where it is finished.

    Parameters
    ----------
    source, test
        Where the data are now; by default where they were.

    Raises
    ------
    StorageError
        When there is no run, it is damaged, or another process is writing it.
    DataError, ParameterError
        When the data or the plan are not those that it was begun with.
    """
    found = storage.resume_run(directory)
    if isinstance(found, storage.Run):
        console().print(f"{as_typed(directory)} is finished; there is nothing to resume", soft_wrap=True)
        return
    with found as run:
        asked = CommandRequest.from_plain(run.request.asked, directory)
        command: Command = asked.command
        _COMMANDS[command](run, asked.with_sources(source, test))
