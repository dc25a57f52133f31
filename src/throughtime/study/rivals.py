"""A network beside a baseline: who does better, and whether the folds tell."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from throughtime.generalization import corrected_interval
from throughtime.study.results import Fold
from throughtime.study.score_text import nan_mean, score_number, validation_score
from throughtime.study.scores import ModelScores, score_bounds


def against_in_words(
    network: ModelScores, baseline: ModelScores, metric: str, folds: Sequence[Fold]
) -> tuple[str, Literal["good", "plain", "bad"]]:
    """How a network stands to a baseline, by the interval of their difference on the same folds; how good that is."""
    of_network, of_baseline = (
        [nan_mean(fold) for fold in zip(*model.validation[metric], strict=True)] for model in (network, baseline)
    )
    differences = [a - b for a, b in zip(of_network, of_baseline, strict=True)]
    interval = corrected_interval(differences, [fold.n_train for fold in folds], [fold.n_test for fold in folds])
    difference = validation_score(network, metric) - validation_score(baseline, metric)
    number = partial(score_number, metric=metric)
    size = number(abs(difference))
    if interval.low is None or interval.high is None:
        if number(difference) == number(0.0):
            return "the network does no better", "bad"
        does = "the network does better" if difference > 0 else "the baseline does better"
        return f"{does} by {size}, without an interval", "plain" if difference > 0 else "bad"
    lowest, highest = score_bounds(metric)
    widest = highest - lowest  # of two scores within their bounds
    low, high = max(interval.low, -widest), min(interval.high, widest)
    level = f"{100 * interval.level:g} % interval"
    if interval.low > 0:
        return f"the network does better by {size} ({level} {number(low)} to {number(high)})", "good"
    if interval.high < 0:
        ends = f"{number(-high)} to {number(-low)}"
        return f"the baseline does better by {size} ({level} {ends}); prefer it, or say what the network adds", "bad"
    ends = f"network less baseline, {level} {number(low)} to {number(high)}"
    return f"the folds do not tell which does better ({ends})", "plain"
