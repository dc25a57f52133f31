"""The comparison of two runs in words."""

from throughtime.generalization import Comparison
from throughtime.study.comparing import FoldScores, RunComparison


def outcome_in_words(comparison: Comparison) -> str:
    """Which of two does better, by the test at 5 %; empty where there is no p value."""
    if comparison.p_value is None:
        return ""
    if comparison.first == comparison.second:
        return "no fold differs"
    if comparison.p_value < 0.05:
        return f"the {'first' if comparison.difference.mean > 0 else 'second'} does better"
    return "these folds cannot tell them apart"


def p_in_words(p_value: float) -> str:
    """A p value with its sign: ``= 0.042``."""
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"


def method_in_words(found: RunComparison, interval: str) -> str:
    """How intervals and p values were had, and what they take for granted.

    Parameters
    ----------
    interval
        What the interval is called where it stands: "in brackets".
    """
    method = next(iter(found.comparisons.values())).difference.method
    if method.startswith("no interval"):
        return f"{method}."
    units = "series" if all(fold.n_test == len(fold.test) for fold in found.first.folds) else "groups"
    text = f"{interval}: {method}; p: of the same test, two-sided. It takes the folds' differences for about normal, "
    text += f"and their correlation for the test's fraction of the {units}."
    if len(found.comparisons) > 1:
        text += f" p is not corrected for there being {len(found.comparisons)} scores."
    return text


def folds_won_in_words(comparison: Comparison) -> str:
    """On how many folds each does better."""
    pairs = list(zip(comparison.first, comparison.second, strict=True))
    better = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs), sum(a == b for a, b in pairs)
    return f"first better on {better[0]}, second on {better[1]}, equal on {better[2]}"


def optimism_in_words(scored: FoldScores) -> str:
    """That a search chose the setting on the folds that are compared; empty without a search."""
    chosen = scored.settings.get("search")
    if not chosen:
        return ""
    return (
        f"The setting of {scored.run} was chosen among {chosen['n_settings']} on these very folds: its scores are "
        "optimistic, and a difference in its favor with them."
    )
