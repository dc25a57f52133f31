"""Where a run of the lockstep loop stands after an epoch: all that it goes on from, to arrays and back."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from throughtime.errors import DataError, DivergenceError
from throughtime.records import EpochRecord
from throughtime.training.layout import Layout
from throughtime.training.members import Trained
from throughtime.training.schedules import Schedule

#: Of the arrays; another number is refused.
FORMAT = 1

#: What the names of the optimizer's arrays begin with.
_OPTIMIZER = "optimizer_"


@dataclass
class MemberState:
    """What one member has to show so far.

    Parameters
    ----------
    place
        Its place in the list given to `train`, or the number given for it there.
    best_loss, best_epoch, best_weights
        Of the epoch with the lowest validation loss; without an inner validation sample there is none.
    result
        Once it has ended; its weights are those of the best epoch, which are then not kept twice.
    """

    place: int
    schedule: Schedule
    history: list[EpochRecord] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int | None = None
    best_weights: Float[Tensor, "weight"] | None = None
    result: Trained | None = None

    def observe(self, record: EpochRecord, weights: Float[Tensor, "weight"]) -> None:
        """Take note of an epoch and of the weights after it."""
        self.history.append(record)
        judged = record.train_loss if record.validation_loss is None else record.validation_loss
        self.schedule.observe(judged)
        if record.validation_loss is not None and judged < self.best_loss:
            self.best_loss, self.best_epoch, self.best_weights = judged, record.epoch, weights.clone()

    def finish(self, weights: Mapping[str, Tensor], failure: Exception | None) -> None:
        """End with the result that is made of these weights."""
        self.result = Trained(dict(weights), tuple(self.history), self.best_epoch, failure)
        self.best_weights = None

    def copy(self, device: str | None = None) -> "MemberState":
        """The same, on a device, which no later epoch changes."""
        best, result = self.best_weights, self.result
        if device is not None:
            best = None if best is None else best.to(device)
            if result is not None:
                result = replace(result, weights={name: w.to(device) for name, w in result.weights.items()})
        schedule, history = replace(self.schedule), list(self.history)
        return replace(self, schedule=schedule, history=history, best_weights=best, result=result)


@dataclass
class GroupState:
    """Where a run stands after an epoch.

    An observer is handed the loop's own, which every epoch changes and which is whole between two of them alone:
    `copy` or `to_arrays` keep it.

    Parameters
    ----------
    epoch
        Epochs done.
    layout
        Where each weight tensor lies in a row of weights: ``state.layout.views(state.weights)`` names them.
    weights
        A row per member that still trains, in order.
    optimizer
        The optimizer's state by name, its rows as those of the weights.
    members
        All of them, in the order given to `train`.
    digests
        Gives what the run is made of (`digests_of`).
    """

    epoch: int
    layout: Layout
    weights: Float[Tensor, "running weight"]
    optimizer: dict[str, Tensor]
    members: list[MemberState]
    digests: Callable[[], Mapping[str, Any]]

    @property
    def running(self) -> list[int]:
        """Which members still train, as positions in ``members``."""
        return [m for m, member in enumerate(self.members) if member.result is None]

    def copy(self, device: str | None = None) -> "GroupState":
        """The same, on a device, which no later epoch changes."""
        return replace(
            self,
            weights=self.weights.clone().to(device),
            optimizer={name: value.clone().to(device) for name, value in self.optimizer.items()},
            members=[member.copy(device) for member in self.members],
        )

    def trained(self, m: int) -> Trained:
        """The result of a member, or the one that it would have had it ended here."""
        member = self.members[m]
        if member.result is not None:
            return member.result
        row = self.weights[self.running.index(m)] if member.best_weights is None else member.best_weights
        weights = {name: value[0].clone() for name, value in self.layout.views(row[None]).items()}
        return Trained(weights, tuple(member.history), member.best_epoch)

    def to_arrays(self) -> dict[str, ndarray]:
        """All of it in arrays, for ``numpy.savez``: to the bit, without pickles.

        What is not numbers of weights or moments is JSON, as bytes in ``json``.
        """
        best = [member.best_weights for member in self.members if member.best_weights is not None]
        results = [member.result.weights for member in self.members if member.result is not None]
        stacked = [[weights[name] for weights in results] for name in self.layout.shapes]
        finished = self.layout.flatten([torch.stack(rows) for rows in stacked]) if results else self.weights[:0]
        text = json.dumps(
            {
                "format": FORMAT,
                "epoch": self.epoch,
                "shapes": {name: list(shape) for name, shape in self.layout.shapes.items()},
                "members": [_described(member) for member in self.members],
                "digests": dict(self.digests()),
            },
            default=lambda number: number.item(),  # of NumPy
        )
        tensors = {
            "weights": self.weights,
            "best_weights": torch.stack(best) if best else self.weights[:0],
            "finished_weights": finished,
        } | {f"{_OPTIMIZER}{name}": value for name, value in self.optimizer.items()}
        arrays: dict[str, ndarray] = {name: np.array(value.cpu().numpy()) for name, value in tensors.items()}
        return arrays | {"json": np.frombuffer(text.encode(), dtype=np.uint8).copy()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, ndarray]) -> "GroupState":
        """The state that ``to_arrays`` made them of, on the CPU.

        Raises
        ------
        DataError
            For arrays that it did not make.
        """
        try:
            content = json.loads(np.asarray(arrays["json"], dtype=np.uint8).tobytes())
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']} instead of {FORMAT}")
            # copies: what is read from a file may not be written to
            tensors = {name: torch.from_numpy(np.array(arrays[name])) for name in arrays if name != "json"}
            layout = Layout({name: tuple(shape) for name, shape in content["shapes"].items()})
            best = iter(tensors["best_weights"])
            finished = (
                {name: w[0].clone() for name, w in layout.views(row[None]).items()}
                for row in tensors["finished_weights"]
            )
            members = [_member(member, best, finished) for member in content["members"]]
            optimizer = {
                name.removeprefix(_OPTIMIZER): value for name, value in tensors.items() if name.startswith(_OPTIMIZER)
            }
            digests: dict[str, Any] = content["digests"]
            state = cls(content["epoch"], layout, tensors["weights"], optimizer, members, partial(dict, digests))
            rows = len(state.running)
            if state.weights.shape != (rows, layout.width) or any(len(value) != rows for value in optimizer.values()):
                raise ValueError(f"a row of {layout.width} weights for each of {rows} running members is missing")
            return state
        except (AttributeError, KeyError, TypeError, ValueError, StopIteration, RuntimeError) as error:
            raise DataError(f"a state needs the arrays of GroupState.to_arrays, got others: {error!r}") from error


def _described(member: MemberState) -> dict[str, Any]:
    """What of a member JSON holds."""
    failure = None if member.result is None or member.result.failure is None else str(member.result.failure)
    return {
        "place": member.place,
        "schedule": asdict(member.schedule),
        "history": [vars(record) for record in member.history],  # of `asdict` each would take 20 times as long
        "best_loss": member.best_loss,
        "best_epoch": member.best_epoch,
        "has_best_weights": member.best_weights is not None,
        "finished": member.result is not None,
        "failure": failure,
    }


def _member(described: Mapping[str, Any], best: Iterator[Tensor], finished: Iterator[dict[str, Tensor]]) -> MemberState:
    """The member of a description, its weights the next of those that are handed in."""
    history = [EpochRecord(**record) for record in described["history"]]
    result = None
    if described["finished"]:
        failure = None if described["failure"] is None else DivergenceError(described["failure"])
        result = Trained(next(finished), tuple(history), described["best_epoch"], failure)
    return MemberState(
        described["place"],
        Schedule(**described["schedule"]),
        history,
        described["best_loss"],
        described["best_epoch"],
        next(best) if described["has_best_weights"] else None,
        result,
    )
