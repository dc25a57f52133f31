"""The lag curve at initialization predicts which networks learn a long lag; where it does, and where it does not.

``python benchmarks/prediction.py`` trains the 96 networks of each experiment, those of one cell and size in lockstep,
and writes ``results/prediction.csv`` (a row per network), ``results/prediction_auc.csv`` and
``results/prediction.svg``; README.md says how to read them. ``--resume`` keeps what an interrupted run has written.
"""

import argparse
import csv
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray

from recording import RESULTS, cpu_model, write_rows
from throughtime.nn import Init, Scheme, initial_weights
from throughtime.parameters import CellName
from throughtime.stability import pulled_back_norms

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "planted"))

from learning import learn, solved
from tasks import TASKS, Setting

SIZES = (16, 32)
CELLS: tuple[CellName, ...] = ("rnn", "gru", "lstm")
#: Series that the lag curve is taken on, those of a seed that no training has.
PROBED, PROBE_SEED = 64, 1_000_000
#: What the networks of one cell and size start from: sixteen schemes.
WEIGHTS = (Scheme("torch", "torch", "torch"), Scheme("xavier_uniform", "xavier_uniform"), Scheme())
GATED: tuple[Init, ...] = (
    *(replace(scheme, forget_bias=bias) for scheme in WEIGHTS for bias in (None, 1.0, 2.0, 3.0)),
    *(Scheme(biases="chrono", lag=lag) for lag in (10, 30, 100, 300)),
)
PLAIN: tuple[Init, ...] = (
    *("torch", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "identity", "critical"),
    *(Scheme(gain=gain) for gain in (0.5, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 2.0)),
)


@dataclass(frozen=True)
class Experiment:
    """A task of one length at one learning rate; the target is for its AUC, where one is set."""

    name: str
    task: str
    time: int
    lr: float
    target: float | None = None
    first_seed: int = 0

    def setting(self, cell: CellName, hidden_size: int) -> Setting:
        """How the networks of one shape are trained."""
        return Setting(self.task, self.time, cell, self.lr, 2000, hidden_size)


#: The claim, and beside it where it fails: each differs from it in one thing, but for adding's length.  The claim on
#: other weights and series came after the first run, whose results made us think of the score ``alive``.
EXPERIMENTS = (
    Experiment("copy", "copy", 101, 1e-3, 0.9),
    Experiment("copy, lr 1e-2", "copy", 101, 1e-2),
    Experiment("adding", "adding", 61, 1e-3),
    Experiment("copy again", "copy", 101, 1e-3, 0.9, first_seed=1000),
)

#: What is to predict, of log10 G: the more is left the better, or the nearer to what there was, without explosion.
SCORES: dict[str, Callable[[ndarray], ndarray]] = {"left": lambda log_g: log_g, "alive": lambda log_g: -np.abs(log_g)}


def shown(init: Init) -> str:
    """A scheme in a few words."""
    if isinstance(init, str):
        return init
    parts = {"gain": init.gain if init.gain != 1 else None, "forget_bias": init.forget_bias, "lag": init.lag}
    words = [init.biases if init.biases == "chrono" else init.recurrent]
    return " ".join([*words, *(f"{name}={value:g}" for name, value in parts.items() if value is not None)])


def measure(experiment: Experiment, cell: CellName, hidden_size: int) -> Iterator[dict[str, Any]]:
    """A row per network of one shape: what is left of the gradient at the task's lag, and what came of training."""
    setting = experiment.setting(cell, hidden_size)
    inits = PLAIN if cell == "rnn" else GATED
    seeds = range(experiment.first_seed, experiment.first_seed + len(inits))
    started = [initial_weights(setting.net(), *start, torch.float32) for start in zip(inits, seeds, strict=True)]
    weights = {name: torch.stack([one[name] for one in started]) for name in started[0]}
    left = log_gradients(setting, weights)
    losses = learn(setting, weights, seeds)
    lowest = np.where(np.isnan(losses), np.inf, losses).min(0)
    for init, log_g, loss, has in zip(inits, left, lowest, solved(setting, losses), strict=True):
        yield {
            "experiment": experiment.name,
            "time": setting.time,
            "lr": setting.lr,
            "steps": setting.steps,
            "cell": cell,
            "hidden_size": hidden_size,
            "init": shown(init),
            "log10_g": f"{log_g:.3f}",
            "lowest_loss": f"{loss / TASKS[setting.task].trivial:.4f}",
            "solved": int(has),
        }


