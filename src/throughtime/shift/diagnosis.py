"""Which shift, if any, lies between a reference and deployed series: the tests, the name, and what moved."""

from collections.abc import Callable
from dataclasses import replace
from numbers import Integral
from typing import Any, TypeVar

import numpy as np

from throughtime.data import Dataset
from throughtime.errors import DataError, ParameterError
from throughtime.findings import NotApplicable, run_checks
from throughtime.records import Records
from throughtime.shift.arguments import check_seed, groups_of
from throughtime.shift.column_names import output_names
from throughtime.shift.concept import concept_test, is_of_classes, target_given_series_test
from throughtime.shift.embedding import check_summaries
from throughtime.shift.explanations import explanations
from throughtime.shift.findings import checks_of_tests
from throughtime.shift.levels import check_level, check_permutations
from throughtime.shift.moved import channel_shifts, class_shifts_of, stretch_shifts, target_shifts
from throughtime.shift.naming import adjusted, name_shift, name_without_labels
from throughtime.shift.priors import PriorEstimate, estimate_priors
from throughtime.shift.quality import REFERENCE_CHECKS, SUFFICIENCY_CHECKS
from throughtime.shift.records import ClassShift, Embedding, Reference, ShiftDiagnosis, ShiftTest, ShiftVerdict
from throughtime.shift.reference import check_reference, embed
from throughtime.shift.sentences import insufficient_sentence, sentence_of
from throughtime.shift.sides import LEAST_PERMUTATIONS, sides_of, warn_of_groups
from throughtime.shift.two_samples import covariate_test, mean_shift_test, target_test
from throughtime.shift.unlabeled import beyond_label_shift_test
from throughtime.shift.within_targets import series_given_target_test

T = TypeVar("T")


def diagnose_shift(
    reference: Reference,
    deployed: Any,
    y: Any = None,
    *,
    groups: Any = None,
    level: float = 0.05,
    permutations: int = 999,
    random_state: int | None = 0,
) -> ShiftDiagnosis:
    """Test for a shift between the reference and deployed series, and name it.

    Covariate shift moves p(x) and keeps p(y given x), label shift moves p(y) and keeps p(x given y), concept shift
    moves p(y given x). With targets of the deployed series all three are told apart, or it is said that the evidence
    allows two names; without, concept shift is neither tested nor seen. What is too little or too different to compare
    is "insufficient", and not tested.

    Parameters
    ----------
    reference
        Of `reference_of`, or of a run.
    deployed
        Series, arrays or a `Dataset`, or their `Embedding` by the reference's members.
    y
        The targets of the deployed series; those of a data set or an embedding by default.
    groups
        What moves together, one value per deployed series, such as subjects; the number of groups is then what tests
        count.
    level
        The chance of any false alarm.
    permutations
        Fewer than some hundred make p-values near the level coarse; at least three times the inverse of the level with
        targets of the deployed series, and once that without.
    random_state
        Seed of the members that deployed series pass through, and of permutations.

    Raises
    ------
    DataError
        For channels other than the reference's, targets that its networks do not know, NaN in an embedding.
    ParameterError
        For what is no reference, a level that is no chance below a half, permutations so few that no test could be
        significant at it, and a seed that is no whole number.
    """
    _check_options(reference, level, permutations, random_state)
    sample = _embedded(reference, deployed, y, groups, random_state)
    known = reference.embedding
    if sample.target is not None and known.target is None:
        raise DataError("labels of deployed series need a reference with targets to compare with, got one without")
    third = "concept" if known.target is None or is_of_classes(known) else "Y given X"
    family = ("X",) if sample.target is None else ("X", "Y", third)
    check_permutations(permutations, level, len(family))
    check_summaries(known, sample)
    warn_of_groups(known, sample)
    quality = run_checks(SUFFICIENCY_CHECKS, reference=known, deployed=sample)
    labels = sample.target if reference.classes is not None else None
    own = run_checks(REFERENCE_CHECKS, whole=reference, labels=labels)
    if any(finding.verdict == "found" for finding in quality):
        nothing = run_checks(checks_of_tests("concept", level, "insufficient"))
        return _diagnosis(
            reference,
            sample,
            level,
            verdict="insufficient",
            sentence=insufficient_sentence(quality),
            findings=Records(sorted([*quality, *own, *nothing], key=lambda finding: finding.code)),
        )

    def tested(name: str, test: Callable[..., T]) -> T:
        # What Holm's procedure rejects first has a p-value of the level divided by the tests of the family.
        own = level / len(family) if name in family else level
        return test(known, sample, level=own, permutations=permutations, random_state=random_state)

    sides = sides_of(known, sample, permutations, random_state)
    tests: dict[str, ShiftTest | NotApplicable] = {"X": tested("X", covariate_test)}
    priors = _priors(reference, sample, random_state)
    if sample.target is None:
        beyond = beyond_label_shift_test(known, sample, priors, sides)
        verdict: ShiftVerdict = name_without_labels(_p(tests["X"]), _p(beyond), level=level)
        p_adjusted = {"X": _p(tests["X"])}
    else:
        tests["Y"] = tested("Y", target_test)
        tests["concept"] = tested("concept", concept_test)
        tests["Y given X"] = tested("Y given X", target_given_series_test)
        tests["X given Y"] = tested("X given Y", series_given_target_test)
        if third != "concept":
            outputs = mean_shift_test(
                known.outputs,
                sample.outputs,
                names=output_names(known),
                squares=False,
                groups=(known.groups, sample.groups),
                level=level,
                permutations=permutations,
                random_state=random_state,
            )
            tests["outputs"] = replace(outputs, name="outputs", unit=sides.unit)
        p = {name: _p(test) for name, test in tests.items()}
        p_adjusted = dict(zip(family, adjusted([p[name] for name in family]), strict=True))
        verdict = name_shift(p, explanations(known, sample), of_classes=third == "concept", level=level)
    channels = channel_shifts(known, sample, sides)
    classes = Records[ClassShift]()
    if priors is not None and reference.classes is not None:
        classes = class_shifts_of(priors, reference.classes)
    found = run_checks(checks_of_tests(third, level, verdict), tests=tests, adjusted=p_adjusted)
    return _diagnosis(
        reference,
        sample,
        level,
        verdict=verdict,
        sentence=sentence_of(verdict, tests, channels, classes, level=level, labeled=sample.target is not None),
        findings=Records(sorted([*quality, *own, *found], key=lambda finding: finding.code)),
        tests=Records(test for test in tests.values() if isinstance(test, ShiftTest)),
        channels=channels,
        stretches=stretch_shifts(known, sample, reference.channel_names, sides),
        classes=classes,
        targets=target_shifts(known, sample, sides),
    )


