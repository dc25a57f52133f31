"""Training and inference of one recurrent layer: ours beside torch.nn, JAX and ONNX Runtime, against the FMA peak.

``python benchmarks/kernels.py`` writes ``results/kernels.csv`` and ``results/kernels.svg``; README.md says how to
read them. ``--quick`` takes few rounds of the small shapes and writes nothing.
"""

import argparse
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recording import RESULTS, cpu_model, write_rows
from throughtime import nn
from throughtime.kernels import CELLS, ISA_VARIABLE, native, recurrent
from timing import Call, paired, ratio, warm_seconds
from timing.peak import peak

SHAPES = ((100, 32, 8, 32), (100, 32, 16, 64), (200, 64, 16, 128), (100, 64, 64, 256), (50, 64, 256, 512))
#: Ours and torch's.
LAYERS = {
    "lstm": (nn.LSTM, torch.nn.LSTM),
    "gru": (nn.GRU, torch.nn.GRU),
    "rnn_tanh": (nn.RNN, torch.nn.RNN),
}
PEERS = ("torch", "jax", "onnxruntime", "flushed")
#: Shares of the FMA peak and ratios to torch demanded in training, a column a shape.
TARGET_SHARE = {"lstm": (35, 60, 70, 75, 70), "gru": (30, 50, 60, 70, 65), "rnn_tanh": (30, 50, 60, 70, 65)}
TARGET_RATIO = {"lstm": (3, 3, 2.5, 1.8, 1.1), "gru": (12, 8, 4.5, 2.8, 2), "rnn_tanh": (12, 8, 4, 2.5, 2)}

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What a row measures: ``mode`` is train, infer or faded, which is training on deltas that fade to denormals."""

    kind: str
    mode: str
    members: int
    time: int
    batch: int
    channels: int
    hidden: int

    def operations(self) -> float:
        """Multiplications and additions of the matrix products alone; training takes no gradient of x."""
        rows = 2.0 * self.members * self.time * self.batch * len(CELLS[self.kind].gates) * self.hidden
        of_x, of_h = rows * self.channels, rows * self.hidden
        return of_x + of_h if self.mode == "infer" else 2 * of_x + 3 * of_h

    def targets(self) -> tuple[object, object]:
        """Share of the peak in percent, ratio to torch; empty where none is set."""
        shape = (self.time, self.batch, self.channels, self.hidden)
        if self.mode == "infer":
            return "", 1
        if self.mode == "faded":
            return "", ""
        ours, theirs = (target[self.kind][SHAPES.index(shape)] for target in (TARGET_SHARE, TARGET_RATIO))
        return (ours if self.members == 1 else ""), theirs


def cases(quick: bool) -> list[Case]:
    found = []
    for kind in LAYERS:
        found += [Case(kind, "train", 1, *shape) for shape in (SHAPES[:2] if quick else SHAPES)]
        found += [Case(kind, "train", 10, *shape) for shape in SHAPES[: 1 if quick else 2]]
        found += [Case(kind, "infer", 1, steps, batch, 16, 128) for batch in (1, 64) for steps in (1, 100)]
        found += [] if quick else [Case(kind, "faded", 1, 400, 32, 16, 128)]
    return found


def sides(case: Case, threads: int, lengths: torch.Tensor | None = None) -> dict[str, Call]:
    """A call for each side that can do the case, after a look at whether all of them give the same."""
    ours, theirs = LAYERS[case.kind]
    torch.manual_seed(0)
    modules: list[Any] = [theirs(case.channels, case.hidden) for _ in range(case.members)]
    layer: Any = ours(case.channels, case.hidden)
    layer.load_state_dict(modules[0].state_dict())
    x, dy = torch.randn(case.time, case.batch, case.channels), torch.randn(case.time, case.batch, case.hidden)
    state = (torch.zeros(1, case.batch, case.hidden),) * (2 if case.kind == "lstm" else 1)
    hx: Any = state if case.kind == "lstm" else state[0]
    stacked = [
        torch.stack([parameter.detach() for parameter in parameters]).requires_grad_()
        for parameters in zip(*(module.parameters() for module in modules), strict=True)
    ]
    shared = x.expand(case.members, -1, -1, -1)
    full = torch.full((case.members, case.batch), case.time)

    def train_torch() -> list[torch.Tensor]:
        each = [torch.autograd.grad(module(x)[0], list(module.parameters()), dy) for module in modules]
        return list(each[0])

    def train_layer() -> list[torch.Tensor]:
        return list(torch.autograd.grad(layer(x, lengths=lengths)[0], list(layer.parameters()), dy))

    def train_members() -> list[torch.Tensor]:
        y = recurrent(case.kind, shared, full, *stacked)[0]  # type: ignore[arg-type]
        return [grad[0] for grad in torch.autograd.grad(y, stacked, dy.expand_as(y))]

    def train_faded(module: Any) -> Callable[[], list[torch.Tensor]]:
        def call() -> list[torch.Tensor]:
            ends = module(x)[1]
            h_n = ends[0] if case.kind == "lstm" else ends
            return list(torch.autograd.grad(h_n, list(module.parameters()), torch.full_like(h_n, 1e-3)))

        return call

    def flushed() -> list[torch.Tensor]:
        torch.set_flush_denormal(True)
        try:
            return train_faded(layer)()
        finally:
            torch.set_flush_denormal(False)

    def infer(module: Any) -> Callable[[], list[torch.Tensor]]:
        @torch.no_grad()
        def call() -> list[torch.Tensor]:
            return [module(x, hx)[0]]

        return call

    calls: dict[str, Call]
    if case.mode == "infer":
        calls = {"ours": infer(layer), "torch": infer(modules[0])}
    elif case.mode == "faded":
        calls = {"ours": train_faded(layer), "torch": train_faded(modules[0]), "flushed": flushed}
    else:
        calls = {"ours": train_layer if case.members == 1 else train_members, "torch": train_torch}
    if case.members > 1 or lengths is not None:
        return calls

    results: dict[str, Callable[[], Any]] = dict(calls)
    if case.mode != "faded":
        from peers import jax_scan, onnx_runtime

        jax = [
            jax_scan.layer(case.kind, modules[0], x, dy if case.mode == "train" else None, before)
            for before in (False, True)
        ]
        calls["jax"], results["jax"] = min(jax, key=lambda one: min(warm_seconds(one[0]) for _ in range(3)))
        if case.mode == "infer":
            calls["onnxruntime"], results["onnxruntime"] = onnx_runtime.layer(case.kind, modules[0], x, threads)
    tolerance = 1e-5 if case.mode == "infer" else 1e-4
    for result in results.values():
        for found, expected in zip(result(), results["torch"](), strict=True):
            scale = 1.0 if case.mode == "infer" else float(abs(expected).max())
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)
    return calls


def measure(case: Case, rounds: int, threads: int) -> Row:
    """Ours beside each peer, pair by pair, so that only the peers meet whose threads must have gone to rest."""
    calls = sides(case, threads)
    before = peak(threads)
    times: dict[str, list[float]] = {"ours": []}
    row: Row = dict(zip(("kind", "mode", "members", "time", "batch", "channels", "hidden"), astuple(case), strict=True))
    found: dict[str, float] = {}
    for peer in calls.keys() - {"ours"}:
        mine, times[peer] = paired(calls["ours"], calls[peer], rounds)
        times["ours"] += mine
        found[peer] = ratio(mine, times[peer])
    best = max(before, peak(threads))  # a neighbor may have slowed one of them
    median = {side: statistics.median(own) for side, own in times.items()}
    for side in ("ours", *PEERS):
        row[f"{side}_ms"] = f"{1e3 * median[side]:.4g}" if side in median else ""
    for side in PEERS:
        row[f"{side}_ratio"] = f"{found[side]:.2f}" if side in found else ""
    row["peak_gflops"] = round(best / 1e9, 1)
    for side in ("ours", *PEERS):
        row[f"{side}_percent"] = f"{100 * case.operations() / median[side] / best:.1f}" if side in median else ""
    row["target_percent"], row["target_torch_ratio"] = case.targets()
    return row


def ragged_share(rounds: int, threads: int) -> float:
    """Training time of a batch whose mean length is half the longest, over that of the batch padded."""
    case = Case("lstm", "train", 1, 200, 64, 16, 128)
    lengths = torch.linspace(1, 200, 64).round().long()[torch.randperm(64)]
    assert abs(float(lengths.float().mean()) - 100) < 1
    full = torch.full((64,), 200)
    padded, ragged = (sides(case, threads, own)["ours"] for own in (full, lengths))
    return ratio(*paired(padded, ragged, rounds))


def plot(rows: list[Row], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(LAYERS), figsize=(10, 3.4), sharey=True, layout="constrained")
    for panel, kind in zip(panels, LAYERS, strict=True):
        chosen = [r for r in rows if r["kind"] == kind and r["mode"] == "train" and r["members"] == 1]
        hidden = [r["hidden"] for r in chosen]
        for side, label, mark in (("ours", "throughtime", "o"), ("torch", "torch.nn", "s"), ("jax", "JAX scan", "^")):
            panel.plot(hidden, [float(r[f"{side}_percent"]) for r in chosen], f"{mark}-", label=label)
        panel.plot(hidden, [r["target_percent"] for r in chosen], ":", color="gray", label="target")
        panel.set(title=kind.partition("_")[0].upper(), xlabel="hidden size", xscale="log", ylim=(0, 100))
        panel.set_xticks(hidden, [str(h) for h in hidden])
        panel.minorticks_off()
    panels[0].set_ylabel("training, % of the FMA peak")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds of the small shapes, nothing written")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.environ["NPROC"] = str(options.threads)  # how XLA is told, before jax is imported
    rows = []
    for case in cases(options.quick):
        # what takes long is steadier
        rounds = 3 if options.quick else 11 if case.hidden < 256 else 7
        rows.append(measure(case, rounds, options.threads))
        print(" ".join(f"{key}={value}" for key, value in rows[-1].items() if value != ""), flush=True)
    ragged = ragged_share(3 if options.quick else 11, options.threads)
    print(f"ragged/padded={ragged:.2f}")
    if options.quick:
        return
    isa = os.environ.get(ISA_VARIABLE, "")
    machine = {
        "ragged_over_padded": round(ragged, 2),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "cpu_isa": native.isa_names()[0],
        "isa": isa or native.isa_names()[0],
        "torch_isa": torch.backends.cpu.get_cpu_capability(),
        **{name: version(name) for name in ("torch", "jax", "jaxlib", "onnxruntime")},
        "python": platform.python_version(),
    }
    name = f"kernels-{isa}" if isa else "kernels"
    write_rows(f"{name}.csv", [row | machine for row in rows])
    plot(rows, RESULTS / f"{name}.svg")


if __name__ == "__main__":
    main()
