"""Which remedies of a planted case gain more than the margin on fresh series, and what is known of its signal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from verdict_cases import Case, Drawn

from counterfactuals.losses import Losses, dummy_losses, losses_of
from counterfactuals.remedies import Remedy, remedies, with_feature
from throughtime.estimators import fit_members

FRESH = 2000
#: Networks per remedy; all of them only where the first leave open whether it gains more than the margin.
FIRST_SEEDS, SEEDS = 8, 20
#: In units of the dummy's loss.
MARGIN = 0.05
#: Standard errors between a gain and the margin from which on it is no longer open.
DECIDED = 3.0
#: A gain in one of these counts for a cause: `diagnose` judges all but over-fitting by the tempered loss.
LOSSES = {"over-fit": ("raw", "tempered")}


@dataclass(frozen=True)
class Gain:
    """The base's losses less those of one remedy, in units of the dummy's loss."""

    remedy: str
    cause: str | None
    raw: float
    tempered: float

    @property
    def helps(self) -> bool:
        """Whether it gains more than the margin, in a loss that its cause is judged by."""
        return any(getattr(self, name) > MARGIN for name in LOSSES.get(self.cause or "", ("tempered",)))


@dataclass(frozen=True)
class Truth:
    """Of one case; losses in units of the dummy's on the same series.

    Attributes
    ----------
    base, tempered
        Loss of the base, raw and tempered.
    skill
        How much better than the dummy the best remedy is, tempered; but for the missing feature, which nobody has.
    leak
        How much better the given folds look than fresh groups are, in the bounded loss; 0 without groups.
    """

    base: float
    tempered: float
    skill: float
    leak: float
    gains: tuple[Gain, ...]

    @property
    def causes(self) -> frozenset[str]:
        """Those that have a remedy that helps."""
        return frozenset(gain.cause for gain in self.gains if gain.cause is not None and gain.helps)


def truth(case: Case, more: Sequence[Remedy] = (), seeds: int = SEEDS) -> Truth:
    """Train every remedy, and some more, on the case's series, and score them on 2,000 fresh ones."""
    fresh, tried = case.fresh(FRESH), [*remedies(case), *more]
    losses = _measure(case, tried, fresh, range(min(FIRST_SEEDS, seeds)))
    chance = float(dummy_losses(case, fresh.y).raw.mean())
    open_ones = [i for i, one in enumerate(tried) if i == 0 or _is_open(losses[0], losses[i], one, chance)]
    if seeds > FIRST_SEEDS and len(open_ones) > 1:
        others = _measure(case, [tried[i] for i in open_ones], fresh, range(FIRST_SEEDS, seeds))
        for i, added in zip(open_ones, others, strict=True):
            losses[i] = _stacked(losses[i], added)
    base = losses[0]
    gains = []
    for one, own in zip(tried[1:], losses[1:], strict=True):
        raw, tempered = (float(_by_seed(base, own, kind, chance).mean()) for kind in ("raw", "tempered"))
        gains.append(Gain(one.name, one.cause, raw, tempered))
    skills = [1 - own.tempered.mean() / chance for one, own in zip(tried, losses, strict=True) if not one.feature]
    return Truth(
        base=float(base.raw.mean()) / chance,
        tempered=float(base.tempered.mean()) / chance,
        skill=float(max(skills)),
        leak=_leak(case, fresh, base),
        gains=tuple(gains),
    )


def _measure(case: Case, tried: Sequence[Remedy], fresh: Drawn, seeds: range) -> list[Losses]:
    """Losses of every remedy, one row per seed; those on the same series train together."""
    fitted: list[list[Any]] = [[] for _ in tried]
    for key in dict.fromkeys((id(one.train), one.feature) for one in tried):
        own = [i for i, one in enumerate(tried) if (id(one.train), one.feature) == key]
        train = tried[own[0]].train
        members = [
            clone(case.estimator).set_params(**tried[i].parameters, random_state=1000 + seed)
            for i in own
            for seed in seeds
        ]
        X = with_feature(train) if key[1] else train.X
        for place, result in enumerate(fit_members(members, X, train.y)):
            if isinstance(result, Exception):
                raise result
            fitted[own[place // len(seeds)]].append(result)
    return [
        losses_of(case, members, with_feature(fresh) if one.feature else fresh.X, fresh.y)
        for one, members in zip(tried, fitted, strict=True)
    ]


def _stacked(one: Losses, other: Losses) -> Losses:
    return Losses(*(np.concatenate([getattr(part, name) for part in (one, other)]) for name in vars(one)))


def _by_seed(base: Losses, own: Losses, kind: str, chance: float) -> Any:
    n = len(own.raw)
    return (getattr(base, kind)[:n].mean(1) - getattr(own, kind).mean(1)) / chance


def _is_open(base: Losses, own: Losses, remedy: Remedy, chance: float) -> bool:
    for kind in LOSSES.get(remedy.cause or "", ("tempered",)):
        gains = _by_seed(base, own, kind, chance)
        if abs(gains.mean() - MARGIN) < DECIDED * gains.std(ddof=1) / np.sqrt(len(gains)):
            return True
    return False


def _leak(case: Case, fresh: Drawn, base: Losses) -> float:
    """Bounded loss on fresh groups less that out of the given folds, in units of the dummy's."""
    if case.drawn.groups is None:
        return 0.0
    X, y = case.drawn.X, np.asarray(case.drawn.y)
    folds = list(case.plan.cv.split(np.zeros(len(X))))
    members = [clone(case.estimator).set_params(random_state=seed) for seed in range(4) for _ in folds]
    fitted = fit_members(members, X, y, train_indices=[train for train, _ in folds] * 4)
    sums = [
        losses_of(case, [one], X[test], y[test]).bounded.sum()
        for one, (_, test) in zip(fitted, folds * 4, strict=True)
    ]  # fmt: skip
    return float((base.bounded.mean() - sum(sums) / (4 * len(X))) / dummy_losses(case, fresh.y).bounded.mean())