def log_gradients(setting: Setting, weights: Mapping[str, torch.Tensor]) -> Float64[ndarray, "member"]:
    """log10 of G(time - 1) / G(0): of a direction at the last step what is left at the first, geometric mean."""
    x, _ = TASKS[setting.task].draw(np.random.default_rng(PROBE_SEED), PROBED, setting.time)
    members = len(next(iter(weights.values())))
    by_step = torch.from_numpy(x).transpose(0, 1).expand(members, -1, -1, -1)
    lengths = torch.full((members, PROBED), setting.time)
    (norms,) = pulled_back_norms(setting.net(), weights, by_step, lengths, seed=0, dtype=torch.float64)
    left: ndarray = (norms.total[:, 0] / norms.total[:, -1]).log10().mean(1).numpy()
    return left


def aucs(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The chance that of a network that learned and one that did not the former had the higher score."""
    for experiment in EXPERIMENTS:
        own = [row for row in rows if row["experiment"] == experiment.name]
        parts: dict[str, list[Mapping[str, Any]]] = {"all": own}
        parts |= {cell: [row for row in own if row["cell"] == cell] for cell in CELLS}
        parts["log10 G > -6"] = [row for row in own if float(row["log10_g"]) > -6]
        for score, (part, chosen) in product(SCORES, parts.items()):
            if not chosen:
                continue
            low, auc, high = interval(chosen, score)
            yield {
                "experiment": experiment.name,
                "score": score,
                "networks_of": part,
                "networks": len(chosen),
                "solved": sum(int(row["solved"]) for row in chosen),
                "auc": f"{auc:.3f}",
                "low": f"{low:.3f}",
                "high": f"{high:.3f}",
                "target": experiment.target if part in ("all", "log10 G > -6") else None,
            }


def interval(rows: Sequence[Mapping[str, Any]], score: str, resamples: int = 2000) -> tuple[float, float, float]:
    """AUC with the 95 % interval of a bootstrap over networks; NaN where all or none have learned."""
    learned = np.array([row["solved"] in (1, "1") for row in rows])
    scores = SCORES[score](np.maximum(np.array([float(row["log10_g"]) for row in rows]), -400))  # underflown: the least
    if learned.min() == learned.max():
        return float("nan"), float("nan"), float("nan")
    yes, no = scores[learned], scores[~learned]
    wins = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
    drawn = np.random.default_rng(0).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), resamples)
    of_yes, of_no = drawn[:, learned], drawn[:, ~learned]
    pairs = of_yes.sum(1) * of_no.sum(1)
    found = np.einsum("ry,yn,rn->r", of_yes, wins, of_no)[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(wins.mean()), float(high)


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Lowest loss over the gradient at initialization, a panel per experiment."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(EXPERIMENTS), figsize=(13, 3.6), sharey=True, layout="constrained")
    for panel, experiment in zip(panels, EXPERIMENTS, strict=True):
        own = [row for row in rows if row["experiment"] == experiment.name]
        for cell, mark in zip(CELLS, "^os", strict=True):
            chosen = [row for row in own if row["cell"] == cell]
            left = [max(float(row["log10_g"]), -25) for row in chosen]
            panel.plot(
                left,
                [min(max(float(row["lowest_loss"]), 1e-4), 1.5) for row in chosen],
                mark,
                alpha=0.6,
                label=cell.upper(),
            )
        low, auc, high = interval(own, "left")
        panel.axhline(0.1, color="gray", linestyle=":")
        panel.set(title=f"{experiment.name}: AUC {auc:.2f} [{low:.2f}, {high:.2f}]", xlim=(-26, 3), yscale="log")
        panel.set_xlabel(f"log10 G({experiment.time - 1}) at initialization")
    panels[0].set_ylabel("lowest loss / trivial loss")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resume", action="store_true", help="keep the rows of results/prediction.csv")
    parser.add_argument("--experiment", choices=[one.name for one in EXPERIMENTS], action="append")
    parser.add_argument("--cell", choices=get_args(CellName)[:3], action="append")
    options = parser.parse_args()
    path = RESULTS / "prediction.csv"
    rows: list[dict[str, Any]] = []
    if options.resume and path.exists():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    machine = {"cpu": cpu_model(), "cores": os.cpu_count(), "torch": torch.__version__}
    done = {(row["experiment"], row["cell"], int(row["hidden_size"])) for row in rows}
    for experiment, cell, size in product(EXPERIMENTS, CELLS, SIZES):
        chosen = experiment.name in (options.experiment or [experiment.name]) and cell in (options.cell or [cell])
        if chosen and (experiment.name, cell, size) not in done:
            rows += [row | machine for row in measure(experiment, cell, size)]
            write_rows(path.name, rows)
            print(experiment.name, cell, size, "solved", sum(int(row["solved"]) for row in rows[-16:]), flush=True)
    summary = list(aucs(rows))
    for row in summary:
        print(*row.values(), sep="\t")
    write_rows("prediction_auc.csv", summary)
    plot(rows, RESULTS / "prediction.svg")


if __name__ == "__main__":
    main()
