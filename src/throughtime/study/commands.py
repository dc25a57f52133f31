"""The command that gives a run again, as it would be typed."""

import shlex
from collections.abc import Mapping
from typing import Any

from throughtime.parameters import COMMAND_DEFAULTS, SCHEMAS, declared


def command_of(settings: Mapping[str, Any], **otherwise: Any) -> str:
    """The command that gives a run of these settings, some of them otherwise.

    Parameters
    ----------
    settings
        The ``config`` of a run.
    **otherwise
        Flags by name that are to have another value.
    """
    flags: dict[str, Any] = {name: settings[name] for name in ("test", "split", "cv", "seeds")}
    flags["task"] = settings["task"]
    columns = settings["columns"]
    flags |= {name: columns[name] for name in ("id", "time", "target", "group")}
    flags |= {name: ",".join(columns[name]) for name in ("static", "channels") if columns[name]}
    unusual = (("target_kind", "auto"), ("decimal", "."), ("targets", "drop"), ("history", 0))
    for name, usual in (*unusual, ("window", None), ("stride", columns.get("window"))):
        if columns.get(name, usual) != usual:
            flags[name] = columns[name]
    if flags["seeds"] == 1:
        del flags["seeds"]
    known = declared(SCHEMAS[settings["task"]])
    for name, value in settings["parameters"].items():
        if name in known and value != COMMAND_DEFAULTS.get(name, known[name].option.default):
            flags[name] = "none" if value is None else value
    flags |= {name: value for name, value in otherwise.items() if name != "scoring"}
    words = ["throughtime", "fit", str(settings["source"])]
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, Mapping):
            words += [flag, ",".join(f"{label}={weight}" for label, weight in value.items())]
        elif value is not None:
            words += [flag, str(value)]
    for name in otherwise.get("scoring", settings["scorers"]) or ():
        words += ["--scoring", name]
    return shlex.join(words)
