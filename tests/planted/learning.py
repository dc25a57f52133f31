"""Train networks of one shape on fresh series of a planted task, in lockstep."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from numpy import ndarray
from tasks import BATCH, BLOCK, CLIP_NORM, SOLVED, TASKS, Setting
from torch import Tensor

from throughtime.kernels import one_thread
from throughtime.nn import forward
from throughtime.training.layout import Layout, copy_all
from throughtime.training.losses import elementwise, totals
from throughtime.training.optimizers import Optimizer

Weights = dict[str, Float[Tensor, "member ..."]]


def learn(setting: Setting, weights: Mapping[str, Tensor], seeds: Sequence[int]) -> Float64[ndarray, "block member"]:
    """Each member's mean loss over every 50 steps; the loss of a step is taken before it, on series not yet seen.

    Parameters
    ----------
    weights
        Where the members start; left as they are.
    seeds
        Of each member's series.
    """
    net, layout = setting.net(), Layout({name: tuple(w.shape[1:]) for name, w in weights.items()})
    flat = layout.flatten(list(weights.values()))
    leaves = {name: view.detach().requires_grad_() for name, view in layout.views(flat).items()}
    grads = torch.zeros_like(flat)
    places = list(layout.views(grads).values())
    everyone = torch.ones(len(seeds), dtype=torch.bool)
    rates, clip_norms = torch.full((len(seeds),), setting.lr), torch.full((len(seeds),), CLIP_NORM)
    optimizer = Optimizer("adam", torch.zeros_like(flat), torch.zeros(len(seeds)))
    lengths = torch.full((len(seeds), BATCH), setting.time)
    sums = np.zeros((setting.steps // BLOCK, len(seeds)))
    with one_thread():
        for step, (x, targets) in enumerate(batches(setting, seeds)):
            outputs = forward(net, leaves, x, lengths)
            losses = elementwise(TASKS[setting.task].loss, outputs, targets)
            mean = torch.full_like(losses, 1 / BATCH)
            copy_all(torch.autograd.grad(losses, list(leaves.values()), mean), places)
            optimizer.step(flat, grads, rates, clip_norms, everyone)
            sums[step // BLOCK] += (totals(losses.detach()) / BATCH).numpy()
    return sums / BLOCK


def batches(setting: Setting, seeds: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs (member, time, batch, channel) and targets (member, batch) of every step, each member's from its seed."""
    for block in range(setting.steps // BLOCK):
        drawn = {seed: _block(setting, seed, block) for seed in set(seeds)}
        x = torch.stack([drawn[seed][0] for seed in seeds], 1)
        targets = torch.stack([drawn[seed][1] for seed in seeds], 1)
        yield from zip(x, targets, strict=True)


def _block(setting: Setting, seed: int, block: int) -> tuple[Tensor, Tensor]:
    x, targets = TASKS[setting.task].draw(np.random.default_rng((seed, block)), BLOCK * BATCH, setting.time)
    by_step = torch.from_numpy(x).view(BLOCK, BATCH, *x.shape[1:]).transpose(1, 2)
    return by_step.contiguous(), torch.from_numpy(targets).view(BLOCK, BATCH)


def solved(setting: Setting, losses: Float64[ndarray, "block member"]) -> Bool[ndarray, "member"]:
    """Which members have had a mean loss below a tenth of the trivial one."""
    ever: ndarray = np.logical_or.reduce(losses < SOLVED * TASKS[setting.task].trivial)
    return ever
