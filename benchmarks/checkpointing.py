"""Checkpointed BPTT of one long LSTM, ours against all kept and against torch.utils.checkpoint: memory and time.

``python benchmarks/checkpointing.py`` takes the gradients of the weights from the last state alone. Each row's memory
is measured in a process of its own; times are taken in turns in one process. ``results/checkpointing.csv``.
"""

import argparse
import gc
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from recording import cpu_model, write_rows
from throughtime.kernels import SEGMENT, isa_names, recurrent
from timing import paired, ratio, rested_seconds

Forward = Callable[[], Tensor]

BATCH, CHANNELS, UNITS = 32, 2, 128
#: steps, and the lengths of segments: ours, the peer's; None keeps all
SHAPES: tuple[tuple[int, tuple[int | None, ...], tuple[int | None, ...]], ...] = (
    (2_000, (None, SEGMENT), (None, 45, 300)),
    (10_000, (None, 16, SEGMENT, 300), (None, 100, 300)),
    (100_000, (SEGMENT,), (300,)),
)
ROUNDS = {2_000: 7, 10_000: 3}
TARGETS = {"held": 0.1, "seconds": 1.6}  # of 10,000 steps with all kept


def forward_of(side: str, steps: int, segment: int | None) -> tuple[Forward, list[Tensor]]:
    """A forward pass to the last h, and the weights."""
    torch.manual_seed(0)
    x = torch.randn(steps, BATCH, CHANNELS)
    lstm = nn.LSTM(CHANNELS, UNITS)
    weights: list[Tensor] = list(lstm.parameters())
    if side == "ours":
        lengths = torch.full((1, BATCH), steps)

        def ours() -> Tensor:
            w_ih, w_hh, b_ih, b_hh = (w[None] for w in weights)
            _, h_n, _ = recurrent("lstm", x[None], lengths, w_ih, w_hh, b_ih, b_hh, segment=segment, outputs=False)
            return h_n[0]

        return ours, weights

    def theirs() -> Tensor:
        state = torch.zeros(1, BATCH, UNITS), torch.zeros(1, BATCH, UNITS)
        for part in torch.split(x, segment or steps):
            _, state = lstm(part, state) if segment is None else checkpoint(lstm, part, state, use_reentrant=False)
        return state[0][0]

    return theirs, weights


def bytes_of(name: str) -> int:
    """What the system says of this process: ``VmRSS`` now, ``VmHWM`` at the most."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def memory(side: str, steps: int, segment: int | None) -> tuple[int, int]:
    """Bytes that the forward pass leaves behind for the backward pass, and the most that both take."""
    few, weights = forward_of(side, 64, 16 if segment else None)
    torch.autograd.grad(few().sum(), weights)  # what a first call takes once
    forward, weights = forward_of(side, steps, segment)
    before = bytes_of("VmRSS")
    last = forward()
    held = bytes_of("VmRSS") - before
    torch.autograd.grad(last.sum(), weights)
    return held, bytes_of("VmHWM") - before


@cache
def measured(side: str, steps: int, segment: int | None) -> tuple[int, ...]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", side, str(steps), str(segment or 0), f"--threads={THREADS}"]
    return tuple(map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()))


def gradients(side: str, steps: int, segment: int | None) -> Callable[[], tuple[Tensor, ...]]:
    """Both passes."""
    forward, weights = forward_of(side, steps, segment)
    return lambda: torch.autograd.grad(forward().sum(), weights)


def row(side: str, steps: int, segment: int | None, rounds: int | None) -> dict[str, object]:
    """Memory and time, and both over those of our own call that keeps all."""
    held, peak = measured(side, steps, segment)
    call, whole = gradients(side, steps, segment), gradients("ours", steps, None)
    found: dict[str, object] = {"side": side, "time": steps, "segment": segment or ""}
    found |= {"held_bytes": held, "peak_bytes": peak}
    if steps > 10_000:  # all of it would not fit
        return found | {"seconds": f"{rested_seconds(call):.2f}"}
    if side == "ours" and segment:
        assert all(map(torch.equal, call(), whole())), "segments changed a bit"
    mine, others = paired(call, whole, rounds or ROUNDS[steps], rested_seconds)
    found["seconds"] = f"{statistics.median(mine):.3f}"
    found["held_ratio"] = f"{held / measured('ours', steps, None)[0]:.4f}"
    found["seconds_ratio"] = f"{1 / ratio(mine, others):.2f}"
    if steps == 10_000 and side == "ours" and segment == SEGMENT:
        found |= {f"target_{name}_ratio": most for name, most in TARGETS.items()}
    return found


def main() -> None:
    global THREADS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar="X", help="memory of one: side, steps, segment")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, help="pairs of timed calls, instead of enough to trust them")
    options = parser.parse_args()
    THREADS = options.threads
    torch.set_num_threads(THREADS)
    if options.one:
        side, steps, segment = options.one
        print(*memory(side, int(steps), int(segment) or None))
        return
    targets = [f"target_{name}_ratio" for name in TARGETS]
    columns = [
        "side",
        "time",
        "segment",
        "held_bytes",
        "peak_bytes",
        "seconds",
        "held_ratio",
        "seconds_ratio",
        *targets,
    ]
    rows = []
    for steps, ours, theirs in SHAPES:
        for side, segment in [("ours", s) for s in ours] + [("torch", s) for s in theirs]:
            found = row(side, steps, segment, options.rounds)
            rows.append(
                {name: found.get(name, "") for name in columns}
                | {
                    "batch": BATCH,
                    "units": UNITS,
                    "cpu": cpu_model(),
                    "cores": os.cpu_count(),
                    "threads": THREADS,
                    "isa": isa_names()[0],
                    "torch_version": torch.__version__,
                }
            )
            print({name: rows[-1][name] for name in columns}, flush=True)
    write_rows("checkpointing.csv", rows)


THREADS = 2

if __name__ == "__main__":
    main()
