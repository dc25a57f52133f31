"""The forward and backward graph of a perceptron or an MLP: values, weights, deltas and gradients by the chain rule."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from throughtime.errors import DataError, ParameterError
from throughtime.stability.calls import evaluation
from throughtime.stability.graphs.depth import backward_links, depth_of
from throughtime.stability.graphs.drawing import ComputationGraph
from throughtime.stability.graphs.graph import Edge, Node, NodeKind, SharedParameter
from throughtime.stability.graphs.norms import Gradients
from throughtime.stability.losses import loss_of

#: Layers that act on each number alone.
_ACTIVATIONS = nn.ReLU | nn.LeakyReLU | nn.ELU | nn.GELU | nn.SiLU | nn.Sigmoid | nn.Tanh | nn.Softplus | nn.Identity
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
        A ``Linear``, or a ``Sequential`` (of ``Sequential``) of ``Linear`` and activations; dropout is left out, the
        graph is that of evaluation.
    x
        (batch, channel).
    loss
        From the outputs to the number to be differentiated; without it no derivative has a size.

    Raises
    ------
    ParameterError
        For a model of other layers, and a loss that is no number or does not depend on the outputs.
    DataError
        For an x that the model does not take.

    Examples
    --------
    >>> import torch
    >>> from throughtime.stability import layer_graph
    >>> mlp = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    >>> layer_graph(mlp, torch.randn(100, 3), loss=lambda output: output.square().mean()).depth
    SerialDepth(forward=2, backward=2, operations=2, subject='layers')
    """
    layers = list(_layers_of(model))
    if not any(isinstance(layer, nn.Linear) for layer in layers):
        raise ParameterError(f"layer_graph needs a model with a Linear layer, got {type(model).__name__} without any")
    first = next(layer for layer in layers if isinstance(layer, nn.Linear))
    if x.dim() != 2 or x.shape[-1] != first.in_features or not len(x):
        raise DataError(f"x needs to be (batch, {first.in_features}) with a row, got {tuple(x.shape)}")
    chain = _run(model, layers, x, loss)
    values, weights = chain.values, chain.weights
    gradients = Gradients(chain.end, [*values.values(), *weights.values()])
    end = "output" if loss is None else "L"

    columns = {name: float(column) for column, name in enumerate((*values, end))}
    for value, names in chain.passed.items():
        columns |= {name: columns[value] - 0.3 + 0.6 * place for place, name in enumerate(names)}
    shapes = {name: tuple(tensor.shape) for name, tensor in (values | weights).items()} | {end: ()}

    def node(name: str, kind: NodeKind, label: str, own: str, lane: float, gradient: float | None) -> Node:
        return Node(name, kind, label, shapes[own], None, False, None, None, gradient, columns[own], lane)

    def norm(name: str) -> float | None:
        return None if loss is None else 1.0 if name == end else gradients.norm((values | weights)[name])

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


class _Chain(NamedTuple):
    """A pass through the layers: the values and weights by name, which weights lead to a value, and the loss."""

    values: dict[str, Tensor]
    weights: dict[str, Tensor]
    passed: dict[str, tuple[str, ...]]
    end: Tensor


def _layers_of(module: nn.Module) -> Iterator[nn.Module]:
    """Linear layers and activations, in the order of their calls."""
    if isinstance(module, nn.Sequential):
        for part in module:
            yield from _layers_of(part)
    elif isinstance(module, nn.Linear | _ACTIVATIONS):
        yield module
    elif not isinstance(module, nn.Dropout):
        raise ParameterError(
            f"layer_graph needs a Sequential of Linear and activations, got {type(module).__name__}; unroll draws "
            "models with recurrent layers"
        )


def _run(model: nn.Module, layers: list[nn.Module], x: Tensor, loss: Callable[[Tensor], Tensor] | None) -> _Chain:
    values: dict[str, Tensor] = {"x": x.detach().requires_grad_()}
    weights: dict[str, Tensor] = {}
    passed: dict[str, tuple[str, ...]] = {}
    with evaluation(model), torch.enable_grad():
        value = values["x"]
        for layer in layers:
            try:
                value = layer(value.clone())  # an activation in place would overwrite what the layer before gave
            except RuntimeError as error:
                raise DataError(f"x needs to fit the model's layers, got {tuple(x.shape)}: {error}") from error
            number = len(passed) + isinstance(layer, nn.Linear)
            if isinstance(layer, nn.Linear):
                name = f"z{number}"
                own = {f"W{number}": layer.weight, f"b{number}": layer.bias}
                weights |= {key: weight for key, weight in own.items() if weight is not None}
                passed[name] = tuple(key for key, weight in own.items() if weight is not None)
            else:
                name = f"h{number}"
                while name in values:
                    name += "'"
            values[name] = value
        end = value.square().sum() if loss is None else loss_of(loss, value)
    return _Chain(values, weights, passed, end)
