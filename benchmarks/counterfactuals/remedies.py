"""The remedies of a planted case, those that `diagnose` tries and what only its law can give: more data, a feature."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from verdict_cases import Case, Drawn

from throughtime.data import Sequences, concatenate

#: What a network regularizes with.
REGULARIZERS = (
    "weight_decay",
    "dropout",
    "variational_dropout",
    "recurrent_dropout",
    "candidate_dropout",
    "zoneout",
    "cell_zoneout",
)


@dataclass(frozen=True)
class Remedy:
    """Parameters to set, other series to train on, or both; its gain speaks for a cause, or for none."""

    name: str
    cause: str | None
    parameters: dict[str, Any]
    train: Drawn
    #: Whether the missing feature is handed in.
    feature: bool = False


def remedies(case: Case) -> Iterator[Remedy]:
    """The base, which changes nothing, and every remedy, by the name that `diagnose` has for it."""
    own, now = case.drawn, case.estimator.get_params()
    hidden, epochs, lr, decay = (now[name] for name in ("hidden_size", "max_epochs", "lr", "weight_decay"))
    settings: dict[str, tuple[str, dict[str, Any]]] = {
        "hidden_size x2": ("under-fit", {"hidden_size": max(8, 2 * hidden)}),
        "hidden_size /4": ("over-fit", {"hidden_size": max(1, round(hidden / 4))}),
        "weight_decay up": ("over-fit", {"weight_decay": max(10 * decay, 3.0)}),
        "no regularization": ("under-fit", {name: 0.0 for name in REGULARIZERS if now[name]}),
        "max_epochs x3": ("not optimized", {"max_epochs": 3 * epochs}),
        "max_epochs /3": ("over-fit", {"max_epochs": max(1, round(epochs / 3))}),
        "lr x4": ("not optimized", {"lr": 4 * lr}),
        "lr /4": ("not optimized", {"lr": lr / 4}),
        "initializer": ("not optimized", {"init": "orthogonal", "forget_bias": 1.0 if now["cell"] == "lstm" else None}),
    }
    yield Remedy("base", None, {}, own)
    for name, (cause, parameters) in settings.items():
        if any(now[parameter] != value for parameter, value in parameters.items()):
            yield Remedy(name, cause, parameters, own)
    # at equal steps, or a network that is not trained out would gain from more of them
    more = _joined(own, case.fresh(len(own.X), 2))
    yield Remedy("twice the data", "data-limited", {"max_epochs": max(1, round(epochs / 2))}, more)
    if own.feature is not None:
        yield Remedy("missing feature", None, {}, own, feature=True)


def with_feature(drawn: Drawn) -> Sequences:
    """The series with the channel that was missing."""
    assert drawn.feature is not None
    return Sequences(np.concatenate([drawn.X.values, drawn.feature], 1), drawn.X.offsets)


def _joined(one: Drawn, other: Drawn) -> Drawn:
    X = concatenate([one.X, other.X])
    if isinstance(one.y, Sequences):
        assert isinstance(other.y, Sequences)
        return Drawn(X, concatenate([one.y, other.y]))
    return Drawn(X, np.concatenate([one.y, np.asarray(other.y)]))
