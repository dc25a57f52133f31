"""``stack``: modules of one shape as one, every parameter with a member axis in front.

Any ``nn.Module`` whose layers ``torch.vmap`` takes; torch's recurrent layers, which it does not, are swapped for ours.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from throughtime.nn.conversion import convert, is_unknown
from throughtime.nn.keyed import KeyedDraw, KeyedDropout, draws
from throughtime.nn.layers import RecurrentLayer

#: torch's modules that draw random numbers, besides ``Dropout`` itself.
_RANDOM = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU)


class Stack(nn.Module):
    """Modules run and trained in lockstep; see ``stack``.

    Attributes
    ----------
    module
        Shaped as one of them, its parameters and buffers (member, ...).
    size
        How many they are.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        if not modules:
            raise ValueError("stack needs at least one module, got none")
        states = [_tensors(module) for module in modules]
        shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
        for other, shape in zip(modules, shapes, strict=True):
            if type(other) is not type(modules[0]) or shape != shapes[0]:
                raise ValueError(f"stack needs modules of one class and shape, got\n{modules[0]}\nand\n{other}")
        self.size = len(modules)
        self._plain = [copy.deepcopy(modules[0])]  # in a list, so that it is no part of the stack
        self.module = keyed(copy.deepcopy(modules[0]))
        for name, tensor in _tensors(self.module).items():
            # The tensor itself stays: what is tied stays tied.
            tensor.data = torch.stack([state[name].detach() for state in states])

    def forward(self, *inputs: Float[Tensor, "member ..."] | Tensor, keys: Int[Tensor, "member"] | None = None) -> Any:
        """Every member's outputs, each from its own part of the inputs.

        Parameters
        ----------
        inputs
            What each member is called with, (member, ...); what all share can be expanded along that axis.
        keys
            One per member: what its dropout follows from; drawn from torch's global generator by default.
        """
        if keys is None:
            drawn = self.training and any(True for _ in draws(self.module))
            keys = torch.randint(2**62, (self.size,)) if drawn else torch.zeros(self.size, dtype=torch.int64)
        return call_members(self.module, _tensors(self.module), *inputs, keys=keys.to(_device(self.module)))

    def members(self) -> list[nn.Module]:
        """Copies of the modules as they were given, with their weights as they are now."""
        found = []
        for m in range(self.size):
            (member,) = copy.deepcopy(self._plain)
            for name, tensor in _tensors(member).items():
                tensor.data = _tensors(self.module)[name].detach()[m].clone()
            found.append(member.train(self.training))
        return found


def stack(modules: Sequence[nn.Module]) -> Stack:
    """Put modules of one class and shape on one another, to run and train all of them at once.

    Their ``nn.Dropout``, and the dropout of recurrent layers, is replaced by ours, keyed by each member's own key.

    Raises
    ------
    ValueError
        For modules of different shapes, and, by their name, for running statistics and other random modules.

    Examples
    --------
    >>> import torch
    >>> from throughtime.nn import stack
    >>> nets = stack([torch.nn.GRU(3, 8, batch_first=True) for _ in range(5)])
    >>> x = torch.randn(20, 12, 3)
    >>> y, h_n = nets(x.expand(5, -1, -1, -1))
    >>> y.shape
    torch.Size([5, 20, 12, 8])
    >>> optimizer = torch.optim.Adam(nets.parameters())  # elementwise: each member as if alone
    """
    return Stack(modules)


def keyed(module: nn.Module) -> nn.Module:
    """Make a module fit for ``call_members``, in place.

    Torch's recurrent layers become ours, and masks come from keys.

    Raises
    ------
    ValueError
        For what cannot be stacked, by its name.
    """
    for name, part in module.named_modules():
        where = f"{type(part).__name__} at {name!r}" if name else type(part).__name__
        if getattr(part, "running_mean", None) is not None or getattr(part, "track_running_stats", False):
            raise ValueError(
                f"stack needs modules without running statistics, got {where}; LayerNorm and GroupNorm keep none"
            )
        if isinstance(part, _RANDOM):
            raise ValueError(f"stack needs Dropout as the only random module, got {where}")
        if is_unknown(part):
            raise ValueError(f"stack needs recurrent layers of torch's own classes or of ours, got {where}")
    module = convert(module)
    for site, (name, part) in enumerate(list(module.named_modules(remove_duplicate=False))):
        if isinstance(part, RecurrentLayer):
            part.draw = KeyedDraw(site)
        elif isinstance(part, nn.Dropout):
            replacement = KeyedDropout(part.p, site).train(part.training)
            if not name:
                return replacement
            module.set_submodule(name, replacement)
    return module


def call_members(module: nn.Module, state: Mapping[str, Tensor], *inputs: Tensor, keys: Int[Tensor, "member"]) -> Any:
    """Run a ``keyed`` module once per member, all at once.

    Parameters
    ----------
    state
        Parameters and buffers (member, ...), by name; what is not there is the module's own, and shared.
    inputs
        (member, ...), what each member is called with.
    keys
        What each member's masks follow from.
    """
    sources = dict(draws(module))
    for source in sources.values():
        source.drawn = 0
    whole = {**state, **{f"{name}.key" if name else "key": keys for name in sources}}

    def one(state: dict[str, Tensor], inputs: tuple[Tensor, ...]) -> Any:
        return functional_call(module, state, inputs)

    return torch.vmap(one)(whole, inputs)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, the sources' keys left out."""
    sources = {f"{name}.key" for name, _ in draws(module)}
    named: dict[str, Tensor] = dict(module.named_parameters())
    return named | {name: buffer for name, buffer in module.named_buffers() if name not in sources}


def _device(module: nn.Module) -> torch.device:
    return next(iter(_tensors(module).values()), torch.zeros(0)).device
