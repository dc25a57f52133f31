"""Whether new series come from another distribution than the training series, which shift it is, and its cure.

*Covariate* shift moves p(x) and keeps p(y given x); *label* shift moves p(y) and keeps p(x given y); *concept* shift
moves p(y given x).
"""

from throughtime.shift.calibration import Calibration, calibrate, calibrated
from throughtime.shift.column_names import target_names
from throughtime.shift.concept import concept_test, target_given_series_test
from throughtime.shift.correction import Candidate, Correction, correct
from throughtime.shift.diagnosis import diagnose_shift
from throughtime.shift.embedding import take
from throughtime.shift.priors import PriorEstimate, bbse_priors, em_priors, estimate_priors, floored
from throughtime.shift.records import (
    ChannelShift,
    ClassShift,
    Embedding,
    NamedShift,
    Reference,
    ShiftDiagnosis,
    ShiftTest,
    ShiftVerdict,
    StretchShift,
    plural_of,
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
from throughtime.shift.weighted_validation import WeightedMean, weighted_cross_validation, weighted_mean
from throughtime.shift.weights import CovariateWeights, covariate_weights, effective_size
from throughtime.shift.within_targets import series_given_target_test

__all__ = [
    "Calibration",
    "Candidate",
    "ChannelShift",
    "ClassShift",
    "Correction",
    "CovariateWeights",
    "Embedding",
    "NamedShift",
    "PriorEstimate",
    "Reference",
    "ShiftDiagnosis",
    "ShiftTest",
    "ShiftVerdict",
    "StretchShift",
    "WeightedMean",
    "bbse_priors",
    "calibrate",
    "calibrated",
    "classifier_two_sample_test",
    "concept_test",
    "correct",
    "covariate_test",
    "covariate_weights",
    "diagnose_shift",
    "effective_size",
    "em_priors",
    "embed",
    "estimate_priors",
    "floored",
    "mean_shift_test",
    "mmd_test",
    "output_test",
    "plural_of",
    "predicted_class_test",
    "reference_of",
    "series_given_target_test",
    "summarize",
    "take",
    "target_given_series_test",
    "target_names",
    "target_test",
    "weighted_cross_validation",
    "weighted_mean",
]
