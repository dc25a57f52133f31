"""A finished study: what it measured, the networks, and its way to a run on disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from throughtime import storage
from throughtime.records import Records
from throughtime.study.files import run_facts, run_files
from throughtime.study.results import Results, Table
from throughtime.study.run import Run
from throughtime.study.scores import Score, summary_of
from throughtime.study.tables import curves_of, out_of_fold_of, predictions_on_test

#: The page of a run.
REPORT = "report.html"


@dataclass(frozen=True, repr=False, eq=False)
class Study(Results):
    """What `evaluate` gives: scores beside baselines, predictions, findings, and every network that was trained.

    Beside the attributes of `Results`, tables are columns by name (``pandas.DataFrame(study.curves)``).
    """

    @cached_property
    def curves(self) -> Table:
        """Every epoch of every network: ``seed``, ``fold`` (a number as text, or "refit") and `EpochRecord`."""
        return curves_of(self)

    @cached_property
    def out_of_fold(self) -> Table | None:
        """Every target of the training series, predicted by the networks that did not train on it."""
        return out_of_fold_of(self)

    @cached_property
    def test_predictions(self) -> Table | None:
        """Every target of the test series; ``None`` without any."""
        return predictions_on_test(self)

    @property
    def scores(self) -> Records[Score]:
        """Mean scores by metric and model, with the interval of the validation score."""
        return summary_of(self.metrics)

    def save(self, directory: str | Path, *, report: Callable[[Run], bytes] | None = None) -> None:
        """Write the run that ``throughtime fit`` would write, whole or not at all; `Run.open` reads it.

        Parameters
        ----------
        directory
            New; missing parents are made.
        report
            What makes a page of the run, which becomes its ``report.html``, such as ``throughtime.report.run_page``.

        Raises
        ------
        StorageError
            When the directory exists or cannot be written; nothing is left behind.
        """
        directory, files, facts = Path(directory), run_files(self), run_facts(self.estimator)
        try:
            if report is not None:
                files[REPORT] = page_of(self, directory, files, facts, report)
        finally:  # networks are worth keeping though their page could not be made
            storage.write_run(directory, files, facts)

    def _repr_html_(self) -> str:
        return f"<div>{escape(self._title())}{self.scores._repr_html_()}</div>"

    def __repr__(self) -> str:
        return f"{self._title()}\n{self.scores!r}"

    def _title(self) -> str:
        folds = f"{len(self.splits)} fold{'s' if len(self.splits) > 1 else ''}"
        test = "" if self.test is None else f", {len(self.test.X)} test series"
        leaks = [finding.code for finding in self.findings if finding.verdict == "found"]
        leakage = f", found {', '.join(leaks)}" if leaks else ", no leakage found"
        return f"Study of {self.config['source']}: {len(self.train.X)} series, {folds}{test}{leakage}"


def page_of(
    finished: Results,
    directory: Path,
    files: Mapping[str, bytes],
    facts: Mapping[str, Any],
    report: Callable[[Run], bytes],
) -> bytes:
    """The page of a run that is about to be written to a directory, made of its files."""
    model = finished.estimator
    own_cell = None if isinstance(model.cell, str) else model.cell
    return report(Run(storage.unwritten_run(directory, files, facts), model.module, own_cell))
