"""Embeddings without networks or series, from a law whose shifts are known: for `diagnose_shift` in little time.

Four channels say three classes apart by two of their means, or a number by one. The outputs are what the best network
would say, and noise.
"""

from typing import Any, Literal

import numpy as np
from scipy.special import log_softmax

from throughtime.shift import Embedding, Reference

Kind = Literal[
    "none", "covariate", "relevant covariate", "label", "concept", "label and concept", "label and covariate"
]
NAMES = ("a mean", "b mean", "c mean", "d mean", "length")
CENTERS = 1.2 * np.array([[1.0, 0, 0, 0], [-0.5, 0.87, 0, 0], [-0.5, -0.87, 0, 0]])
NOISE = 0.5
CLASSES = np.array(["ebb", "flow", "slack"])


def embedding(
    kind: Kind = "none",
    n: int = 150,
    seed: int = 0,
    *,
    numbers: bool = False,
    size: float = 1.0,
    groups: int | None = None,
) -> Embedding:
    """Series after a shift; of ``groups`` subjects each of which moves the last channel of its series."""
    rng = np.random.default_rng([seed, n, *kind.encode()])
    x, y = _drawn(rng, 40 * n, numbers)
    tilt = np.zeros(len(x))
    if "covariate" in kind:
        tilt += size * (x[:, 0] if "relevant" in kind else x[:, 3])
    if "label" in kind:
        tilt += size * (y if numbers else 1.0 * (y == 0) - (y == 1))
    chosen = rng.choice(len(x), n, replace=False, p=np.exp(tilt) / np.exp(tilt).sum())
    x, y = x[chosen], y[chosen]
    if "concept" in kind:
        swapped = (rng.random(n) < 0.4 * size) & (y < 2)
        y = y + 0.6 * size if numbers else np.where(swapped, 1 - y, y)
    member = rng.integers(5, size=n)
    owner = None
    if groups is not None:
        owner = rng.integers(groups, size=n) + 1000 * seed
        x[:, 3] += rng.normal(size=groups)[owner - 1000 * seed]
    return Embedding(
        summaries=np.column_stack([x, rng.integers(12, 31, n)]).astype(float),
        summary_names=NAMES,
        outputs=_said(rng, x, numbers),
        states=np.zeros((n, 0)),
        member=member,
        target=y,
        groups=owner,
        has_logits=not numbers,
        unit="series" if groups is None else "group",
        stretches=x[:, None] + rng.normal(size=(n, 4, 4)),
        class_labels=None if numbers else CLASSES,
    )


def reference(seed: int = 100, n: int = 150, **parts: Any) -> Reference:
    """Without a shift."""
    own = embedding("none", n, seed, **parts)
    return Reference(own, (), own.class_labels, ("a", "b", "c", "d"))


def _drawn(rng: np.random.Generator, n: int, numbers: bool) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, 4))
    if numbers:
        return x, x[:, 0] + NOISE * rng.normal(size=n)
    y = rng.integers(3, size=n)
    return x + CENTERS[y], y


def _said(rng: np.random.Generator, x: np.ndarray, numbers: bool) -> np.ndarray:
    if numbers:
        return x[:, :1] + 0.2 * rng.normal(size=(len(x), 1))
    logits = log_softmax(x @ CENTERS.T, axis=1) + 0.3 * rng.normal(size=(len(x), 3))
    return logits - logits.mean(1, keepdims=True)
