"""An ONNX graph in the making: a node after the other, each value called by its name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, DTypeLike

#: A value's name, or numbers that become a constant.
Operand = str | ArrayLike
#: Of a slice that goes to the end of an axis.
END = int(np.iinfo(np.int64).max)


class Port(NamedTuple):
    """An input or output of a graph; an axis that has a name may have any length, ``None`` leaves all open."""

    name: str
    dtype: np.dtype[Any]
    axes: tuple[int | str, ...] | None


@dataclass(frozen=True)
class Node:
    """An operator, the values it takes, those it gives, and its attributes; one of these may be a graph of its own."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


@dataclass
class Graph:
    """Inputs, nodes and outputs.

    Parameters
    ----------
    outer
        The graph of which this is the body of a loop: it may read its values, and keeps its constants there.
    """

    outer: "Graph | None" = None
    inputs: list[Port] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    constants: dict[str, ndarray] = field(default_factory=dict)
    _n_values: int = 0

    def input(self, name: str, dtype: DTypeLike, *axes: int | str) -> str:
        """Declare an input."""
        self.inputs.append(Port(name, np.dtype(dtype), axes))
        return name

    def output(self, name: str, value: str, dtype: DTypeLike, *axes: int | str) -> None:
        """Declare a value as an output, under a name of its own."""
        self.nodes.append(Node("Identity", [value], [name], {}))
        self.outputs.append(Port(name, np.dtype(dtype), axes))

    def constant(self, values: ArrayLike, name: str | None = None) -> str:
        """Name of an array; equal ones without a name have the same."""
        constants, array = self._outermost.constants, np.asarray(values)
        if name is None:
            for known, other in constants.items():
                if other.dtype == array.dtype and other.shape == array.shape and other.tobytes() == array.tobytes():
                    return known
        name = name or self._new_name("constant")
        constants[name] = array
        return name

    def add(self, op: str, *operands: Operand, **attributes: Any) -> str:
        """Append a node and give the name of what it gives."""
        return self.add_many(op, 1, *operands, **attributes)[0]

    def add_many(self, op: str, count: int, *operands: Operand, **attributes: Any) -> list[str]:
        """Append a node that gives several values; an operand ``""`` is one left out."""
        inputs = [operand if isinstance(operand, str) else self.constant(operand) for operand in operands]
        outputs = [self._new_name(op.lower()) for _ in range(count)]
        self.nodes.append(Node(op, inputs, outputs, attributes))
        return outputs

    def cast(self, value: Operand, dtype: DTypeLike) -> str:
        """The value in another type."""
        return self.add("Cast", value, to=np.dtype(dtype))

    def size(self, value: str, axis: int) -> str:
        """The length of an axis, as one number."""
        return self.add("Gather", self.add("Shape", value), np.int64(axis))

    def sizes(self, *parts: str | int) -> str:
        """Several lengths as a shape."""
        axes = [
            self.add("Unsqueeze", part, np.array([0])) if isinstance(part, str) else self.constant(np.array([part]))
            for part in parts
        ]
        return self.add("Concat", *axes, axis=0)

    def count(self, start: Operand, stop: Operand) -> str:
        """Whole numbers from ``start`` to below ``stop``."""
        return self.add("Range", start, stop, np.int64(1))

    def at(self, value: str, axis: int, start: int, stop: int) -> str:
        """The part of an axis from ``start`` to below ``stop``, either counted from its end where negative."""
        return self.add("Slice", value, *(np.array([number]) for number in (start, stop, axis)))

    def scan(
        self,
        step: Callable[["Graph", list[str], list[str]], tuple[list[str], list[str]]],
        states: Sequence[tuple[str, DTypeLike]],
        sequences: Sequence[tuple[str, DTypeLike]],
        dtype: DTypeLike,
        *,
        axis: int = 0,
        reverse: bool = False,
    ) -> list[str]:
        """Take a step at each place of an axis, from the first to the last or back.

        Parameters
        ----------
        step
            ``(body, states, values) -> (new states, outputs)``, which appends nodes to the body.
        states, sequences
            What is handed from step to step, as it begins; and what is taken apart along the axis; with their types.
        dtype
            Of the outputs.

        Returns
        -------
        The last states, then the outputs of all steps along the axis.
        """
        body = Graph(self)
        own = [[Port(self._new_name("step"), np.dtype(kind), None) for _, kind in part] for part in (states, sequences)]
        body.inputs = own[0] + own[1]
        new, outputs = step(body, *([port.name for port in part] for part in own))
        kinds = [kind for _, kind in states] + [dtype] * len(outputs)
        # a body's outputs need names of their own, also where a state is handed on as it is
        for value, kind in zip([*new, *outputs], kinds, strict=True):
            name = body.add("Identity", value)
            body.outputs.append(Port(name, np.dtype(kind), None))
        ways = [int(reverse)]
        return self.add_many(
            "Scan",
            len(kinds),
            *(name for name, _ in [*states, *sequences]),
            body=body,
            num_scan_inputs=len(sequences),
            scan_input_axes=[axis] * len(sequences),
            scan_output_axes=[axis] * len(outputs),
            scan_input_directions=ways * len(sequences),
            scan_output_directions=ways * len(outputs),
        )

    def free_values(self) -> set[str]:
        """What a body reads of the graphs around it."""
        own = {port.name for port in self.inputs}.union(*(node.outputs for node in self.nodes))
        return set().union(*map(_read_by, self.nodes)) - own

    def without_unread(self) -> "Graph":
        """The graph without nodes and constants that no output needs."""
        read = {port.name for port in self.outputs}
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if read.intersection(node.outputs):
                kept.insert(0, node)
                read |= _read_by(node)
        constants = {name: array for name, array in self.constants.items() if name in read}
        return Graph(self.outer, self.inputs, kept, self.outputs, constants, self._n_values)

    @property
    def _outermost(self) -> "Graph":
        return self if self.outer is None else self.outer._outermost

    def _new_name(self, stem: str) -> str:
        root = self._outermost
        root._n_values += 1
        return f"{stem}_{root._n_values}"


