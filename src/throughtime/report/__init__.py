"""What a person reads: one HTML page of a run, or of two side by side, that runs nothing and loads nothing."""

from throughtime.report.comparison import PAIR_SECTIONS, Pair, comparison_page, write_comparison
from throughtime.report.found_afterwards import subject_of
from throughtime.report.page import built, page_of, rendered, run_page, write_report
from throughtime.report.parts import Absent, Facts, Figure, Findings, Line, Part, Section, SectionBuilder, Table, Tone
from throughtime.report.sections import SECTIONS
from throughtime.report.subject import Subject
from throughtime.report.svg import figure_of, inline_svg

__all__ = [
    "PAIR_SECTIONS",
    "SECTIONS",
    "Absent",
    "Facts",
    "Figure",
    "Findings",
    "Line",
    "Pair",
    "Part",
    "Section",
    "SectionBuilder",
    "Subject",
    "Table",
    "Tone",
    "built",
    "comparison_page",
    "figure_of",
    "inline_svg",
    "page_of",
    "rendered",
    "run_page",
    "subject_of",
    "write_comparison",
    "write_report",
]
