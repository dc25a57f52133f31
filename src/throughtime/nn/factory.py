"""A network of the user's own: a factory in the place of an ``Architecture``.

The factory is called with ``(n_channels, n_outputs)``, its module with ``(x, lengths)``: x (batch, time, channel),
standardized and zero where missing or beyond a series' end, lengths (batch,).  It gives (batch, output), or
(batch, time, output) when every step has a target.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import RLock, get_ident
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from throughtime.errors import ParameterError
from throughtime.kernels import StepNoise
from throughtime.nn.network import Net, Standardizing, forward, initial_weights, plain_module, weight_shapes
from throughtime.nn.noise import NoiseRates
from throughtime.nn.schemes import Init
from throughtime.nn.stacking import call_members, keyed

Factory = Callable[[int, int], nn.Module]

#: Held while torch's one generator is set for a factory.
_generator = RLock()


@dataclass(frozen=True)
class FactoryNetwork(Net):
    """What fixes the shapes of a factory's networks; see ``Architecture``, whose place it takes."""

    factory: Factory
    n_inputs: int
    n_outputs: int
    pooling: Literal["last", "steps"]

    def make(self, seed: int = 0) -> nn.Module:
        """A module as the factory makes it when torch's generator starts from a seed."""
        with _generator, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            made = self.factory(self.n_inputs, self.n_outputs)
        if not isinstance(made, nn.Module):
            raise ParameterError(f"module needs a factory that gives a torch.nn.Module, got {type(made).__name__}")
        return made

    @property
    def template(self) -> nn.Module:
        """The module that all members run through, with their own weights: one per thread, as a run changes it."""
        thread = get_ident()
        if thread not in self._templates:
            made = self.make()
            try:
                self._templates[thread] = keyed(made)
            except ValueError as error:
                raise ParameterError(f"module cannot train in lockstep: {error}") from error
        return self._templates[thread]

    @cached_property
    def _templates(self) -> dict[int, nn.Module]:
        return {}


class FactoryModule(Standardizing):
    """One trained member of a factory: ``(x, lengths) -> outputs`` on raw series, as ``SequenceNetwork``."""

    noise: NoiseRates = NoiseRates()

    def __init__(self, net: FactoryNetwork, dtype: torch.dtype | None = None) -> None:
        super().__init__(net.n_inputs)
        self.net = net
        self.module = net.make().to(dtype=dtype)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Outputs (batch, output), or (batch, time, output) with an output per step."""
        batch, time, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), time, device=x.device)
        dtype = next((weight.dtype for weight in self.parameters() if weight.is_floating_point()), x.dtype)
        outputs: Tensor = self.module(self.standardized(x, lengths, dtype), lengths)
        return outputs


@weight_shapes.register(FactoryNetwork)
def _(net: FactoryNetwork) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in _trained(net.template).items()}


@initial_weights.register(FactoryNetwork)
def _(net: FactoryNetwork, _init: Init, seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    made, template = net.make(seed), net.template
    constants = {name: value for name, value in template.state_dict().items() if f"module.{name}" not in _trained(made)}
    for name, value in made.state_dict().items():
        if name in constants and not torch.equal(value, constants[name]):
            raise ParameterError(f"module needs what is not trained to be the same in every member, got {name!r}")
    return {name: weight.detach().to(dtype) for name, weight in _trained(made).items()}


@forward.register(FactoryNetwork)
def _(
    net: FactoryNetwork,
    weights: Mapping[str, Float[Tensor, "member ..."]],
    x: Float[Tensor, "member time batch channel"],
    lengths: Int[Tensor, "member batch"],
    masks: Sequence[Tensor | None] = (),
    *_noise: Sequence[Tensor | StepNoise],
    segment: int | None = None,
) -> Tensor:
    """All members' outputs; the one mask, while training, holds the members' keys."""
    if segment is not None:
        raise ParameterError(f"segment={segment} needs the built-in network, got a module, whose steps are its own")
    members, time, batch, _ = x.shape
    keys = next(iter(masks), None)
    template = net.template.to(x.device, x.dtype).train(keys is not None)
    if keys is None:
        keys = torch.zeros(members, dtype=torch.int64, device=x.device)
    own = {name.removeprefix("module."): weight for name, weight in weights.items()}
    outputs = call_members(template, own, x.transpose(1, 2), lengths, keys=keys)
    by_step = net.pooling == "steps"
    expected = (members, batch, *((time,) if by_step else ()), net.n_outputs)
    if not isinstance(outputs, Tensor) or outputs.shape != expected:
        found = tuple(outputs.shape[1:]) if isinstance(outputs, Tensor) else type(outputs).__name__
        axes = "(batch, time, output)" if by_step else "(batch, output)"
        raise ParameterError(f"module needs to give {axes}, here {expected[1:]}, got {found}")
    return outputs.transpose(1, 2) if by_step else outputs


@plain_module.register(FactoryNetwork)
def _(net: FactoryNetwork, _dropout: float, _noise: NoiseRates, dtype: torch.dtype) -> nn.Module:
    return FactoryModule(net, dtype)


def _trained(module: nn.Module) -> dict[str, Tensor]:
    """The parameters that train, under the names that ``FactoryModule`` gives them."""
    return {f"module.{name}": weight for name, weight in module.named_parameters() if weight.requires_grad}
