"""The settings that a search tried, and which one this run is of."""

from collections.abc import Sequence

import numpy as np

from throughtime.displays import SearchDisplay
from throughtime.generalization import corrected_errors
from throughtime.report.parts import Absent, Line, Part, Table
from throughtime.report.subject import Subject
from throughtime.report.svg import figure_of
from throughtime.study import Run, score_number, value_in_words
from throughtime.study import Table as Columns

#: Of a longer ranking the best.
MOST_ROWS = 20


def search_ranking(subject: Subject) -> Sequence[Part]:
    """The ranking, and a figure where one or two parameters vary."""
    run = subject.run
    found = run.search
    if found is None:
        return [Absent("No settings were searched.", "throughtime search SOURCE --grid GRID.toml")]
    metric = run.config["scoring"][0]
    means = np.asarray(found[f"mean_test_{metric}"], float)
    errors = corrected_errors(found, metric=metric)
    settings = _settings(found)
    chosen = _chosen(run, settings)
    order = np.argsort(np.asarray(found[f"rank_test_{metric}"]), kind="stable")[:MOST_ROWS]
    names = [name for name in settings[0] if len({value_in_words(one[name]) for one in settings}) > 1] or list(
        settings[0]
    )
    rows = [
        (
            str(found[f"rank_test_{metric}"][k]),
            *(value_in_words(settings[k][name]) for name in names),
            score_number(float(means[k]), metric),
            score_number(float(errors[k]), metric),
            "chosen" if k == chosen else "-",
        )
        for k in order
    ]
    parts: list[Part] = []
    if len(names) in (1, 2):
        varied = [{name: one[name] for name in names} for one in settings]
        display = SearchDisplay(varied, means, errors, metric, chosen)
        words = f"The best mean {metric} of {len(settings)} settings is {score_number(float(np.nanmax(means)), metric)}"
        parts.append(figure_of(display.plot, display.figsize, f"{metric} by setting", f"{words}.", f"{words}."))
    tested = "" if run.test_predictions is None else "; that of the test series is not"
    more = f", the {MOST_ROWS} best of {len(settings)}" if len(settings) > len(rows) else ""
    head = ("rank", *names, f"mean {metric}", "standard error", "choice")
    return [
        *parts,
        Table(f"Settings{more}", head, tuple(rows)),
        Line(
            f"The setting was chosen on these folds, so its score on them is optimistic{tested}.",
            "quiet",
        ),
    ]


def _settings(found: Columns) -> list[dict[str, object]]:
    """The parameters of every setting."""
    columns = {name.removeprefix("param_"): found[name].tolist() for name in found if name.startswith("param_")}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _chosen(run: Run, settings: Sequence[dict[str, object]]) -> int | None:
    """The setting whose parameters are the run's."""
    own = {name: value_in_words(value) for name, value in run.config["parameters"].items()}
    for k, setting in enumerate(settings):
        if all(own.get(name) == value_in_words(value) for name, value in setting.items()):
            return k
    return None
