"""``leakage_report``: every check for leakage on the folds of some series."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.model_selection import check_cv

from throughtime.data import Sequences, as_sequences, as_targets
from throughtime.findings import Check, Finding, run_checks
from throughtime.generalization.folds import Split
from throughtime.generalization.leakage.channel_ranges import ChannelRanges
from throughtime.generalization.leakage.constant_channels import CONSTANT_CHANNELS
from throughtime.generalization.leakage.copies import Copies
from throughtime.generalization.leakage.duplicates import DUPLICATES
from throughtime.generalization.leakage.near_duplicates import NEAR_DUPLICATES
from throughtime.generalization.leakage.overlaps import OVERLAPPING_INPUTS, OVERLAPPING_TARGETS
from throughtime.generalization.leakage.shared_groups import SHARED_GROUPS
from throughtime.generalization.leakage.shared_times import SHARED_TIMES, times_of
from throughtime.generalization.leakage.telling_channels import TELLING_CHANNELS
from throughtime.generalization.splitters import lie_apart_in_time, number_series
from throughtime.parameters import renamed
from throughtime.records import Records

#: The checks of `leakage_report`, in order of code.
LEAKAGE_CHECKS: tuple[Check, ...] = (
    DUPLICATES,
    OVERLAPPING_TARGETS,
    OVERLAPPING_INPUTS,
    SHARED_GROUPS,
    SHARED_TIMES,
    NEAR_DUPLICATES,
    CONSTANT_CHANNELS,
    TELLING_CHANNELS,
)


def leakage_report(
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    time: Any = None,
    cv: Any = None,
    burn_in: int = 0,
    layout: Any = "ntc",
    most_work: float | None = None,
    checks: Sequence[Check] = LEAKAGE_CHECKS,
    warmup: int | None = None,
) -> Records[Finding]:
    """Look for what would let a model know its test series from training.

    Parameters
    ----------
    X
        The series, in any form the estimators take. Windows are known to overlap when ``Sequences.windows`` or ``cut``
        made them; copies of windows by runs of steps that are equal in group and values, and in time where they have
        times. Without times a run must be too long to be equal by chance, which values of few kinds do not allow.
    y
        One target per series, or one per step. Series of the same inputs whose targets differ share covariates, such as
        shops of one town its weather, and are no copies of each other. With one per step, steps with a target in
        training and in test leak, while shared input that has no target on both sides, such as a burn-in, may not.
    groups
        One per series, those of X by default. Of windows, those that only say which series each is of count for nothing
        where the folds lie apart in time.
    time
        One per series: when it was; the times of the steps of X by default.
    cv
        A splitter, a number of folds, or the folds themselves.
    burn_in
        First steps of each series whose targets count for nothing; of a forecast, its horizon and its burn-in.
    most_work
        A check that would look at more values than so many is not made, and its verdict says so: 1e8 take seconds.
        All are made by default.
    checks
        What to look for: ``[*LEAKAGE_CHECKS, mine]`` adds a `Check`. It may need ``series`` (`Sequences`), ``splits``
        (a list of pairs of indices, training and test), ``targets`` (one per series, or `Sequences` of one channel),
        ``groups`` (one per series) and ``burn_in`` (steps). Without targets or groups, those that need them are not
        applicable.
    warmup
        The old name of ``burn_in``.

    Returns
    -------
    One finding per check, in the order of ``checks``, whether it found something, nothing, or was not applicable:

    - ``GEN001`` the same series in training and test, in its targets too;
    - ``GEN002`` steps of a test series that are in training with their target;
    - ``GEN003`` input steps, without a target on both sides, that test and training share;
    - ``GEN004`` a group in training and test;
    - ``GEN005`` a time of a target in training and test, unless times are numbers that begin anew with every series;
    - ``GEN006`` a test series nearly identical to one in training;
    - ``GEN007`` a channel constant within every series, as a group is, or a property of the series;
    - ``GEN008`` a channel that tells the series apart by itself, as a row number or an id does.

    Raises
    ------
    ParameterError
        When two checks have one code.
    """
    if warmup is not None:
        burn_in = renamed({"warmup": warmup} | ({"burn_in": burn_in} if burn_in else {}), warn_at=3)["burn_in"]
    series = as_sequences(X, layout=layout)
    targets = None if y is None else as_targets(y, series)
    by = series.groups if groups is None else np.asarray(groups)
    splits = _splits(series, targets, by, cv)
    if number_series(series, by) and lie_apart_in_time(series, splits):
        by = None
    copies = Copies(series, targets, by, burn_in)
    return run_checks(
        checks,
        most_work=most_work,
        series=series,
        targets=targets,
        groups=by,
        times=times_of(series, time, copies.targeted),
        burn_in=burn_in,
        splits=splits,
        copies=copies,
        ranges=ChannelRanges(series),
    )


def _splits(series: Sequences, targets: Any, groups: ndarray | None, cv: Any) -> list[Split]:
    by_series = targets is not None and not isinstance(targets, Sequences)
    labels = targets if by_series else np.zeros(len(series))
    classes = by_series and targets.dtype.kind not in "f"
    return list(check_cv(cv, labels, classifier=classes).split(series, labels, groups))
