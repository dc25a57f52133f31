"""Training and inference of one recurrent layer: torch.nn and ours, side by side, against the machine's FMA peak.

``python benchmarks/kernels.py`` writes ``results/kernels.csv`` and ``results/kernels.svg``; README.md says how to
read them. ``--quick`` takes fewer rounds and writes nothing.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from recording import RESULTS, cpu_model, write_rows
from throughtime.kernels import GATES, native, recurrent

SHAPES = ((100, 32, 8, 32), (100, 32, 16, 64), (200, 64, 16, 128), (100, 64, 64, 256), (50, 64, 256, 512))
KINDS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn_tanh": torch.nn.RNN}
#: Shares of the FMA peak and ratios to torch demanded in training, a column a shape.
TARGET_SHARE = {"lstm": (35, 60, 70, 75, 70), "gru": (30, 50, 60, 70, 65), "rnn_tanh": (30, 50, 60, 70, 65)}
TARGET_RATIO = {"lstm": (3, 3, 2.5, 1.8, 1.1), "gru": (12, 8, 4.5, 2.8, 2), "rnn_tanh": (12, 8, 4, 2.5, 2)}


def operations(kind: str, time_: int, batch: int, channels: int, hidden: int, training: bool) -> float:
    """Multiplications and additions of the matrix products alone; training takes no gradient of x."""
    of_x = 2.0 * time_ * batch * GATES[kind] * hidden * channels
    of_h = 2.0 * time_ * batch * GATES[kind] * hidden * hidden
    return 2 * of_x + 3 * of_h if training else of_x + of_h


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(calls: list[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Times of each call, taken in turns: a neighbor's noise falls on all of them."""
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, of_call in zip(calls, times, strict=True):
            of_call.append(seconds(call))
    return times


def peak(threads: int) -> float:
    """Operations a second of fused multiply-adds on registers, the best of three short loops."""
    isa = os.environ.get(native.ISA_VARIABLE, "")
    return max(float(native.extension().fma_peak_f32(threads, 0.2, isa)) for _ in range(3))


def layers(
    kind: str, members: int, shape: tuple[int, int, int, int], lengths: torch.Tensor | None = None
) -> tuple[dict[str, Callable[[], object]], dict[str, Callable[[], object]]]:
    """Our calls and torch's: training and inference of ``members`` layers, torch's one after the other."""
    steps, batch, channels, hidden = shape
    torch.manual_seed(0)
    modules = [KINDS[kind](channels, hidden) for _ in range(members)]
    x = torch.randn(steps, batch, channels)
    dy = torch.randn(steps, batch, hidden)
    weights = [
        torch.stack([getattr(module, f"{name}_l0").detach() for module in modules]).requires_grad_()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    shared = x.expand(members, -1, -1, -1)
    full = torch.full((members, batch), steps) if lengths is None else lengths

    def train_ours() -> None:
        y = recurrent(kind, shared, full, *weights)[0]  # type: ignore[arg-type]
        torch.autograd.grad(y, weights, dy.expand_as(y))

    def train_torch() -> None:
        for module in modules:
            torch.autograd.grad(module(x)[0], list(module.parameters()), dy)

    def infer_ours() -> None:
        with torch.no_grad():
            recurrent(kind, shared, full, *weights)  # type: ignore[arg-type]

    def infer_torch() -> None:
        with torch.no_grad():
            for module in modules:
                module(x)

    return {"train": train_ours, "infer": infer_ours}, {"train": train_torch, "infer": infer_torch}


def measure(rounds: int, threads: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []

    def add(kind: str, mode: str, members: int, shape: tuple[int, int, int, int], rounds: int) -> None:
        ours, theirs = layers(kind, members, shape)
        best = peak(threads)
        mine, other = interleaved([ours[mode], theirs[mode]], rounds)
        count = members * operations(kind, *shape, training=mode == "train")
        share, torch_share = (100 * count / statistics.median(t) / best for t in (mine, other))
        ratio = statistics.median(b / a for a, b in zip(mine, other, strict=True))
        rows.append(
            {
                "kind": kind,
                "mode": mode,
                "members": members,
                **dict(zip(("time", "batch", "channels", "hidden"), shape, strict=True)),
                "ours_ms": round(1e3 * statistics.median(mine), 3),
                "torch_ms": round(1e3 * statistics.median(other), 3),
                "ratio": round(ratio, 2),
                "peak_gflops": round(best / 1e9, 1),
                "ours_percent": round(share, 1),
                "torch_percent": round(torch_share, 1),
            }
        )
        print(" ".join(f"{key}={value}" for key, value in rows[-1].items()), flush=True)

    for kind in KINDS:
        for shape in SHAPES:
            add(kind, "train", 1, shape, rounds)
        add(kind, "train", 10, SHAPES[0], rounds)
        add(kind, "train", 10, SHAPES[1], max(3, rounds // 2))
        for batch in (1, 64):
            add(kind, "infer", 1, (1, batch, 16, 128), 20 * rounds)
            add(kind, "infer", 1, (100, batch, 16, 128), rounds)
    return rows


def ragged_share(rounds: int) -> float:
    """Training time of a batch whose mean length is half the longest, over that of the batch padded."""
    shape = (200, 64, 16, 128)
    lengths = torch.linspace(1, 200, 64).round().long()[torch.randperm(64)][None]
    assert abs(float(lengths.float().mean()) - 100) < 1
    ragged, padded = layers("lstm", 1, shape, lengths)[0], layers("lstm", 1, shape)[0]
    mine, whole = interleaved([ragged["train"], padded["train"]], rounds)
    return statistics.median(a / b for a, b in zip(mine, whole, strict=True))


def plot(rows: list[dict[str, object]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(KINDS), figsize=(10, 3.4), sharey=True, layout="constrained")
    for panel, kind in zip(panels, KINDS, strict=True):
        chosen = [r for r in rows if r["kind"] == kind and r["mode"] == "train" and r["members"] == 1]
        hidden = [r["hidden"] for r in chosen]
        panel.plot(hidden, [r["ours_percent"] for r in chosen], "o-", label="throughtime")
        panel.plot(hidden, [r["torch_percent"] for r in chosen], "s-", label="torch.nn")
        panel.plot(hidden, TARGET_SHARE[kind], ":", color="gray", label="target")
        panel.set(title=kind, xlabel="hidden size", xscale="log", ylim=(0, 100))
        panel.set_xticks(hidden, [str(h) for h in hidden])
        panel.minorticks_off()
    panels[0].set_ylabel("training, % of the FMA peak")
    panels[0].legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, nothing written")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rounds = 3 if options.quick else 11
    rows = measure(rounds, options.threads)
    ragged = ragged_share(rounds)
    print(f"ragged/padded={ragged:.2f}")
    if options.quick:
        return
    machine = {
        "ragged_over_padded": round(ragged, 2),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "isa": os.environ.get(native.ISA_VARIABLE) or native.isa_names()[0],
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    write_rows("kernels.csv", [{**row, **machine} for row in rows])
    plot(rows, RESULTS / "kernels.svg")


if __name__ == "__main__":
    main()
