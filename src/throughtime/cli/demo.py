"""``throughtime demo``: a river's discharge each day from the weather, and what a leaky split would claim."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy import ndarray
from sklearn.metrics import r2_score

from throughtime.cli.fit import fit
from throughtime.cli.screen import console, mean_of
from throughtime.data import Dataset, Sequences, load_dataset
from throughtime.estimators import SequenceRegressor, fit_members
from throughtime.study import Study, with_seed
from throughtime.training import shown

#: Chosen by the cross-validation over the years 1980-85, not by the test years.
SETTINGS = {
    "cell": "lstm",
    "hidden_size": "32",
    "batch_size": "8",
    "target_transform": "sqrt",
}
SEEDS = 3


def demo(out: Path | None) -> Study:
    """Fit on whole years with others held out, then show what days split at random would have claimed."""
    console().print(
        "Discharge of the river Fulda each day, from temperature and precipitation; each month is predicted\n"
        "with 90 days of weather before it. Whole years are the folds, and 1986-88 is never trained on.\n"
    )
    study = fit("fulda:train", {"test": "fulda:test"}, {"cv": "group", "seeds": SEEDS}, SETTINGS, out=out)
    claimed = random_days(load_dataset("fulda"))
    honest = study.assessment.scores.test["R2"]
    console().print(
        f"\nA random-day split of the same nine years would have claimed [bold]{mean_of(claimed)}[/bold];\n"
        f"on three whole years never seen it is [bold]{mean_of(honest)}[/bold] (R2 of discharge, hydrology's NSE).\n"
        "A river remembers for weeks, so a day's neighbors in training give it away.",
        soft_wrap=True,
    )
    console().print("\nOne catchment and nine years: a demonstration, not hydrology.", style="dim")
    return study


def random_days(data: Dataset) -> list[float]:
    """R2 on a third of the days drawn at random, the others trained on: the split that leaks; one per seed."""
    assert isinstance(data.y, Sequences)
    observed = np.flatnonzero(~np.isnan(data.y.values[:, 0]))
    hidden = np.random.default_rng(0).choice(observed, len(observed) // 3, replace=False)
    values = data.y.values.copy()
    truth: ndarray = values[hidden, 0].copy()
    values[hidden] = np.nan
    shown_days = replace(data, y=Sequences(values, data.y.offsets))
    words = {name: int(text) if text.isdigit() else text for name, text in SETTINGS.items()}
    model = SequenceRegressor(**words)  # type: ignore[arg-type]
    with shown("random days", True) as report:
        members = [with_seed(model, seed) for seed in range(SEEDS)]
        fitted = fit_members(members, shown_days.X, shown_days.y, on_epoch=report)
    scores = []
    for member in fitted:
        if isinstance(member, Exception):
            raise member
        scores.append(float(r2_score(truth, member.predict(data.X).values[hidden, 0])))
    return scores
