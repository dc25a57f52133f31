"""Whether new series come from another distribution than the training series, which shift it is, and its cure.

*Covariate* shift moves p(x) and keeps p(y given x); *label* shift moves p(y) and keeps p(x given y); *concept* shift
moves p(y given x).
"""

from throughtime.shift.calibration import Calibration, calibrate, calibrated
from throughtime.shift.priors import PriorEstimate, bbse_priors, em_priors, estimate_priors, floored
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
from throughtime.shift.two_samples import (
    classifier_two_sample_test,
    covariate_test,
    mean_shift_test,
    mmd_test,
    output_test,
    predicted_class_test,
    target_test,
)

__all__ = [
    "Calibration",
    "ChannelShift",
    "ClassShift",
    "Embedding",
    "PriorEstimate",
    "Reference",
    "ShiftDiagnosis",
    "ShiftTest",
    "ShiftVerdict",
    "StretchShift",
    "bbse_priors",
    "calibrate",
    "calibrated",
    "classifier_two_sample_test",
    "covariate_test",
    "em_priors",
    "embed",
    "estimate_priors",
    "floored",
    "mean_shift_test",
    "mmd_test",
    "output_test",
    "predicted_class_test",
    "reference_of",
    "summarize",
    "target_test",
]
