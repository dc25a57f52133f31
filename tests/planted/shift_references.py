"""The reference of planted shifts: five fold members, trained once for all that is compared with their series."""

from functools import lru_cache

import numpy as np
from shift_cases import Drawn, TargetForm, case
from sklearn.model_selection import KFold, StratifiedKFold

from throughtime.estimators import fit_members
from throughtime.shift import Embedding, Reference, embed, reference_of

FOLDS = 5


@lru_cache(maxsize=1)
def reference_for(seed: int, form: TargetForm = "classes", phi: float = 0.6, channels: int = 4) -> Reference:
    """Of the series that every kind and size of a seed is compared with."""
    one = case("none", seed, form=form, phi=phi, channels=channels)
    X, y = one.reference.series, one.reference.targets
    folds = (StratifiedKFold if form == "classes" else KFold)(FOLDS, shuffle=True, random_state=seed)
    splits = list(folds.split(np.zeros(len(X)), one.reference.y if form == "classes" else None))
    members = fit_members([one.estimator] * FOLDS, X, y, train_indices=[train for train, _ in splits])
    for member in members:
        if isinstance(member, Exception):
            raise member
    return reference_of(members, X, y, splits, random_state=seed)  # type: ignore[arg-type]


def embedded(reference: Reference, drawn: Drawn, seed: int, labeled: bool = True) -> Embedding:
    """Deployed series, each through one of the members."""
    return embed(reference, drawn.series, drawn.targets if labeled else None, random_state=seed)
