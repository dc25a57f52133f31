"""The lockstep loop: all members of a group take each step together, each bit for bit as if alone.

The laws it keeps (``docs/decisions/0002-bits-in-company.md``): one thread of torch, sides of products padded to the
lane, sums in order, random streams keyed by the member's own seed, and nothing shared between members but the inputs.
Bits are kept on the CPU; on CUDA a library picks a product's way by the number of members.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from throughtime.errors import DivergenceError, ParameterError
from throughtime.kernels import one_thread, ordered_sum
from throughtime.nn import Net, initial_weights, weight_shapes
from throughtime.records import EpochRecord
from throughtime.training.checkpoints import Checkpoints
from throughtime.training.digests import digests_of
from throughtime.training.evaluation import evaluate
from throughtime.training.group import Group, stack_members
from throughtime.training.losses import elementwise, totals, weighted_totals
from throughtime.training.members import Inputs, Member, Recipe, Trained
from throughtime.training.observers import Observer, Watch, watch_of
from throughtime.training.optimizers import Optimizer
from throughtime.training.passes import run_pass
from throughtime.training.perturbed_steps import check_perturbations
from throughtime.training.schedules import Schedule
from throughtime.training.state import GroupState, MemberState
from throughtime.training.streams import Purpose, derived_seed


def train(
    net: Net,
    recipe: Recipe,
    inputs: Inputs,
    members: Sequence[Member],
    *,
    observers: Sequence[Observer] = (),
    state: GroupState | None = None,
    places: Sequence[int] | None = None,
    checkpoints: Checkpoints | None = None,
) -> list[Trained]:
    """Train all members together.

    Parameters
    ----------
    net, recipe
        What the members have in common.
    inputs
        The series that all of them take their samples from.
    observers
        Called after each step and each epoch, and at probes.
    state
        Where an earlier run of the same members stood; it goes on from there, bit for bit as if it had not ended. The
        state itself is left as it is.
    places
        Numbers by which observers know the members; their places in the list by default.
    checkpoints
        Where the state is kept at ends of epochs, and looked for instead of ``state``.

    Returns
    -------
    One result per member, in order. A member whose loss or weights are no longer finite ends with a ``DivergenceError``
    in ``failure``; the others do not notice.

    Raises
    ------
    ParameterError
        For a state of other members, or of another network, recipe or inputs, and for one beside checkpoints; for
        observers that are none or ask for what there is not; for a perturbation that gives what does not fit.
    StorageError
        For a checkpoint that cannot be written, or read.
    """
    if not members:
        return []
    watch = watch_of(observers)
    check_perturbations(members, recipe)
    if state is not None and not isinstance(state, GroupState):
        raise ParameterError(
            f"state needs a GroupState, got {type(state).__name__}; GroupState.from_arrays makes one of arrays"
        )
    if places is not None and (len(places) != len(members) or len(set(places)) < len(places)):
        raise ParameterError(f"places needs a number of its own for each of {len(members)} members, got {list(places)}")
    if checkpoints is not None and state is not None:
        raise ParameterError("train needs either a state or checkpoints to go on from, got both")
    digests = cache(partial(digests_of, net, recipe, inputs, members))
    places = range(len(members)) if places is None else places
    keeper = None
    if checkpoints is not None:
        keeper = checkpoints.keeper(digests, places, observers)
        state = keeper.resume()
        observers = [*observers, keeper]
    if state is not None:
        _check_state(state, net, recipe, digests())
        state = state.copy(recipe.device)
        for member, place in zip(state.members, places, strict=True):
            member.place = place
        for observer in observers:
            observer.on_resume(state)
    running = range(len(members)) if state is None else state.running
    if running:
        with one_thread():
            group = stack_members(net, recipe, inputs, [members[m] for m in running], [places[m] for m in running])
            state = state or _first_state(group, digests)
            try:
                _train_on(group, state, observers, watch)
            finally:
                if keeper is not None:
                    keeper.end()
    assert state is not None
    return [member.result for member in state.members if member.result is not None]


def _train_on(group: Group, state: GroupState, observers: Sequence[Observer], watch: Watch) -> None:
    """Train the group's members, who are those that the state has running, until all have ended."""
    optimizer = Optimizer(
        group.recipe.optimizer, group.decay(), group.tensor([m.momentum for m in group.members]), state.optimizer
    )
    while group.members:
        _run_epoch(group, state, optimizer, watch)
        own = [state.members[m] for m in state.running]
        keep = _finish(group, state)
        watch.on_end(group, own)
        if len(keep) < len(group.members):
            at = torch.tensor(keep, dtype=torch.long, device=state.weights.device)
            state.weights = state.weights[at]
            optimizer = optimizer.take(at)
            group = group.take(keep)
        state.optimizer = optimizer.state
        for observer in observers:
            observer.on_epoch(state)


def _first_state(group: Group, digests: Callable[[], Mapping[str, Any]]) -> GroupState:
    """Where the members stand before the first epoch."""
    net, recipe, layout = group.net, group.recipe, group.layout
    starts = [starting_weights(net, recipe, member) for member in group.members]
    weights = layout.flatten(
        [torch.stack([start[name] for start in starts]).to(recipe.device) for name in layout.shapes]
    )
    schedules = [Schedule(recipe.lr_schedule, member.lr, member.max_epochs) for member in group.members]
    members = [MemberState(place, schedule) for place, schedule in zip(group.places, schedules, strict=True)]
    return GroupState(0, layout, weights, {}, members, digests)


