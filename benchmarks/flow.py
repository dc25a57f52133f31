"""What watching gradients through time costs: our monitors, and what a person would set up in torch, in turns.

``python benchmarks/flow.py`` trains without and with, each pair side by side in this process, and writes the medians of
the pairs' ratios to ``results/flow.csv``. Ours: ``monitor="flow"`` (probes every 25 steps) and ``"flow-every-step"``.
All on one thread and by processor time, which neighbors on a shared machine move less than they do the clock.
torch's: ``nn.LSTM`` or ``nn.GRU`` in a plain loop, against the same with histograms of every parameter's gradient, as
``wandb.watch`` hooks them (which says nothing of time), every 25 steps and every step; and against a loop of cells
whose states retain their gradients, which says what the monitor of every step does.
"""

import argparse
import statistics
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recording import cpu_model, write_rows
from throughtime import SequenceClassifier, fit_members
from throughtime.errors import FlowWarning
from throughtime.parameters import CellName
from timing import paired, processor_seconds, ratios

SHAPES: tuple[tuple[CellName, int, int, int, int], ...] = (
    # cell, units, layers, steps in time, members
    ("gru", 32, 1, 100, 10),
    ("lstm", 64, 1, 100, 10),
    ("gru", 64, 2, 100, 5),
    ("gru", 64, 1, 100, 1),
    ("gru", 16, 1, 29, 10),  # so small that what Python does counts
)
CHANNELS, BATCH, SERIES, CLASSES = 2, 32, 320, 3
TARGETS = {"flow": 0.03, "flow-every-step": 0.10}
CELLS = {"gru": (nn.GRU, nn.GRUCell), "lstm": (nn.LSTM, nn.LSTMCell)}
#: Bins of wandb's histograms.
BINS = 64
EVERY = 25


class TorchTraining:
    """A plain loop of torch, one layer on the other, and what watches it."""

    def __init__(self, cell: str, units: int, layers: int, x: Tensor, y: Tensor) -> None:
        torch.manual_seed(0)
        self.layers = CELLS[cell][0](CHANNELS, units, layers, batch_first=True)
        self.cells = nn.ModuleList(CELLS[cell][1](CHANNELS if k == 0 else units, units) for k in range(layers))
        self.readout, self.x, self.y = nn.Linear(units, CLASSES), x, y

    def last_state(self, x: Tensor) -> Tensor:
        """Of the fused layers."""
        outputs: Tensor = self.layers(x)[0][:, -1]
        return outputs

    def last_retained(self, x: Tensor) -> Tensor:
        """Of a loop of cells, each of whose states keeps its gradient."""
        self.states: list[Tensor] = []
        sequence = list(x.unbind(1))
        for cell in self.cells:
            state: Any = None
            for t, at in enumerate(sequence):
                state = cell(at, state)
                parts = state if isinstance(state, tuple) else (state,)
                for part in parts:
                    part.retain_grad()
                self.states += parts
                sequence[t] = parts[0]
        return sequence[-1]

    def train(self, steps: int, *, histograms_every: int = 0, retained: bool = False) -> None:
        """Take some steps of Adam."""
        body = self.cells if retained else self.layers
        weights = [*body.parameters(), *self.readout.parameters()]
        optimizer = torch.optim.Adam(weights, 1e-3)
        taken = 0
        kept: list[Any] = []

        def note(grad: Tensor) -> None:
            if histograms_every and taken % histograms_every == 0:
                flat = grad.detach().flatten()
                low, high = flat.min().item(), flat.max().item()
                kept.append((flat.histc(BINS, low, high).tolist(), low, high))

        hooks = [weight.register_hook(note) for weight in weights] if histograms_every else []
        for step in range(steps):
            taken = step
            batch = slice(step * BATCH % SERIES, step * BATCH % SERIES + BATCH)
            last = self.last_retained(self.x[batch]) if retained else self.last_state(self.x[batch])
            optimizer.zero_grad()
            functional.cross_entropy(self.readout(last), self.y[batch]).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            if retained:
                kept.append([state.grad.norm(dim=1) for state in self.states if state.grad is not None])
        for hook in hooks:
            hook.remove()


def row(
    shape: tuple[Any, ...], what: str, without: Callable[[], object], watched: Callable[[], object], rounds: int
) -> dict[str, Any]:
    """The overhead of one way: the median of the pairs' ratios, and the quartiles."""
    plain, other = paired(without, watched, rounds, processor_seconds)
    found = sorted(one - 1 for one in ratios(plain, other))
    quartiles = statistics.quantiles(found, n=4)
    target = TARGETS.get(what)
    cell, units, layers, steps, members = shape
    result = {
        "cell": cell,
        "hidden_size": units,
        "num_layers": layers,
        "time": steps,
        "members": members,
        "watched_by": what,
        "seconds_without": round(statistics.median(plain), 3),
        "overhead_percent": round(100 * statistics.median(found), 1),
        "low_percent": round(100 * quartiles[0], 1),
        "high_percent": round(100 * quartiles[2], 1),
        "target_percent": "" if target is None else 100 * target,
        "rounds": rounds,
        "cpu": cpu_model(),
        "torch": torch.__version__,
    }
    print(f"{cell} {units} x{layers}, T={steps}, {members} members, {what}: {result['overhead_percent']} % "
          f"({result['low_percent']} to {result['high_percent']})", flush=True)  # fmt: skip
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="pairs of each")
    parser.add_argument("--epochs", type=int, default=25, help="of 10 steps each; from 13 on probes are 25 steps apart")
    parser.add_argument("--without-peers", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", FlowWarning)
    torch.set_num_threads(1)
    rows = []
    for shape in SHAPES:
        _, units, layers, steps, members = shape
        rng = np.random.default_rng(0)
        x = rng.normal(size=(SERIES, steps, CHANNELS)).astype(np.float32)
        y = rng.integers(CLASSES, size=SERIES)

        def ours(monitor: str | None, shape: Any = shape, x: Any = x, y: Any = y) -> Callable[[], object]:
            cell, units, layers, _, members = shape
            nets = [
                SequenceClassifier(
                    cell=cell,
                    hidden_size=units,
                    num_layers=layers,
                    lr=1e-3,
                    max_epochs=options.epochs,
                    random_state=seed,
                    monitor=monitor,  # type: ignore[arg-type]
                )
                for seed in range(members)
            ]
            return lambda: fit_members(nets, x, y)

        rows += [row(shape, monitor, ours(None), ours(monitor), options.rounds) for monitor in TARGETS]
        if options.without_peers or members > 1:
            continue
        for kind in ("gru", "lstm"):
            alone = TorchTraining(kind, units, layers, torch.from_numpy(x), torch.from_numpy(y))
            at = kind, units, layers, steps, 1

            plain = partial(alone.train, 2 * EVERY)
            for every, what in ((EVERY, "torch, histograms every 25 steps"), (1, "torch, histograms every step")):
                watched = partial(alone.train, 2 * EVERY, histograms_every=every)
                rows.append(row(at, what, plain, watched, options.rounds))
            retained = partial(alone.train, 2 * EVERY, retained=True)
            what = "torch, loop of cells that retain gradients"
            rows.append(row(at, what, plain, retained, max(3, options.rounds // 3)))
    write_rows("flow.csv", rows)


if __name__ == "__main__":
    main()
