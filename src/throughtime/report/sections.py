"""The sections of the page of one run, in their order."""

from throughtime.report.learning import learning
from throughtime.report.parts import SectionBuilder
from throughtime.report.score_tables import scores
from throughtime.report.subject import Subject
from throughtime.report.verdict import verdict

#: Whoever adds a section puts it here.
SECTIONS: tuple[SectionBuilder[Subject], ...] = (
    SectionBuilder("verdict", "Verdict", verdict),
    SectionBuilder("scores", "Scores", scores),
    SectionBuilder("learning", "Learning", learning),
)
