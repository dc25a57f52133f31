"""A run with what was found of it afterwards, read from the directories of ``diagnose --out`` and ``shift --out``."""

from pathlib import Path

from throughtime.errors import ParameterError
from throughtime.report.subject import Subject
from throughtime.study import Run, read_diagnosis, read_shift, saved_config

#: Parameters that say nothing of what a network is: a diagnosis may differ in them.
_ASIDE = {"random_state", "verbose", "device", "monitor"}


def subject_of(run: Run, diagnosis: Path | None = None, shift: Path | None = None) -> Subject:
    """Put together what a page is of.

    Raises
    ------
    StorageError
        If a directory is not what it is given as, or a file is missing or damaged.
    ParameterError
        For a diagnosis of other data, or of a network with other settings.
    """
    found = None if diagnosis is None else read_diagnosis(diagnosis)
    if diagnosis is not None:
        _check_same(run, diagnosis)
    if shift is None:
        return Subject(run, found)
    compared = saved_config(shift)
    name = Path(compared.run or "").name
    other = "" if name == run.directory_name else f", compared with run {name}"
    return Subject(run, found, read_shift(shift), f"{compared.source}{other}")


def _check_same(run: Run, directory: Path) -> None:
    of = saved_config(directory)
    need = f"--diagnosis needs what diagnose wrote of {run.directory}"
    if of.source != run.config["source"]:
        raise ParameterError(f"{need}, of {run.config['source']}, got {directory}, of {of.source}")
    known = run.data.fingerprint or {}
    if any(known.get(part, it) != it for part, it in (of.fingerprint or {}).items()):
        raise ParameterError(f"{need}, got {directory}, of other series in {of.source}: it has changed between the two")
    own, others = run.config["parameters"], of.parameters or {}
    for name in own.keys() & others.keys() - _ASIDE:
        if own[name] != others[name]:
            raise ParameterError(f"{need}, with {name} {own[name]}, got {directory}, with {name} {others[name]}")