def _check_options(reference: Any, level: Any, permutations: Any, random_state: Any) -> None:
    check_reference(reference)
    check_level(level)
    if isinstance(permutations, bool) or not isinstance(permutations, Integral) or permutations < LEAST_PERMUTATIONS:
        raise ParameterError(
            f"permutations needs a whole number of at least {LEAST_PERMUTATIONS}, got {permutations!r}"
        )
    check_seed(random_state)


def _embedded(reference: Reference, deployed: Any, y: Any, groups: Any, random_state: int | None) -> Embedding:
    if isinstance(deployed, Embedding):
        if y is not None:
            raise ParameterError("an embedding has its own targets; give y to embed, with the series")
        given = groups_of(groups, len(deployed))
        return deployed if given is None else replace(deployed, groups=given, unit="group")
    if isinstance(deployed, Dataset):
        return embed(reference, deployed.X, deployed.y if y is None else y, groups=groups, random_state=random_state)
    return embed(reference, deployed, y, groups=groups, random_state=random_state)


def _priors(reference: Reference, deployed: Embedding, random_state: int | None) -> PriorEstimate | None:
    """Fractions of classes among the deployed series, by labels where there are some."""
    known = reference.embedding
    if reference.classes is None or known.target is None:
        return None
    if not np.bincount(known.target, minlength=len(reference.classes)).all():
        return None  # a class without a series has no fraction to compare with
    return estimate_priors(
        known.outputs,
        known.target,
        deployed.outputs,
        deployed.target,
        groups=known.groups,
        deployed_groups=deployed.groups,
        random_state=random_state,
    )


def _p(test: ShiftTest | NotApplicable) -> float:
    return test.p_value if isinstance(test, ShiftTest) else 1.0


def _diagnosis(reference: Reference, sample: Embedding, level: float, **parts: Any) -> ShiftDiagnosis:
    nothing: dict[str, Any] = dict.fromkeys(("tests", "channels", "stretches", "classes"), Records())
    return ShiftDiagnosis(
        **{**nothing, **parts},
        labeled=sample.target is not None,
        level=level,
        reference=reference,
        deployed=sample,
    )
