"""Nodes from the last layer to what a model answers: see the steps 6 and 7 of `throughtime.export.contents`."""

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from throughtime.export.contents import Contents, Label, TargetScale
from throughtime.export.onnx_inputs import NetworkInputs
from throughtime.export.onnx_nodes import Graph, States
from throughtime.export.onnx_recurrence import LayerOutputs


def add_outputs(graph: Graph, states: States, contents: Contents, read: NetworkInputs, layers: LayerOutputs) -> None:
    """Pool, run the output layer, and declare what comes of it as outputs."""
    pooled = _pooled(graph, states, contents, read, layers)
    product = graph.add("MatMul", pooled, contents.weights["readout.weight"].T)
    values = graph.add("Add", product, contents.weights["readout.bias"])
    if contents.pooling == "steps":
        values = graph.add("Transpose", values, perm=[1, 0, 2])
        usable = graph.add("And", read.inside, graph.add("Unsqueeze", read.usable, np.array([1])))
        if contents.horizon and not states.streaming:  # the first steps have no forecast
            ahead = np.array([0, contents.horizon, 0, 0, 0, 0]), np.array(0, contents.dtype)
            values = graph.add("Pad", values, *ahead)
            none = graph.add("Expand", np.array([[False]]), graph.sizes(graph.size(usable, 0), contents.horizon))
            usable = graph.add("Concat", none, usable, axis=1)
        given = np.array([0]), graph.add("Unsqueeze", read.time, np.array([0])), np.array([1])
        values, usable = graph.add("Slice", values, *given), graph.add("Slice", usable, *given)
        axes: tuple[str, ...] = ("batch", "time")
    else:
        some = graph.add("Less", np.int64(0), graph.add("Add", read.steps_read, read.lengths))
        usable = graph.add("And", read.usable, some)
        axes = ("batch",)
    if contents.target is not None:
        squeezed = graph.add("Squeeze", values, np.array([-1]))
        own = _in_own_units(graph, contents.target, graph.cast(squeezed, np.float64))
        graph.output("prediction", graph.add("Where", usable, own, np.float64(np.nan)), np.float64, *axes)
        return
    assert contents.classes is not None
    of_each = graph.add("Unsqueeze", usable, np.array([-1]))
    logits = graph.add("Where", of_each, values, np.array(np.nan, contents.dtype))
    softmax = graph.add("Softmax", graph.cast(values, np.float64), axis=-1)
    probabilities = graph.add("Where", of_each, softmax, np.float64(np.nan))
    likeliest = graph.add("ArgMax", values, axis=-1, keepdims=0)
    labels, n_classes = _labels(contents.classes), len(contents.classes)
    number = graph.add("Where", usable, likeliest, np.int64(n_classes))
    label = graph.add("Gather", graph.constant(labels, "labels"), number)
    graph.output("logits", logits, contents.dtype, *axes, n_classes)
    graph.output("probabilities", probabilities, np.float64, *axes, n_classes)
    graph.output("label", label, labels.dtype, *axes)


def _pooled(graph: Graph, states: States, contents: Contents, read: NetworkInputs, layers: LayerOutputs) -> str:
    """What the output layer is given: (batch, feature), or (time, batch, feature) for steps."""
    if contents.pooling == "steps":
        return layers.steps
    if contents.pooling == "last":
        return layers.last
    width = contents.hidden_size * (1 + contents.bidirectional)
    inside = graph.add("Unsqueeze", graph.add("Transpose", read.inside, perm=[1, 0]), np.array([2]))
    if contents.pooling == "mean":
        # torch adds up float32 in float64
        own = graph.add("Where", inside, graph.cast(layers.steps, np.float64), np.float64(0))
        before = states.read("sum", np.float64, width)
        total = graph.add("Add", before, graph.add("ReduceSum", own, np.array([0]), keepdims=0))
        states.keep("sum", total)
        count = graph.cast(graph.add("Add", read.steps_read, read.lengths), contents.dtype)
        return graph.add("Div", graph.cast(total, contents.dtype), graph.add("Unsqueeze", count, np.array([1])))
    own = graph.add("Where", inside, layers.steps, np.array(-np.inf, contents.dtype))
    best = graph.add("ReduceMax", own, axes=[0], keepdims=0)
    if states.streaming:
        before = states.read("largest", contents.dtype, width)
        first = graph.add("Unsqueeze", graph.add("Less", read.steps_read, np.int64(1)), np.array([1]))
        best = graph.add("Where", first, best, graph.add("Max", best, before))
        states.keep("largest", best)
    return best


def _in_own_units(graph: Graph, target: TargetScale, learned: str) -> str:
    """Values on the target's own scale; learned (...), float64."""
    scaled = graph.add("Add", graph.add("Mul", learned, np.float64(target.scale)), np.float64(target.mean))
    if target.transform == "log":
        return graph.add("Exp", scaled)
    if target.transform == "log1p":
        # exp(x) - 1 loses the digits of a small x: it is tanh(x/2) (exp(x) + 1)
        half = graph.add("Tanh", graph.add("Mul", scaled, np.float64(0.5)))
        return graph.add("Mul", half, graph.add("Add", graph.add("Exp", scaled), np.float64(1)))
    if target.transform == "sqrt":
        positive = graph.add("Max", scaled, np.float64(0))
        return graph.add("Mul", positive, positive)
    return scaled


def _labels(classes: tuple[Label, ...]) -> ndarray:
    """The classes, and last what stands where there is none: "", NaN, False, the lowest integer or highest uint64."""
    array = np.array(classes, _label_type(classes))
    none = {"O": "", "b": False, "i": np.iinfo(np.int64).min, "u": np.iinfo(np.uint64).max, "f": np.nan}
    return np.append(array, np.array([none[array.dtype.kind]], array.dtype))


def _label_type(classes: tuple[Label, ...]) -> DTypeLike:
    """Of integers int64, or uint64 where one is beyond it: NumPy would make floats of the two."""
    if isinstance(classes[0], str):
        return object
    beyond = any(isinstance(label, int) and label > np.iinfo(np.int64).max for label in classes)
    return np.uint64 if beyond else None
