"""A plan carried out: baselines, and every fold and seed trained in lockstep."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from throughtime.data import Sequences
from throughtime.estimators import DEFAULT_BUDGET
from throughtime.study.assessment import assess, assess_baselines, with_seed
from throughtime.study.kept_baselines import KeptBaselines
from throughtime.study.planning import Plan
from throughtime.study.scores import ModelScores, metrics_of
from throughtime.study.searching import Ranking
from throughtime.study.study import Study
from throughtime.training import CheckpointsOrPath, Observer, shown


def score_baselines(
    plan: Plan, on_baseline: Callable[[str], None] | None = None, *, kept: Path | None = None
) -> list[ModelScores]:
    """Train and score the baselines of a plan; none where it asks for none.

    Parameters
    ----------
    on_baseline
        Called with the name of each before it is trained.
    kept
        A file that keeps the scores of each; those of the same plan that it holds are not made again.
    """
    if not plan.baselines:
        return []
    data = plan.train
    return assess_baselines(
        plan.model,
        data.X,
        data.y,
        plan.splits,
        plan.scorers,
        test=_test_of(plan),
        groups=plan.units,
        season=plan.season,
        on_model=on_baseline,
        kept=KeptBaselines(kept),
    )


def train(
    plan: Plan,
    *,
    baselines: Sequence[ModelScores] | None = None,
    search: Ranking | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
    observers: Sequence[Observer] = (),
) -> Study:
    """Train every fold and seed of a plan in lockstep, beside the baselines, and score them.

    Parameters
    ----------
    baselines
        What `score_baselines` gave; by default they are trained here.
    search
        The search that chose the plan's setting, which the study keeps.
    memory_budget
        Bytes that members may take at a time; ``None`` for no bound. On the CPU no bit of a result depends on it.
    checkpoints, observers
        As `fit_members` takes them; members are in the order of `members_of`.

    Raises
    ------
    ThroughtimeError
        What a network trained on all series failed with; failures of folds are kept in the study.
    """
    data, model = plan.train, plan.model
    if baselines is None:
        baselines = score_baselines(plan)
    begin = time.perf_counter()
    # The bar is the study's: members that showed theirs too would draw over it.
    members = [with_seed(model, model.random_state + seed).set_params(verbose=0) for seed in range(plan.seeds)]
    with shown("training", model.verbose > 0) as report:
        assessment = assess(
            members,
            data.X,
            data.y,
            plan.splits,
            plan.scorers,
            test=_test_of(plan),
            groups=data.groups,
            sample_weight=plan.sample_weight,
            on_epoch=report,
            memory_budget=memory_budget,
            checkpoints=checkpoints,
            observers=observers,
        )
    for failure in [refit for refit in assessment.refits if isinstance(refit, Exception)]:
        raise failure
    config = plan.config | {"seconds": time.perf_counter() - begin}
    metrics = metrics_of([*baselines, assessment.scores], plan.metrics, plan.splits, plan.units)
    return Study(
        data, plan.test, plan.splits, assessment, metrics, plan.units, plan.findings, config, search, plan.sample_weight
    )


def _test_of(plan: Plan) -> tuple[Sequences, Any] | None:
    return None if plan.test is None else (plan.test.X, plan.test.y)
