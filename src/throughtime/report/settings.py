"""What was asked for, what the data held, and what wrote the run: all that is needed to do it again."""

from collections.abc import Sequence

from throughtime.parameters import SCHEMAS, declared
from throughtime.report.description import Target, described
from throughtime.report.parts import Facts, Line, Part
from throughtime.report.subject import Subject
from throughtime.study import value_in_words

#: Parameters that have no part in what was made.
_SAYS_NOTHING = {"verbose"}
#: Of more channels or classes the first are named.
MOST_NAMES = 20


def data(subject: Subject) -> Sequence[Part]:
    """The series that were trained on."""
    run = subject.run
    facts = described(run)
    if facts is None:
        return [Line("This run, of an early version, does not describe its data.", "quiet")]
    low, middle, high = (f"{steps:g}" for steps in (facts.lengths.minimum, facts.lengths.median, facts.lengths.maximum))
    rows = [
        ("source", run.config["source"]),
        ("series", str(facts.n_series)),
        ("steps per series", low if low == high else f"{low} to {high}, median {middle}"),
        ("channels", f"{len(facts.channels)}: {_some(facts.channels)}"),
    ]
    if facts.n_static:
        rows.append(("static features", str(facts.n_static)))
    if facts.n_groups is not None:
        rows.append(("groups", str(facts.n_groups)))
    if facts.first_time is not None:
        rows.append(("times", f"{_time(facts.first_time)} to {_time(facts.last_time)}"))
    if facts.missing is not None:
        rows.append(("values missing", f"{facts.missing:.2%}" if facts.missing else "none"))
    rows += _target(facts.target)
    rows += [(f"SHA-256 of {name}", mark) for name, mark in sorted((run.data.fingerprint or {}).items())]
    return [Facts(tuple(rows))]


def settings(subject: Subject) -> Sequence[Part]:
    """The network, its training, versions and files."""
    run = subject.run
    parameters = {name: value for name, value in run.config["parameters"].items() if name not in _SAYS_NOTHING}
    options = declared(SCHEMAS[run.config["task"]])
    usual = {name: options[name].option.default if name in options else None for name in parameters}
    changed = [name for name in parameters if parameters[name] != usual[name]]
    rest = [f"{name} {value_in_words(parameters[name])}" for name in parameters if name not in changed]
    rows = tuple((name, value_in_words(parameters[name])) for name in changed)
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items() if version)
    facts = [(name.replace("_", " "), value_in_words(value)) for name, value in run.facts.items() if name != "python"]
    written = [("written", run.created), ("versions", versions), *facts]
    return [
        Facts((("task", run.config["task"]), ("scored by", ", ".join(run.config["scoring"])), *rows)),
        Line(f"At their defaults: {', '.join(rest)}.", "quiet"),
        Facts(tuple(written)),
    ]


def _target(target: Target | None) -> list[tuple[str, str]]:
    if target is None:
        return []
    rows = [] if target.name is None else [("target", target.name)]
    if target.counts is not None:
        rows.append(("classes", _some([f"{label} {count}" for label, count in target.counts.items()])))
    known = [value for value in (target.mean, target.sd, target.minimum, target.maximum) if value is not None]
    if len(known) == 4:
        mean, sd, low, high = (f"{value:.4g}" for value in known)
        rows.append(("target values", f"mean {mean}, sd {sd}, {low} to {high}"))
    return rows


def _time(time: float | str | None) -> str:
    return f"{time:.10g}" if isinstance(time, float) else str(time)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")
