"""The inside of one step, gate by gate, as textbooks draw it: what is computed, and where it stands in the picture.

Gates as in Zhang et al., Dive into Deep Learning (https://d2l.ai), sections 10.1 and 10.2; the GRU in torch's form,
whose reset gate acts after the product. Each operation is computed as the table says, so that the picture is what runs.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from throughtime.errors import ParameterError
from throughtime.kernels import CellSpec
from throughtime.stability.graphs.depth import depth_of
from throughtime.stability.graphs.drawing import ComputationGraph
from throughtime.stability.graphs.graph import Edge, Node, NodeKind, SharedParameter
from throughtime.stability.graphs.norms import Gradients
from throughtime.stability.graphs.replaying import Step

_SIGMA, _TIMES = "\u03c3", "\u00d7"


class Operation(NamedTuple):
    """One node of the inside of a step.

    Parameters
    ----------
    sources
        What it takes, in the order of ``compute``'s arguments; a gate's come as the rows of ``W x + b`` and ``U h + b``
        that are its own.
    block
        Number of the gate, ``None`` for what has no weights.
    at
        Column and lane.
    """

    name: str
    label: str
    kind: NodeKind
    sources: tuple[str, ...]
    compute: Callable[..., Tensor]
    at: tuple[float, float]
    block: int | None = None


def _sigmoid(from_x: Tensor, from_h: Tensor) -> Tensor:
    return torch.sigmoid(from_x + from_h)


def _tanh(from_x: Tensor, from_h: Tensor) -> Tensor:
    return torch.tanh(from_x + from_h)


def _same(value: Tensor) -> Tensor:
    return value.view_as(value)


#: By cell: where its inputs stand, and its operations in the order of computing.
_RNN_PLACES = {"x": (0.0, 0.0), "h": (0.0, 1.6)}
_GRU_PLACES = {"x": (0.0, 0.0), "h": (0.0, 4.2)}
_LSTM_PLACES = {"x": (0.0, 0.0), "h": (0.0, 1.0), "c": (0.0, 4.4)}
_GRU = (
    Operation("r", f"r = {_SIGMA}", "gate", ("x", "h"), _sigmoid, (1.9, 1.7), 0),
    Operation("z", f"z = {_SIGMA}", "gate", ("x", "h"), _sigmoid, (4.1, 1.7), 1),
    Operation("u", "U_n h + b", "linear", ("h",), _same, (1.3, 3.0), 2),
    Operation("r u", _TIMES, "operation", ("r", "u"), torch.mul, (2.5, 3.0)),
    Operation("n", "n = tanh", "gate", ("x", "r u"), _tanh, (5.7, 1.7), 2),
    Operation("z h", _TIMES, "operation", ("z", "h"), torch.mul, (4.1, 4.2)),
    Operation("(1-z) n", f"{_TIMES} (1 - z)", "operation", ("z", "n"), lambda z, n: (1 - z) * n, (5.7, 3.0)),
    Operation("sum", "+", "operation", ("z h", "(1-z) n"), torch.add, (6.9, 4.2)),
    Operation("h'", "h", "h", ("sum",), _same, (8.1, 4.2)),
)
_LSTM = (
    Operation("f", f"f = {_SIGMA}", "gate", ("x", "h"), _sigmoid, (1.5, 2.2), 1),
    Operation("i", f"i = {_SIGMA}", "gate", ("x", "h"), _sigmoid, (2.9, 2.2), 0),
    Operation("g", "g = tanh", "gate", ("x", "h"), _tanh, (4.3, 2.2), 2),
    Operation("o", f"o = {_SIGMA}", "gate", ("x", "h"), _sigmoid, (5.9, 2.2), 3),
    Operation("f c", _TIMES, "operation", ("f", "c"), torch.mul, (1.5, 4.4)),
    Operation("i g", _TIMES, "operation", ("i", "g"), torch.mul, (3.6, 3.3)),
    Operation("sum", "+", "operation", ("f c", "i g"), torch.add, (3.6, 4.4)),
    Operation("c'", "c", "c", ("sum",), _same, (8.1, 4.4)),
    Operation("tanh", "tanh", "operation", ("sum",), torch.tanh, (6.9, 3.3)),
    Operation("o tanh", _TIMES, "operation", ("o", "tanh"), torch.mul, (6.9, 1.0)),
    Operation("h'", "h", "h", ("o tanh",), _same, (8.1, 1.0)),
)


def _elman(label: str, compute: Callable[..., Tensor]) -> tuple[Operation, ...]:
    return (
        Operation("a", label, "gate", ("x", "h"), compute, (2.2, 0.8), 0),
        Operation("h'", "h", "h", ("a",), _same, (4.2, 0.8)),
    )


_INSIDES: Mapping[str, tuple[Mapping[str, tuple[float, float]], tuple[Operation, ...]]] = {
    "gru": (_GRU_PLACES, _GRU),
    "lstm": (_LSTM_PLACES, _LSTM),
    "rnn_tanh": (_RNN_PLACES, _elman("h = tanh", _tanh)),
    "rnn_relu": (_RNN_PLACES, _elman("h = relu", lambda x, h: torch.relu(x + h))),
    "linear": (_RNN_PLACES, _elman("h = Wx+Uh", torch.add)),
}


def step_graph(
    spec: CellSpec,
    weights: Mapping[str, nn.Parameter],
    step: Step,
    upstream: tuple[Tensor, Tensor | None],
    layer: int,
    number: int,
    known: bool,
) -> ComputationGraph:
    """Draw one step of a cell.

    Parameters
    ----------
    weights
        Of its layer and direction, by their names in the model.
    upstream
        The loss's derivative at h as computed, and at c but for what comes through this step's h.
    layer, number
        The layer and the step, from 0.
    known
        Whether the derivatives are a loss's, to be shown.

    Raises
    ------
    ParameterError
        For a cell whose inside is not known.
    """
    by_kind = {name.rpartition(".")[2].split("_l")[0]: (name, weight) for name, weight in weights.items()}
    if spec.name not in _INSIDES or "weight_hr" in by_kind:
        what = "one with a projection" if "weight_hr" in by_kind else f"cell {spec.name}"
        raise ParameterError(f"inside needs a cell of {', '.join(_INSIDES)} without a projection, got {what}")
    places, operations = _INSIDES[spec.name]
    begins = {"x": step.x, **dict(zip(spec.states, step.before, strict=True))}
    values = {name: tensor.detach().requires_grad_() for name, tensor in begins.items()}
    taken: list[tuple[str, str, Tensor, tuple[str, ...]]] = []
    with torch.enable_grad():
        for operation in operations:
            arguments = []
            for source in operation.sources:
                view = values[source].view_as(values[source])
                side = {"x": "ih", "h": "hh"}.get(source) if operation.block is not None else None
                passed = [by_kind[key] for key in (f"weight_{side}", f"bias_{side}") if key in by_kind]
                taken.append((source, operation.name, view, tuple(name for name, _ in passed)))
                arguments.append(view if side is None else _rows(operation.block or 0, len(spec.gates), view, passed))
            values[operation.name] = operation.compute(*arguments)
        outputs = [values[f"{state}'"] for state in spec.states]
        seeds = zip(outputs, upstream, strict=False)
        value = torch.stack([(output * seed).sum() for output, seed in seeds if seed is not None]).sum()
        gradients = Gradients(value, [*values.values(), *(view for _, _, view, _ in taken)])

    def norm(tensor: Tensor) -> float | None:
        return gradients.norm(tensor) if known else None

    places_of = dict(places) | {operation.name: operation.at for operation in operations}
    kinds: dict[str, NodeKind] = {"x": "input", "h": "h", "c": "c"}
    kinds |= {operation.name: operation.kind for operation in operations}
    labels = {name: "x_t" if name == "x" else f"{name}_t-1" for name in begins}
    for operation in operations:
        labels[operation.name] = f"{operation.label}_t" if operation.kind in ("h", "c") else operation.label
    nodes = tuple(
        Node(name, kinds[name], labels[name], tuple(v.shape), layer, False, number, number, norm(v), *places_of[name])
        for name, v in values.items()
    )
    gates = {operation.name for operation in operations if operation.block is not None}
    edges = tuple(
        Edge(
            source,
            target,
            "x" if source == "x" else "h" if names else "value",
            tuple(view.shape),
            names,
            int(target in gates and bool(names)),
            norm(view),
        )
        for source, target, view, names in taken
    )
    return ComputationGraph(
        f"{spec.name}, layer {layer}, step t = {number}",
        "step",
        1,
        nodes,
        edges,
        tuple(SharedParameter(name, tuple(weight.shape), 1) for name, weight in weights.items()),
        (),
        depth_of(edges, frozenset(begins), "step"),
    )


def _rows(block: int, gates: int, value: Tensor, passed: list[tuple[str, nn.Parameter]]) -> Tensor:
    """A gate's rows of ``W x + b``."""
    weight, *bias = [parameter.detach().chunk(gates)[block] for _, parameter in passed]
    return nn.functional.linear(value, weight, *bias)
