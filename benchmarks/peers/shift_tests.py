"""Two-sample tests as others offer them: Kolmogorov-Smirnov on pooled steps, and DetectShift's five.

DetectShift (https://github.com/felipemaiapolo/detectshift) demands the withdrawn package ``sklearn``; README.md says
how it is installed. Where it is missing, its columns are empty.
"""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.stats import ks_2samp
from sklearn.linear_model import LogisticRegression

from throughtime.data import Sequences

try:
    import detectshift
    import pandas as pd
except ImportError:
    detectshift = None

PERMUTATIONS = 99


def steps_p_value(reference: Sequences, deployed: Sequences) -> float:
    """As drift monitors do: all steps of all series in one sample, channel by channel, Bonferroni."""
    p = [ks_2samp(a, b, method="asymp").pvalue for a, b in zip(reference.values.T, deployed.values.T, strict=True)]
    return float(min(1.0, len(p) * min(p)))


class _Labels:
    """DetectShift's model of Y given X, with scikit-learn's logistic regression: its own needs a retired solver."""

    def __init__(self, random_state: int) -> None:
        self.rng = np.random.default_rng(random_state)

    def fit(self, X: Any, y: Any) -> "_Labels":
        self.model = LogisticRegression(C=1.0, max_iter=1000).fit(X, detectshift.tools.get_classes(y))
        return self

    def sample(self, X: Any) -> Any:
        cumulated = self.model.predict_proba(X).cumsum(1)
        drawn = (self.rng.random((len(X), 1)) > cumulated).sum(1)
        return pd.DataFrame(np.eye(cumulated.shape[1])[drawn][:, 1:])


def detectshift_p_values(
    reference: Float[ndarray, "series column"],
    codes: Int[ndarray, "series"],
    deployed: Float[ndarray, "deployed column"],
    deployed_codes: Int[ndarray, "deployed"],
    random_state: int,
) -> dict[str, float]:
    """Of X, Y, X given Y and Y given X: density ratios by logistic regression on one half, tests on the other."""
    if detectshift is None:
        return {}
    center, scale = reference.mean(0), reference.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    sides = [(values - center) / scale for values in (reference, deployed)]
    np.random.seed(random_state)  # noqa: NPY002  DetectShift draws from the global stream
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        split = detectshift.tools.prep_data(
            sides[0], codes, sides[1], deployed_codes, test=0.5, task="class", random_state=random_state
        )
        (x_train, x, y_train, y, z_train, _), (v_train, v, w_train, w, u_train, _) = split[:6], split[6:]
        joint, inputs = (detectshift.tools.KL(boost=False, cv=None) for _ in range(2))
        joint.fit(z_train, u_train, random_state=random_state)
        inputs.fit(x_train, v_train, random_state=random_state)
        labels = _Labels(random_state).fit(pd.concat([x_train, v_train]), pd.concat([y_train, w_train]))
        found = detectshift.tests.ShiftDiagnostics(
            x, y, v, w, joint, inputs, None, labels, "class", B=PERMUTATIONS, verbose=False
        )
    names = {"cov": "X", "lab": "Y", "conc1": "X given Y", "conc2": "Y given X"}
    return {f"DetectShift {names[key]}": float(found[key]["pval"]) for key in names}
