"""Whether new series come from another distribution than the training series, which shift it is, and its cure.

*Covariate* shift moves p(x) and keeps p(y given x); *label* shift moves p(y) and keeps p(x given y); *concept* shift
moves p(y given x).
"""

from throughtime.shift.records import (
    ChannelShift,
    ClassShift,
    Embedding,
    Reference,
    ShiftDiagnosis,
    ShiftTest,
    ShiftVerdict,
    StretchShift,
)
from throughtime.shift.reference import embed, reference_of
from throughtime.shift.summaries import summarize

__all__ = [
    "ChannelShift",
    "ClassShift",
    "Embedding",
    "Reference",
    "ShiftDiagnosis",
    "ShiftTest",
    "ShiftVerdict",
    "StretchShift",
    "embed",
    "reference_of",
    "summarize",
]
