"""Fractions of the classes among deployed series without labels: ours and QuaPy's, from the same probabilities.

All see the logits of the reference's series by networks that did not train on them, and those of deployed series.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.special import softmax
from shift_cases import case
from shift_references import embedded, reference_for
from sklearn.base import BaseEstimator, ClassifierMixin

from shifts.kinds import seeds
from shifts.part import Part, Row
from throughtime.shift import calibrate, calibrated, estimate_priors

#: By how much the two classes' log fractions are tilted, in standard deviations; 0 is a null.
TILTS = (0.0, 0.32, 0.8, 1.3)
OURS = {"EM": "EM", "BBSE": "BBSE", "BBSE soft": "BBSE soft", "ours": "auto"}
THEIRS = ("QuaPy CC", "QuaPy PACC", "QuaPy EMQ", "QuaPy EMQ-BCTS")
MOST_OVER_BEST = 1.05


class _Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier for QuaPy whose inputs are the probabilities."""

    def fit(self, X: ndarray, y: ndarray) -> "_Given":
        self.classes_, self.n_features_in_ = np.unique(y), X.shape[1]
        return self

    def predict_proba(self, X: ndarray) -> ndarray:
        return X

    def predict(self, X: ndarray) -> ndarray:
        return np.asarray(self.classes_[X.argmax(1)])


def quapy_estimates(
    probabilities: ndarray, well_calibrated: ndarray, codes: ndarray, deployed: ndarray, well_deployed: ndarray
) -> dict[str, ndarray]:
    """Of QuaPy's adjusted counts and EMQ, as the network says, and EMQ after the same calibration as ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from quapy.method.aggregative import CC, EMQ, PACC  # slow to import
        except ImportError:
            return {}
        raw, well = (probabilities, deployed), (well_calibrated, well_deployed)
        found = {}
        for name, kind, (own, others) in zip(THEIRS, (CC, PACC, EMQ, EMQ), (raw, raw, raw, well), strict=True):
            one = kind(_Given().fit(own, codes), fit_classifier=False, **({} if kind is CC else {"val_split": None}))
            found[name] = np.asarray(one.fit(own, codes).predict(others))
        return found


def jobs(which: str, rounds: int | None) -> list[tuple[int]]:
    return [(seed,) for seed in seeds(which, rounds)]


def measure(seed: int) -> list[dict[str, Any]]:
    """Mean absolute errors, against the fractions that the deployed series have."""
    reference, rows = reference_for(seed), []
    oracle = case("label", seed).shift.oracle["label"]
    embedding = reference.embedding
    logits, codes = embedding.outputs, embedding.target
    assert codes is not None
    calibration = calibrate(logits, codes)
    for tilt in TILTS:
        one = case("label", seed, tilt / oracle)
        deployed = embedded(reference, one.deployed, seed).outputs
        true = np.bincount(one.deployed.y, minlength=3) / len(deployed)
        found = {
            name: estimate_priors(logits, codes, deployed, method=method, repeats=1, random_state=seed).deployed  # type: ignore[arg-type]
            for name, method in OURS.items()
        }
        found |= quapy_estimates(
            softmax(logits, 1), calibrated(logits, calibration), codes, softmax(deployed, 1),
            calibrated(deployed, calibration),
        )  # fmt: skip
        errors = {name: f"{np.abs(own - true).mean():.4f}" for name, own in found.items()}
        rows.append({"tilt": tilt} | {name: errors.get(name, "") for name in (*OURS, *THEIRS)})
    return rows


def summary(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Means per tilt, and ours over the better of PACC and EMQ."""
    for tilt in (*map(str, TILTS), "all"):
        own = [row for row in rows if tilt in (str(row["tilt"]), "all")]
        errors = {
            name: np.mean([float(row[name]) for row in own]) for name in (*OURS, *THEIRS) if own and own[0][name] != ""
        }
        theirs = [errors[name] for name in THEIRS[1:] if name in errors]
        over = {"ours_over_best": f"{errors['ours'] / min(theirs):.3f}" if theirs else "", "target": MOST_OVER_BEST}
        written = {name: f"{errors[name]:.4f}" if name in errors else "" for name in (*OURS, *THEIRS)}
        yield {"tilt": tilt, "cases": len(own)} | over | written


PRIOR_PART = Part(("seed",), jobs, measure, summary)
