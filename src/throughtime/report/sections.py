"""The sections of the page of one run, in their order."""

from throughtime.report.all_findings import all_findings
from throughtime.report.diagnosis import diagnosis
from throughtime.report.gradients import gradients
from throughtime.report.groups import groups
from throughtime.report.learning import learning
from throughtime.report.parts import SectionBuilder
from throughtime.report.predictions import predictions
from throughtime.report.score_tables import scores
from throughtime.report.search_ranking import search_ranking
from throughtime.report.settings import data, settings
from throughtime.report.shift import shift
from throughtime.report.splits import splits
from throughtime.report.subject import Subject
from throughtime.report.unrolled import unrolled
from throughtime.report.verdict import verdict
from throughtime.report.worst import worst

#: Whoever adds a section puts it here.
SECTIONS: tuple[SectionBuilder[Subject], ...] = (
    SectionBuilder("verdict", "Verdict", verdict),
    SectionBuilder("scores", "Scores", scores),
    SectionBuilder("learning", "Learning and folds", learning),
    SectionBuilder("predictions", "Predictions", predictions),
    SectionBuilder("worst", "Worst series", worst),
    SectionBuilder("groups", "Groups", groups),
    SectionBuilder("search", "Search", search_ranking),
    SectionBuilder("diagnosis", "Diagnosis", diagnosis),
    SectionBuilder("shift", "Shift", shift),
    SectionBuilder("gradients", "Gradients through time", gradients),
    SectionBuilder("unrolled", "Unrolled network", unrolled),
    SectionBuilder("splits", "Splits and leakage", splits),
    SectionBuilder("findings", "Findings", all_findings),
    SectionBuilder("data", "Data", data),
    SectionBuilder("settings", "Settings and versions", settings),
)
