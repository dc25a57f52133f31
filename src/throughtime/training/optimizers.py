"""Adam, AdamW and SGD with momentum, each member with its own rate, decay and count of steps.

The updates are torch.optim's, written in single operations: a fused multiply-add would round the vector and the
remainder of a row differently, and so a member by its place.
References: Kingma & Ba (2015), https://arxiv.org/abs/1412.6980; Loshchilov & Hutter (2019), https://arxiv.org/abs/1711.05101.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from throughtime.kernels import Update, backend_for
from throughtime.training.clipping import clip_by_norm

OptimizerName = Literal["adam", "adamw", "sgd"]

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass
class Optimizer:
    """The update rule and its state, a row per member.

    Parameters
    ----------
    name
        ``adam`` and ``sgd`` add ``decay * weight`` to the gradient; ``adamw`` shrinks the weights by ``lr * decay``.
    decay
        Per member and weight: zero where a weight is not penalized.
    momentum
        Of ``sgd``, one per member.
    """

    name: OptimizerName
    decay: Float[Tensor, "member weight"]
    momentum: Float[Tensor, "member"]
    state: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.state:
            self.state["steps"] = torch.zeros_like(self.momentum, dtype=torch.float64)
            self.state["exp_avg"] = torch.zeros_like(self.decay)
            if self.name != "sgd":
                self.state["exp_avg_sq"] = torch.zeros_like(self.decay)

    def step(
        self,
        weights: Float[Tensor, "member weight"],
        grads: Float[Tensor, "member weight"],
        lr: Float[Tensor, "member"],
        max_norm: Float[Tensor, "member"],
        active: Bool[Tensor, "member"],
    ) -> Float[Tensor, "member"]:
        """Clip the gradients and update the weights in place; a member that is not active keeps weights and state.

        Returns
        -------
        The gradients' norms before clipping; the gradients themselves are used up.
        """
        backend = backend_for(weights.device, weights.dtype)
        return backend.optimizer_step(self.update(weights, lr, max_norm), grads, active)

    def update(
        self, weights: Float[Tensor, "member weight"], lr: Float[Tensor, "member"], max_norm: Float[Tensor, "member"]
    ) -> Update:
        """What a backend needs to take the step."""
        exp_avg, exp_avg_sq, taken = self.state["exp_avg"], self.state.get("exp_avg_sq"), self.state["steps"]
        constants = BETA1, BETA2, EPSILON

        def in_torch(grads: Tensor, active: Tensor) -> Tensor:
            norms = clip_by_norm(grads, max_norm)
            self._follow(weights, grads, lr, active)
            return norms

        return Update(
            self.name, constants, weights, self.decay, exp_avg, exp_avg_sq, taken, lr, self.momentum, max_norm, in_torch
        )

    def _follow(self, weights: Tensor, grads: Tensor, lr: Tensor, active: Tensor) -> None:
        """The rule in torch's operations."""
        rate = lr[:, None]
        before = dict(self.state)
        steps = before["steps"] + 1
        new = {"steps": steps}
        if self.name == "adamw":
            moved = weights * (1 - rate * self.decay)
        else:
            moved = weights
            grads = (self.decay * weights).add_(grads)
        if self.name == "sgd":
            new["exp_avg"] = (before["exp_avg"] * self.momentum[:, None]).add_(grads)
            moved = moved - new["exp_avg"] * rate
        else:
            new["exp_avg"] = (before["exp_avg"] * BETA1).add_(grads * (1 - BETA1))
            new["exp_avg_sq"] = (before["exp_avg_sq"] * BETA2).add_((grads * grads).mul_(1 - BETA2))
            # Powers one by one: torch's differ in the last bit by a member's place among the others.
            taken = steps.tolist()
            bias_correction1 = weights.new_tensor([1 - BETA1**n for n in taken])[:, None]
            bias_correction2 = weights.new_tensor([(1 - BETA2**n) ** 0.5 for n in taken])[:, None]
            denom = new["exp_avg_sq"].sqrt().div_(bias_correction2).add_(EPSILON)
            moved = moved - torch.div(new["exp_avg"], denom, out=denom).mul_(rate / bias_correction1)
        if not active.all():
            moved = torch.where(active[:, None], moved, weights)
            for name, value in new.items():
                new[name] = torch.where(active.view(-1, *[1] * (value.dim() - 1)), value, before[name])
        weights.copy_(moved)
        self.state = new

    def take(self, members: Tensor) -> "Optimizer":
        """The same for some of the members."""
        state = {name: value[members] for name, value in self.state.items()}
        return Optimizer(self.name, self.decay[members], self.momentum[members], state)
