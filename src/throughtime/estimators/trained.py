"""A trained network as an estimator keeps it: its weights, and a torch module of them once somebody asks for one."""

from typing import cast

import torch
from torch import Tensor

from throughtime.nn import Architecture, FactoryModule, Net, NoiseRates, SequenceNetwork, plain_module

Module = SequenceNetwork | FactoryModule


class TrainedNetwork:
    """Weights that became a module, or will: to build one takes longer than to train a small fold for an epoch.

    Parameters
    ----------
    net, dropout, noise, dtype, device
        What the network was trained as.
    state
        Its weights, shift and scale by their names in the module; handed over, not copied.
    """

    def __init__(
        self,
        net: Net,
        dropout: float,
        noise: NoiseRates,
        dtype: torch.dtype,
        device: str,
        state: dict[str, Tensor],
    ) -> None:
        self.net, self.noise, self.dtype = net, noise, dtype
        self._dropout, self._device = dropout, device
        self._state = state
        self._module: Module | None = None
        if not isinstance(net, Architecture):  # a module of the user's own may hold more than what was trained
            _ = self.module

    @property
    def module(self) -> Module:
        """The module, in evaluation mode; the same one each time."""
        if self._module is None:
            made = plain_module(self.net, self._dropout, self.noise, self.dtype)
            made.load_state_dict(made.state_dict() | self._state)
            self._module = cast(Module, made.to(self._device).eval())
            self._state = {}
        return self._module

    @module.setter
    def module(self, module: Module) -> None:
        self._module, self._state = module, {}

    @property
    def state(self) -> dict[str, Tensor]:
        """Weights, shift and scale by name, as they are now in the module."""
        return self._state if self._module is None else self._module.state_dict()
