"""``diagnose``: remedies are tried on the same folds, and the one that helps names what was wrong."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from throughtime.errors import ParameterError
from throughtime.estimators import DEFAULT_BUDGET, SequenceEstimator
from throughtime.findings import Finding
from throughtime.generalization.augmentation_check import AUGMENTATION_CHECK, augmentation_findings
from throughtime.generalization.diagnosis.checks import findings_of
from throughtime.generalization.diagnosis.curves import history_curve_of, learning_curve_of
from throughtime.generalization.diagnosis.experiment import Experiment
from throughtime.generalization.diagnosis.further import further_training
from throughtime.generalization.diagnosis.probes import Probe, probes_of
from throughtime.generalization.diagnosis.records import Diagnosis, Effect, Remedy
from throughtime.generalization.diagnosis.time_budget import TimeBudget
from throughtime.generalization.diagnosis.trial import Trial
from throughtime.generalization.diagnosis.verdict import LEAK_MARGIN, judge
from throughtime.generalization.diagnosis.words import open_question_of, sentence_of
from throughtime.records import Records
from throughtime.training import CheckpointsOrPath


def diagnose(
    estimator: SequenceEstimator,
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    groups: Any = None,
    sample_weight: Any = None,
    margin: float = 0.05,
    probes: str | Sequence[str | Probe] = "auto",
    repeats: int = 2,
    budget: float | None = None,
    racing: bool = True,
    level: float = 0.95,
    random_state: int | None = 0,
    verbose: int = 0,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
) -> Diagnosis:
    """Say what limits a network, by trying what might help.

    Every probe (twice the units, more weight decay, longer training, half the data, ...) trains on the same folds as
    the base, as further members of one lockstep batch.  What lowers the out-of-fold loss, by more than a margin and
    certainly, is the remedy and names the cause; where nothing does, the net is healthy, or limited by noise.

    Parameters
    ----------
    estimator
        A ``SequenceClassifier`` or ``SequenceRegressor``, unfitted. Its ``random_state`` is not used.
    X, y, groups, sample_weight
        As ``fit`` takes them. Groups are the unit of every interval; of windows of one series it is a block of time.
    cv
        A number of folds or the text of ``--cv``, drawn anew in each repeat: stratified by class, and whole groups
        where there are groups, unless the text says otherwise (``"kfold:5"``). A splitter, or pairs of indices, gives
        the same folds each time, to other seeds, as folds in time do, into which a number divides windows of one
        series. No series is tested twice. Folds that put a group on both sides are compared with whole groups.
    margin
        The least gain that counts, as a fraction of the dummy's loss: that of the training fold's class frequencies,
        or of its mean.
    probes
        ``"auto"``, or names, settings in words (``"dropout=0.3"``) and `Probe` objects: see `AUTO_PROBES`.
    repeats
        How often all is done, with other folds and seeds.
    budget
        Seconds; when they are over, the verdict is of what there is, which may be ``inconclusive``.
    racing
        Whether what cannot reach the margin any more is left out after the first repeat.
    level
        Simultaneous coverage of the intervals.
    random_state
        Of folds and seeds; ``None`` draws one.
    verbose
        1 shows the progress of training.
    memory_budget, checkpoints
        As in `cross_validate`.

    Raises
    ------
    DataError
        For series too few for the folds, a class that a training fold lacks, or a base that cannot be trained.
    ParameterError
        For what is no probe, a probe that changes nothing, or a budget that is over before a single probe is.

    Notes
    -----
    Members are bitwise what they are alone: those of the base are ``estimator`` fitted on each training fold, each
    with a seed of its own, which the same fold's members of all probes share.

    Examples
    --------
    >>> from throughtime import SequenceClassifier, diagnose, load
    >>> X, y = load("japanese-vowels", split="train")
    >>> net = SequenceClassifier(hidden_size=8, max_epochs=2)
    >>> diagnose(net, X[::3], y[::3], cv=3, probes=["max_epochs x3", "lr x4"], repeats=1).verdict
    'not optimized'
    """
    _check_numbers(margin=margin, level=level, repeats=repeats, random_state=random_state)
    time_budget = TimeBudget(budget)
    experiment = Experiment(
        estimator, X, y, groups, sample_weight, cv, random_state, verbose > 0, memory_budget, checkpoints
    )
    trial = Trial(experiment, probes_of(probes, estimator), time_budget)
    trial.begin()
    so_far = trial.evidence(level)
    further = further_training(so_far, margin * so_far.chance)
    if further is not None and not trial.out_of_time:
        trial.follow_up(further)
    for number in range(1, repeats):
        so_far = trial.evidence(level)
        trial.again(number, margin * so_far.chance, LEAK_MARGIN * so_far.leak_chance, racing)

    evidence = trial.evidence(level)
    effects = evidence.effects()
    least = margin * evidence.chance
    labels = _label_findings(experiment, trial)
    broken = {name for name, finding in labels.items() if finding.verdict == "found"}
    sound = [effect for effect in effects if effect.probe not in broken]
    judgment = judge(evidence, sound, least, complete=not trial.skipped and _all_kinds(estimator, sound))
    winner, units = judgment.winner, experiment.unit_name
    n_train = float(np.mean([len(np.unique(evidence.units.number[train])) for train, _ in trial.first.folds]))
    return Diagnosis(
        verdicts=judgment.verdicts,
        sentence=sentence_of(judgment, evidence, units),
        remedy=None
        if winner is None
        else Remedy(winner.probe, winner.parameters, winner.gain, winner.low, winner.high),
        findings=findings_of(evidence, sound, judgment, least, list(labels.values())),
        effects=Records(effects),
        not_measured=dict(trial.not_measured),
        loss_name=evidence.losses.name,
        loss=evidence.loss,
        train_loss=evidence.train_loss,
        chance=evidence.chance,
        margin=least,
        level=level,
        units=units,
        n_units=evidence.units.count,
        learning_curve=learning_curve_of(evidence, n_train),
        history=history_curve_of(evidence, trial.first, least),
        open_question=open_question_of(judgment, units, tuple(trial.skipped)),
        members=trial.members,
        members_saved=trial.members_saved,
        seconds=time_budget.spent,
        out_of_time=trial.out_of_time,
    )


def _all_kinds(estimator: SequenceEstimator, effects: Sequence[Effect]) -> bool:
    """Whether remedies of every kind were tried, so that "none helps" says something."""
    kinds = {"not optimized", "over-fit"} | ({"under-fit"} if getattr(estimator, "module", None) is None else set())
    return kinds <= {effect.cause for effect in effects}


def _check_numbers(*, margin: Any, level: Any, repeats: Any, random_state: Any) -> None:
    for name, value, rule in (("margin", margin, "a fraction of the dummy's loss"), ("level", level, "a coverage")):
        if not (isinstance(value, Real) and 0 < float(value) < 1):
            raise ParameterError(f"{name} needs {rule}, above 0 and below 1, got {value!r}")
    for name, value, least in (
        ("repeats", repeats, 1),
        ("random_state", 0 if random_state is None else random_state, 0),
    ):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ParameterError(f"{name} needs a whole number of at least {least}, got {value!r}")


def _label_findings(experiment: Experiment, trial: Trial) -> dict[str, Finding]:
    """Whether augmentations that were tried leave the labels as they are, by the probe."""
    if experiment.estimator.augment is not None:  # its members know augmented series
        lacking = "the network is augmented itself: the probe of it without (no regularization) says what that costs"
        return {"": replace(AUGMENTATION_CHECK, lacking=lacking).run()}
    found = {}
    for name, one in trial.probes.items():
        augment = one.variant.parameters.get("augment")
        if augment is not None:
            each = augmentation_findings(
                trial.base_members,
                experiment.X,
                experiment.y,
                augment,
                train_indices=[train for train, _ in trial.first.folds],
                groups=experiment.groups,
            )
            found[name] = max(each, key=lambda finding: (finding.verdict == "found", finding.measured or 0.0))
    return found