def _read_by(node: Node) -> set[str]:
    bodies = [value.free_values() for value in node.attributes.values() if isinstance(value, Graph)]
    return set(node.inputs).union(*bodies)


class States:
    """What a graph hands from call to call when it streams: an input each, and an output ``next_`` and its name.

    A graph of whole series begins each time with zeros, as a stream does.

    Parameters
    ----------
    batch
        The number of series, as one number.
    """

    def __init__(self, graph: Graph, streaming: bool, batch: str) -> None:
        self._graph, self.streaming, self._batch = graph, streaming, batch
        self._forms: dict[str, tuple[DTypeLike, tuple[int, ...]]] = {}

    def read(self, name: str, dtype: DTypeLike, *axes: int) -> str:
        """The state (batch, *axes) as the call finds it."""
        self._forms[name] = dtype, axes
        if self.streaming:
            return self._graph.input(name, dtype, "batch", *axes)
        zero = np.zeros((1,) * (1 + len(axes)), dtype)
        return self._graph.add("Expand", zero, self._graph.sizes(self._batch, *axes))

    def keep(self, name: str, value: str) -> None:
        """Hand a state on to the next call."""
        if self.streaming:
            dtype, axes = self._forms[name]
            self._graph.output(f"next_{name}", value, dtype, "batch", *axes)


def model_bytes(graph: Graph, opset: int, ir_version: int, metadata: Mapping[str, str]) -> bytes:
    """A file's content: the graph as an ONNX model, checked, with the types of all values worked out once.

    Raises
    ------
    ImportError
        Without the package onnx.
    """
    import onnx
    from onnx import checker, helper, numpy_helper

    def ports_of(ports: Sequence[Port]) -> list[Any]:
        return [
            helper.make_tensor_value_info(port.name, helper.np_dtype_to_tensor_dtype(port.dtype), port.axes)
            for port in ports
        ]

    def attribute(value: Any) -> Any:
        if isinstance(value, Graph):
            return proto_of(value, "body")
        return helper.np_dtype_to_tensor_dtype(value) if isinstance(value, np.dtype) else value

    def proto_of(part: Graph, name: str) -> Any:
        nodes = [
            helper.make_node(
                node.op,
                node.inputs,
                node.outputs,
                name=node.outputs[0],
                **{key: attribute(value) for key, value in node.attributes.items()},
            )
            for node in part.nodes
        ]
        constants = [numpy_helper.from_array(array, name) for name, array in part.constants.items()]
        return helper.make_graph(nodes, name, ports_of(part.inputs), ports_of(part.outputs), constants)

    made = helper.make_model(
        proto_of(graph.without_unread(), "throughtime"),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=ir_version,
        producer_name="throughtime",
        producer_version=metadata["throughtime"],
    )
    helper.set_model_props(made, dict(metadata))
    checker.check_model(made, full_check=True)
    onnx.shape_inference.infer_shapes(made, check_type=True, strict_mode=True, data_prop=True)
    content: bytes = made.SerializeToString(deterministic=True)
    return content
