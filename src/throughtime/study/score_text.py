"""Scores summarized and written: means of those that can be had, numbers in few digits, the baseline to beat."""

import math
from collections.abc import Sequence

from throughtime.study.scores import ModelScores, score_bounds


def number(score: float) -> str:
    """Three decimals, or four digits where these would hide it; a dash for a score that cannot be had."""
    if math.isnan(score):
        return "-"
    return f"{score:.3f}" if score == 0 or 1e-3 <= abs(score) < 1e4 else f"{score:.3e}"


def score_number(score: float, metric: str) -> str:
    """A score as `number` writes it; three decimals however near to 0 it is where the best that it can be is 1."""
    if score_bounds(metric)[1] == 1 and abs(score) < 1:
        return f"{round(score, 3) + 0.0:.3f}"  # no -0.000
    return number(score)


def nan_mean(scores: Sequence[float]) -> float:
    """The mean of the scores there are."""
    known = [score for score in scores if not math.isnan(score)]
    return sum(known) / len(known) if known else math.nan


def mean_score(table: Sequence[Sequence[float]]) -> float:
    """The mean of a row per seed: folds within a seed, then seeds."""
    return nan_mean([nan_mean(row) for row in table])


def validation_score(model: ModelScores, metric: str) -> float:
    """The mean over folds; where no fold has a score of its own, as in leave-one-out, that of all folds together."""
    mean = mean_score(model.validation[metric])
    return nan_mean(model.pooled[metric]) if math.isnan(mean) else mean


def best_baseline(models: Sequence[ModelScores], metric: str) -> ModelScores | None:
    """The baseline with the highest validation score; ``None`` where no baseline has one. The network comes last."""
    known = [model for model in models[:-1] if not math.isnan(validation_score(model, metric))]
    return max(known, key=lambda model: validation_score(model, metric)) if known else None
