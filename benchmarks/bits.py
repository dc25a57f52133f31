"""The bits that a change of structure must not change: hashes of trained weights over a battery of networks.

``python benchmarks/bits.py FILE`` writes the hashes of the version that is installed, or compares with those in FILE
when it is there. Instruction sets differ in their bits: write and compare on one machine.
"""

import hashlib
import inspect
import json
import sys
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from throughtime import SequenceClassifier, SequenceRegressor, Sequences, fit_members

N = 37
PARAMETERS = inspect.signature(fit_members).parameters
CELLS = ("rnn", "gru", "lstm")


def digest(estimator: Any) -> str:
    """Of an estimator's weights and of the losses on its way."""
    hashed = hashlib.sha256()
    for name, tensor in sorted(estimator.module_.state_dict().items()):
        hashed.update(name.encode() + tensor.numpy().tobytes())
    losses = [(record.train_loss, record.validation_loss, record.gradient_norm) for record in estimator.history_]
    return hashlib.sha256(hashed.digest() + repr(losses).encode()).hexdigest()[:16]


def battery(dtype: str) -> Iterator[tuple[str, str]]:
    """The name and the digest of every network."""
    rng = np.random.default_rng(0)
    static = rng.normal(size=(N, 2))
    X = Sequences.from_arrays(
        [rng.normal(size=(int(t), 3)).astype(dtype) for t in rng.integers(3, 12, N)], static=static
    )
    gaps = Sequences.from_arrays([np.where(rng.random(x.shape) < 0.1, np.nan, x).astype(dtype) for x in X])
    labels, values = rng.integers(0, 3, N), rng.normal(size=N)
    by_step = Sequences.from_arrays([rng.normal(size=(len(x), 1)) for x in X])
    common: dict[str, Any] = {"hidden_size": 7, "max_epochs": 2, "batch_size": 16, "random_state": 0}
    for cell, layers, two, pooling in product(CELLS, (1, 2), (False, True), ("last", "mean", "max")):
        shape: dict[str, Any] = {"cell": cell, "num_layers": layers, "bidirectional": two, "pooling": pooling, **common}
        name = f"{dtype} {cell} layers={layers} bidirectional={two} {pooling}"
        for optimizer in ("adam", "adamw", "sgd"):
            rule: dict[str, Any] = {
                "optimizer": optimizer,
                "weight_decay": 0.01,
                "momentum": 0.5 if optimizer == "sgd" else 0.0,
            }
            yield f"{name} {optimizer}", digest(SequenceClassifier(**shape, **rule).fit(X, labels))
        yield f"{name} missing values", digest(SequenceRegressor(**shape).fit(gaps, values))
    for cell in CELLS:
        noises = ["dropout", "variational_dropout", "recurrent_dropout", "zoneout"]
        noises += ["candidate_dropout"] * (cell != "rnn") + ["cell_zoneout"] * (cell == "lstm")
        for noise in noises:
            noisy = SequenceRegressor(**common | {"cell": cell, "num_layers": 2, "bidirectional": True, noise: 0.3})
            yield f"{dtype} {cell} {noise}", digest(noisy.fit(X, values))
        one: dict[str, Any] = {"cell": cell, **common}
        yield f"{dtype} {cell} steps", digest(SequenceRegressor(**one, early_stopping=True).fit(X, by_step))
        yield f"{dtype} {cell} horizon", digest(SequenceRegressor(**one, horizon=2).fit(X, by_step))
        ends = SequenceClassifier(**one | {"max_epochs": 9}, early_stopping=True, lr_schedule="plateau")
        yield f"{dtype} {cell} early stopping", digest(ends.fit(X, labels))
        clipped = SequenceClassifier(**one, clip_norm=0.05, init="orthogonal", class_weight="balanced")
        yield f"{dtype} {cell} clipped", digest(clipped.fit(X, labels, sample_weight=rng.random(N) + 0.5))
    members = [
        SequenceRegressor(hidden_size=5, max_epochs=2 + s, dropout=0.1 * (s == 2), random_state=s) for s in range(5)
    ]
    parts = [np.setdiff1d(np.arange(N), np.arange(k, N, 5 + k)) for k in range(5)]
    # the name of the indices was another before this was written
    given: dict[str, Any] = {"train_indices" if "train_indices" in PARAMETERS else "train_rows": parts}
    for k, fitted in enumerate(fit_members(members, X, values, **given)):
        yield f"{dtype} member {k} of 5", digest(fitted)


def main(file: Path) -> int:
    """Write or compare."""
    warnings.simplefilter("ignore")
    found = dict(entry for dtype in ("float32", "float64") for entry in battery(dtype))
    if not file.exists():
        file.write_text(json.dumps(found, indent=0))
        print(f"{len(found)} hashes written to {file}")
        return 0
    before = json.loads(file.read_text())
    changed = [name for name in before | found if before.get(name) != found.get(name)]
    print(f"{len(found) - len(changed)} of {len(found)} equal", *changed, sep="\n")
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
