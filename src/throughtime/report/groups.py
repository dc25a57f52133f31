"""Scores of each group, where the series have groups: whom the network serves worse."""

from collections.abc import Sequence

import numpy as np

from throughtime.report.parts import Absent, Line, Part, Table
from throughtime.report.subject import Subject
from throughtime.report.target_losses import losses_of_targets
from throughtime.study import number

#: Of more groups the worst are listed.
MOST_ROWS = 20


def groups(subject: Subject) -> Sequence[Part]:
    """A table, the worst group first."""
    run = subject.run
    table = run.out_of_fold
    if table is None:
        return [Line("No fold has predictions.", "quiet")]
    if "group" not in table:
        if run.config["columns"]["group"] is not None:
            return [
                Absent(
                    "This run, of an early version, does not say which group a prediction is of.",
                    "throughtime fit SOURCE",
                )
            ]
        return [Absent("The series have no groups.", "throughtime fit SOURCE --group COLUMN")]
    found = losses_of_targets(run, table)
    names, members = np.unique(table["group"].astype(str), return_inverse=True)
    means = np.bincount(members, found.losses) / np.bincount(members)
    rows = []
    for k in np.argsort(-means, kind="stable")[:MOST_ROWS]:
        own = members == k
        truth, predicted = table["truth"][own], table["prediction"][own]
        scores: tuple[str, ...]
        if found.truths is not None:
            scores = (f"{np.mean(truth == predicted):.1%}",)
        else:
            error = predicted.astype(float) - truth.astype(float)
            scores = (number(float(np.sqrt((error**2).mean()))), number(float(error.mean())))
        n_series = len(np.unique(table["series"][own].astype(str)))
        rows.append((str(names[k]), str(n_series), str(own.sum()), *scores, number(float(means[k]))))
    of_task = ("right",) if found.truths is not None else ("root mean square error", "mean error")
    head = ("group", "series", "predictions", *of_task, f"mean {found.name}")
    more = f"the {MOST_ROWS} worst of {len(names)} groups" if len(names) > MOST_ROWS else f"{len(names)} groups"
    parts: list[Part] = [Table(f"Series held out, {more}, the worst first", head, tuple(rows))]
    spread = f"Mean {found.name} goes from {number(float(means.min()))} to {number(float(means.max()))}"
    return [*parts, Line(f"{spread} over the groups.", "quiet")]
