"""The forward and backward graph of a perceptron or an MLP: values, weights, deltas and gradients by the chain rule."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import DataError, ParameterError
from throughtime.stability.arguments import check_call, check_loss
from throughtime.stability.calls import detached, evaluation, run_forward
from throughtime.stability.graphs.depth import backward_links, depth_of
from throughtime.stability.graphs.drawing import ComputationGraph
from throughtime.stability.graphs.graph import Edge, Node, NodeKind, SharedParameter
from throughtime.stability.graphs.norms import Gradients
from throughtime.stability.losses import loss_of

#: Beside the linear one, layers that act on each number alone.
_FOLLOWED: tuple[Any, ...] = (
    nn.Linear, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Identity,
    nn.Dropout,
)  # fmt: skip
_RULE = "modules Linear and activations called one after the other"
#: The lanes, from below.
_VALUES, _WEIGHTS, _DELTAS, _GRADIENTS = 2.0, 3.0, 1.0, 0.0


def layer_graph(model: nn.Module, x: Tensor, *, loss: Callable[[Tensor], Tensor] | None = None) -> ComputationGraph:
    """The graph of a perceptron or an MLP, forward and backward.

    Values run to the right, ``z = W h + b`` and ``h`` of an activation in turn; below them the deltas run back,
    dL/dz and dL/dh, and each weight's gradient hangs on its layer's delta. Dashed is what the backward pass takes of
    the forward pass, each layer's own input.

    Parameters
    ----------
    model
        A ``Linear``, or any module whose ``forward`` calls ``Linear`` and activations, all of them modules, each on
        what the one before gave; dropout is left out, the graph is that of evaluation.
    x
        (batch, channel).
    loss
        From the outputs to the number to be differentiated; without it no derivative has a size.

    Raises
    ------
    ParameterError
        For a model of other layers, or with anything between them; for a loss that is no number or does not depend on
        the outputs.
    DataError
        For an x that the model does not take or that is not finite; for gradients that are NaN without an overflow.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import layer_graph
    >>> mlp = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    >>> layer_graph(mlp, torch.randn(100, 3), loss=lambda output: output.square().mean()).depth
    SerialDepth(forward=2, backward=2, operations=2, subject='layers')
    """
    check_call(model, x)
    if loss is not None:
        check_loss(loss)
    if not isinstance(x, Tensor) or x.dim() != 2 or not len(x) or not x.is_floating_point():
        got = f"{tuple(x.shape)} of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise DataError(f"x needs to be (batch, channel) of floating numbers, with a row, got {got}")
    if len(wrong := (~x.isfinite().all(1)).nonzero()):
        raise DataError(f"x needs finite numbers, got one that is not in row {int(wrong[0])}")
    chain = _follow(model, x)
    outputs = list(chain.values.values())[-1]
    differentiated = outputs.square().sum() if loss is None else loss_of(loss, outputs)
    values, weights = chain.values, chain.weights
    asked = [tensor for tensor in (*values.values(), *weights.values()) if tensor.requires_grad]
    gradients = Gradients(differentiated, asked)
    if loss is not None:
        _check_deltas(values, gradients)
    end = "output" if loss is None else "L"

    columns = {name: float(column) for column, name in enumerate((*values, end))}
    for value, names in chain.passed.items():
        columns |= {name: columns[value] - 0.3 + 0.6 * place for place, name in enumerate(names)}
    shapes = {name: tuple(tensor.shape) for name, tensor in (values | weights).items()} | {end: ()}

    def node(name: str, kind: NodeKind, label: str, own: str, lane: float, gradient: float | None) -> Node:
        return Node(name, kind, label, shapes[own], None, False, None, None, gradient, columns[own], lane)

    def norm(name: str) -> float | None:
        if loss is None or name == end:
            return None if loss is None else 1.0
        tensor = (values | weights)[name]
        return gradients.norm(tensor) if tensor.requires_grad else None  # a frozen weight has none

    nodes = [node(name, "linear" if name in chain.passed else "value", name, name, _VALUES, None) for name in values]
    nodes.append(node(end, "loss", end, end, _VALUES, None))
    nodes += [node(name, "parameter", name, name, _WEIGHTS, None) for name in weights]
    edges = [
        Edge(name, value, "parameter", shapes[name], (), 0, None)
        for value, names in chain.passed.items()
        for name in names
    ]
    forward = []
    for source, target in pairwise((*values, end)):
        names = chain.passed.get(target, ())
        forward.append(Edge(source, target, "x" if names else "value", shapes[source], names, int(bool(names)), None))

    backward = list(backward_links(forward, frozenset({"x"})))
    for name in dict.fromkeys(name for link in backward for name in (link.source, link.target)):
        own = name.removeprefix("d ")
        kind: NodeKind = "gradient" if own in weights else "delta"
        lane = _GRADIENTS if own in weights else _DELTAS
        nodes.append(node(name, kind, f"∂{end}/∂{own}", own, lane, norm(own)))
    for link in backward:
        own = link.target.removeprefix("d ")
        edges.append(Edge(link.source, link.target, "delta", shapes[own], (), link.cost, norm(own)))
    for edge in forward:  # a weight's gradient takes its layer's input, a bias's the delta alone
        matrices = [name for name in edge.parameters if len(shapes[name]) == 2]
        edges += [Edge(edge.source, f"d {name}", "saved", edge.shape, (), 0, None) for name in matrices]
    count = len(chain.passed)
    return ComputationGraph(
        f"{type(model).__name__} of {count} linear layer{'s' if count > 1 else ''}, {len(x)} examples",
        "layers",
        0,
        tuple(nodes),
        (*forward, *edges),
        tuple(SharedParameter(name, shapes[name], 1) for name in weights),
        (),
        depth_of(forward, frozenset({"x"}), "layers"),
    )


def _check_deltas(values: dict[str, Tensor], gradients: Gradients) -> None:
    """Refuse NaN that no overflow explains, which is drawn as such."""
    for name, value in reversed(values.items()):
        gradient = gradients.of(value)
        if gradient.isinf().any():
            return
        if gradient.isnan().any():
            raise DataError(f"layer_graph needs gradients that are numbers, got NaN at {name}, first on the way back")


@dataclass
class _Chain:
    """A pass through the layers: the values and weights by name, and which weights lead to a value."""

    values: dict[str, Tensor]
    weights: dict[str, Tensor] = field(default_factory=dict)
    passed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    version: int = 0

    @property
    def last(self) -> Tensor:
        """What the next layer has to take."""
        return next(reversed(self.values.values()))

    def is_last(self, value: Any) -> bool:
        """Whether a value is the last one, and nothing has changed it in place."""
        return value is self.last and value._version == self.version

    def add(self, layer: nn.Module, value: Tensor) -> None:
        """Note what a layer gave."""
        number = len(self.passed) + isinstance(layer, nn.Linear)
        name = f"z{number}" if isinstance(layer, nn.Linear) else f"h{number}"
        while name in self.values:
            name += "'"
        if isinstance(layer, nn.Linear):
            own = {f"W{number}": layer.weight, f"b{number}": layer.bias}
            own = {key: weight for key, weight in own.items() if weight is not None}
            self.weights |= own
            self.passed[name] = tuple(own)
        self.values[name], self.version = value, value._version


def _follow(model: nn.Module, x: Tensor) -> _Chain:
    """Run a model whose layers take each what the one before gave."""
    start = detached(x).requires_grad_()
    chain = _Chain({"x": start}, version=start._version)
    called: set[nn.Module] = set()

    def check(name: str, layer: nn.Module, given: tuple[Any, ...]) -> tuple[Tensor]:
        what = f"{type(layer).__name__} at {name!r}" if name else type(layer).__name__
        if not _is_followed(layer):
            raise ParameterError(f"layer_graph needs {_RULE}, got {what}; unroll draws models with recurrent layers")
        if len(given) != 1 or not chain.is_last(given[0]):
            raise ParameterError(
                f"layer_graph needs {_RULE}, got something else between {list(chain.values)[-1]} and {what}; what is "
                "computed there as a module, such as nn.ReLU, can be followed"
            )
        if isinstance(layer, nn.Linear) and layer in called:
            raise ParameterError(f"layer_graph needs {_RULE}, each called once, got {what} called again")
        called.add(layer)
        return (given[0].clone(),)  # an activation in place would overwrite what the layer before gave

    def note(layer: nn.Module, _given: Any, output: Tensor) -> Tensor:
        if isinstance(layer, nn.Dropout):
            return chain.last
        chain.add(layer, output)
        return output

    hooks: list[Any] = []
    for name, part in model.named_modules():
        if isinstance(part, nn.Linear) or not any(True for _ in part.children()):
            hooks.append(part.register_forward_pre_hook(partial(check, name)))
            hooks.append(part.register_forward_hook(note))
    try:
        with evaluation(model), torch.inference_mode(False), torch.enable_grad():
            output = run_forward(model, start)
    finally:
        for hook in hooks:
            hook.remove()
    if not chain.passed:
        raise ParameterError(f"layer_graph needs a model with a Linear layer, got {type(model).__name__} without any")
    if not chain.is_last(output):
        raise ParameterError(
            f"layer_graph needs {_RULE}, got something else between {list(chain.values)[-1]} and what "
            f"{type(model).__name__} gives; what is computed there as a module, such as nn.ReLU, can be followed"
        )
    return chain


def _is_followed(layer: nn.Module) -> bool:
    """Whether a layer computes what its class does."""
    return any(isinstance(layer, cls) and type(layer).forward is cls.forward for cls in _FOLLOWED)
