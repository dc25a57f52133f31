"""torch's recurrent layers in ONNX Runtime: the operator of the same name, inputs and outputs bound once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy import ndarray
from onnx import TensorProto, helper, numpy_helper

_OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN"}
#: Where torch keeps what ONNX wants first, second, ...: i o f c of an LSTM, z r h of a GRU.
_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn_tanh": (0,)}


def layer(
    kind: str, module: torch.nn.RNNBase, x: torch.Tensor, threads: int
) -> tuple[Callable[[], object], Callable[[], list[ndarray]]]:
    """A call, and what it gives: outputs, of inference alone."""
    steps, batch, channels = x.shape
    hidden = module.hidden_size
    arrays = [parameter.detach().numpy() for parameter in module.parameters()]
    w, r, b_ih, b_hh = (np.concatenate([np.split(a, len(_ORDER[kind]))[gate] for gate in _ORDER[kind]]) for a in arrays)
    states = ("h", "c") if kind == "lstm" else ("h",)
    # torch applies a GRU's reset gate after the product with the state
    attributes: dict[str, Any] = {"hidden_size": hidden} | ({"linear_before_reset": 1} if kind == "gru" else {})
    results = ["y", *(f"{state}_n" for state in states)]
    node = helper.make_node(_OPERATORS[kind], ["x", "w", "r", "b", "", *states], results, **attributes)
    shapes = {"x": (steps, batch, channels), "y": (steps, 1, batch, hidden)}
    declared = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes.get(name, (1, batch, hidden))) for name in names]
        for names in (["x", *states], results)
    ]
    constants = {"w": w, "r": r, "b": np.concatenate([b_ih, b_hh])}
    initializers = [numpy_helper.from_array(array[None], name) for name, array in constants.items()]
    graph = helper.make_graph([node], kind, declared[0], declared[1], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    # Bound memory spares the copies and the dictionaries of a plain ``run``.
    binding = session.io_binding()
    values = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shapes.get(name, (1, batch, hidden)), np.float32))
        for name in (*states, *results)
    }
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(x.numpy()))
    for name in states:
        binding.bind_ortvalue_input(name, values[name])
    for name in results:
        binding.bind_ortvalue_output(name, values[name])

    def call() -> None:
        session.run_with_iobinding(binding)

    def result() -> list[ndarray]:
        call()
        return [values["y"].numpy()[:, 0]]

    return call, result
