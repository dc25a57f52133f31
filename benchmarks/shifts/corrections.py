"""What corrections gain on fresh deployed series, and what they cost where there is nothing to correct.

200 deployed series with labels are handed to `correct`; every model is then scored on 2,000 others.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from scipy import stats
from shift_cases import Case, Drawn, case
from shift_references import embedded, reference_for
from sklearn.linear_model import LogisticRegression

from shifts.kinds import seeds
from shifts.part import Part, Row
from throughtime.shift import Embedding, Reference, calibrate, calibrated, correct, diagnose_shift

SEEDS, LABELS, FRESH, RETRAINED = 16, 200, 2000, 300
#: Of a kind, its size in units of the oracle's; of label shift, the tilt itself.
CONDITIONS: dict[str, tuple[str, float]] = {
    "none": ("none", 1.0),
    "label, tilt .32": ("label", 0.32),
    "label, tilt .8": ("label", 0.8),
    "label, tilt 1.3": ("label", 1.3),
    "covariate, relevant": ("covariate, relevant", 3.0),
    "covariate, irrelevant": ("covariate, irrelevant", 3.0),
    "concept": ("concept", 3.0),
    "label + concept": ("label + concept", 3.0),
    "label + covariate": ("label + covariate", 3.0),
}
METHODS = ("auto", "refit", "priors", "weights")
#: Of each, on fresh series: mean log loss and accuracy.
MODELS = (*METHODS, "priors without labels", "weights without labels", "true priors", f"{RETRAINED} fresh series",
          "logistic", "skada")  # fmt: skip


def planted(condition: str, seed: int) -> Case:
    kind, size = CONDITIONS[condition]
    return case(kind, seed, size / case(kind, seed).shift.oracle["label"] if kind == "label" else size)


def jobs(which: str, rounds: int | None) -> list[tuple[int]]:
    return [(seed,) for seed in seeds(which, rounds or SEEDS)]


def measure(seed: int) -> list[dict[str, Any]]:
    return [measured(condition, seed) for condition in CONDITIONS]


def measured(condition: str, seed: int) -> dict[str, Any]:
    """Losses of the model as it is and after each correction."""
    one, reference = planted(condition, seed), reference_for(seed)
    X, y = one.reference.series, one.reference.y
    model = one.estimator.fit(X, y)
    labeled, fresh = one.fresh(LABELS, stream=1), one.fresh(FRESH, stream=2)
    scored = Scores(fresh)
    before = scored(model.predict_proba(fresh.series))
    diagnosis = diagnose_shift(reference, embedded(reference, labeled, seed), random_state=seed)
    row: dict[str, Any] = {"condition": condition, "verdict": diagnosis.verdict, "method": "", "passed": ""}
    found: dict[str, tuple[float, float]] = {"before": before}
    for method in (*METHODS, *(f"{name} without labels" for name in ("priors", "weights"))):
        name, _, unlabeled = method.partition(" ")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is done without labels says its danger
            corrected = correct(model, diagnosis, reference=(X, y), method=name, random_state=seed,  # type: ignore[arg-type]
                                deployed=(labeled.series, None if unlabeled else labeled.y))  # fmt: skip
        found[method] = scored(corrected.estimator.predict_proba(fresh.series))
        if method == "auto":
            row["method"], row["passed"] = corrected.method, sum(one.passed for one in corrected.candidates)
    if condition.startswith(("label, ", "none")):
        said = np.log(np.asarray(model.predict_proba(fresh.series)).clip(1e-12))
        found["true priors"] = scored(with_true_priors(said, one, reference))
    other = one.fresh(RETRAINED, stream=3)
    found[f"{RETRAINED} fresh series"] = scored(one.estimator.fit(other.series, other.y).predict_proba(fresh.series))
    some, others = (embedded(reference, drawn, seed, labeled=False) for drawn in (labeled, fresh))
    found |= linear(reference, some, others, scored)
    for name in ("before", *MODELS):
        loss, accuracy = found.get(name, (np.nan, np.nan))
        row |= {f"{name} loss": f"{loss:.4f}", f"{name} accuracy": f"{accuracy:.4f}"}
    return row


class Scores:
    """Mean log loss and accuracy on some series."""

    def __init__(self, drawn: Drawn) -> None:
        self.y = drawn.y

    def __call__(self, probabilities: Any) -> tuple[float, float]:
        """Of these probabilities."""
        own = probabilities[np.arange(len(self.y)), self.y].clip(1e-12)
        return float(-np.log(own).mean()), float((probabilities.argmax(1) == self.y).mean())


def with_true_priors(logits: ndarray, one: Case, reference: Reference) -> ndarray:
    """The calibrated probabilities, reweighted by the fractions that the law has."""
    assert reference.embedding.target is not None
    calibration = calibrate(reference.embedding.outputs, reference.embedding.target)
    before = np.bincount(one.reference.y, minlength=3) / len(one.reference.y)
    after = np.bincount(one.fresh(20_000, stream=4).y, minlength=3) / 20_000
    found = calibrated(logits, calibration) * after / before
    return np.asarray(found / found.sum(1, keepdims=True))


def linear(
    reference: Reference, deployed: Embedding, fresh: Embedding, scored: Scores
) -> dict[str, tuple[float, float]]:
    """Logistic regression on the embedding, and skada's, weighted by a discriminator, without labels."""
    columns = [np.column_stack([one.summaries, one.outputs]) for one in (reference.embedding, deployed, fresh)]
    center, scale = columns[0].mean(0), columns[0].std(0)
    source, target, test = ((one - center) / np.where(scale > 0, scale, 1.0) for one in columns)
    y = reference.embedding.target
    assert y is not None
    net = LogisticRegression(C=0.1, max_iter=1000)
    found = {"logistic": scored(net.fit(source, y).predict_proba(test))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from skada import DiscriminatorReweight
        except ImportError:
            return found
        weighted = DiscriminatorReweight(net.set_fit_request(sample_weight=True))
        domains = np.repeat([1, -2], [len(source), len(target)])
        weighted.fit(np.vstack([source, target]), np.append(y, np.full(len(target), -1)), sample_domain=domains)
        return found | {"skada": scored(weighted.predict_proba(test))}


def summary(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Per condition and model: the change of the log loss and of accuracy, and the fraction recovered of what was lost.

    What label shift cost is the loss less that with the true priors; of other shifts, less that of a network trained on
    300 fresh series.
    """
    for condition in CONDITIONS:
        own = [row for row in rows if row["condition"] == condition]
        for model in MODELS if own else ():
            pairs = [(model, row) for row in own if row[f"{model} loss"] != "nan"]
            base = "logistic" if model == "skada" else "before"
            ideal = "true priors" if condition.startswith("label, ") else f"{RETRAINED} fresh series"
            gains = difference(own, base, model, "loss")
            lost = difference(own, "before", ideal, "loss")
            if not pairs:
                continue
            points = -100 * difference(own, base, model, "accuracy")
            yield {
                "condition": condition,
                "model": model,
                "cases": len(pairs),
                "gain_nats": f"{gains.mean():.4f}",
                "largest_harm_nats": f"{max(0.0, -gains.min()):.4f}",
                "median_gain_nats": f"{np.median(gains):.4f}",
                "recovered": f"{gains.mean() / lost.mean():.2f}" if lost.mean() > 0.002 and base == "before" else "",
                "gain_points": f"{points.mean():.2f}",
                "largest_harm_points": f"{max(0.0, -points.min()):.2f}",
                "changed": sum(abs(gain) > 1e-6 for gain in gains),
                "refit_better_by_nats": interval(difference(own, model, "refit", "loss")) if model in METHODS else "",
            }


def difference(rows: Sequence[Row], before: str, after: str, what: str) -> ndarray:
    return np.array([float(row[f"{before} {what}"]) - float(row[f"{after} {what}"]) for row in rows])


def interval(values: ndarray) -> str:
    """Mean, and the interval of a paired t-test."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.4f} ({values.mean() - half:.4f} to {values.mean() + half:.4f})"


CORRECTION_PART = Part(("seed",), jobs, measure, summary)