def starting_weights(net: Net, recipe: Recipe, member: Member) -> dict[str, Tensor]:
    """One member's weights before its first step."""
    seed = derived_seed(member.seed, Purpose.INITIAL_WEIGHTS)
    return initial_weights(net, member.init, seed, recipe.dtype)


def _check_state(state: GroupState, net: Net, recipe: Recipe, digests: Mapping[str, Any]) -> None:
    """Refuse a state of something else."""
    found, expected = state.digests(), digests["members"]
    if len(state.members) != len(expected):
        raise ParameterError(
            f"state needs to be of the {len(expected)} members to train, got one of {len(state.members)}"
        )
    same_network = found["network"] == digests["network"] and state.layout.shapes == weight_shapes(net)
    same = {"network": same_network} | {part: found[part] == digests[part] for part in ("recipe", "inputs")}
    others = [part for part, is_same in same.items() if not is_same]
    others += [
        f"member {m}" for m, (own, other) in enumerate(zip(found["members"], expected, strict=True)) if own != other
    ]
    if others:
        raise ParameterError(
            f"state needs to be of what is trained, got another {others[0]}; train without it to begin anew"
        )
    if state.running:
        _check_tensors(state, recipe)


def _check_tensors(state: GroupState, recipe: Recipe) -> None:
    """Refuse weights or moments that the optimizer's steps could not go on from."""
    rows = state.weights.shape
    expected = {"weights": (rows, recipe.dtype), "steps": (rows[:1], torch.float64), "exp_avg": (rows, recipe.dtype)}
    if recipe.optimizer != "sgd":
        expected["exp_avg_sq"] = (rows, recipe.dtype)
    found = {name: (value.shape, value.dtype) for name, value in (state.optimizer | {"weights": state.weights}).items()}
    if found != expected:
        name = next(name for name in expected | found if found.get(name) != expected.get(name))
        raise ParameterError(
            f"state needs {name} as {recipe.optimizer} keeps it, {expected.get(name, 'none')}, "
            f"got {found.get(name, 'none')}"
        )


def _run_epoch(
    group: Group,
    state: GroupState,
    optimizer: Optimizer,
    watch: Watch,
) -> None:
    """Take every member through its training series once, then measure."""
    epoch, running = state.epoch, [state.members[m] for m in state.running]
    rates = [member.schedule.lr(epoch) for member in running]
    result, active, was_clipped = run_pass(group, state.weights, optimizer, epoch, group.tensor(rates), watch)
    taken = active.sum(0)
    norm_sums = ordered_sum(torch.where(active, result.norms.double(), 0), 0)
    clip_sums = ordered_sum(was_clipped.double(), 0)
    losses, norms, clipped = result.loss_sums / result.weight_sums, norm_sums / taken, clip_sums / taken
    validation_losses = _losses(group, state.weights, "validation")
    eval_losses = _losses(group, state.weights, "eval")
    for m, member in enumerate(running):
        record = EpochRecord(
            epoch=epoch,
            lr=rates[m],
            train_loss=float(losses[m]),
            validation_loss=validation_losses[m],
            eval_loss=eval_losses[m],
            gradient_norm=float(norms[m]),
            clipped=float(clipped[m]),
        )
        member.observe(record, state.weights[m])
    state.epoch += 1


def _losses(group: Group, weights: Tensor, which: str) -> list[float | None]:
    """Every member's mean loss on its validation or eval sample; ``None`` where it has none."""
    samples = group.samples.get(which)
    if samples is None:
        return [None] * len(group.members)
    loss_sums = torch.zeros(len(group.members), dtype=torch.float64, device=weights.device)
    weight_sums = torch.zeros_like(loss_sums)
    noise = [member.noise for member in group.members]
    for batch, outputs in evaluate(
        group.net, group.layout.views(weights), group.inputs, samples, group.shift, group.scale, noise
    ):
        losses = elementwise(group.recipe.loss, outputs, batch.targets)
        loss_sums += weighted_totals(losses, batch.weights)
        weight_sums += totals(batch.weights)
    means = (loss_sums / weight_sums).tolist()
    return [mean if size else None for mean, size in zip(means, samples.sizes, strict=True)]


def _finish(group: Group, state: GroupState) -> list[int]:
    """End the members that are done, and say which of the group go on."""
    finite = state.weights.isfinite().all(1).tolist()
    keep = []
    for m, (member, own) in enumerate(zip(group.members, [state.members[m] for m in state.running], strict=True)):
        failure = _failure(member, own.history[-1], finite[m])
        waited = state.epoch - 1 - (own.best_epoch or 0)
        stopped = member.patience is not None and waited >= member.patience
        if not (failure or stopped or state.epoch >= member.max_epochs):
            keep.append(m)
            continue
        row = state.weights[m] if own.best_weights is None else own.best_weights
        named = group.layout.views(row[None])
        own.finish({name: value[0].clone() for name, value in named.items()}, failure)
    return keep


def _failure(member: Member, last: EpochRecord, finite: bool) -> DivergenceError | None:
    """Why a member cannot go on, if so."""
    if finite and math.isfinite(last.train_loss):
        return None
    return DivergenceError(
        f"training needs finite losses and weights, got a loss of {last.train_loss:g} in epoch "
        f"{last.epoch}; a smaller lr (now {member.lr:g}) or clip_norm (now {member.clip_norm:g}) is the "
        "usual cure"
    )
