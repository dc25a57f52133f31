"""The code of a model exported to torch: templates of what a network may need, and what they are filled with."""

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from throughtime.export.contents import Contents
from throughtime.feature_specs import FeatureSpec
from throughtime.kernels import CELLS
from throughtime.storage import package_versions

#: Of each cell the layer of torch that is like it, and its name in words.
_CELLS = {
    "rnn_tanh": ("RNN", "An RNN"),
    "rnn_relu": ("RNN", "An RNN of relu"),
    "gru": ("GRU", "A GRU"),
    "lstm": ("LSTM", "An LSTM"),
    "linear": ("RNN", "A linear RNN"),
    "peephole_lstm": ("LSTM", "A peephole LSTM"),
}
#: What the times are that are handed in.
_CLOCKS: dict[str | None, str] = {"days": "days since 1970 (UTC)", "numbers": "in the unit of the times in training"}
#: What of the inputs beside x belongs to its first step.
_FIRST_STEP = {"static": "static", "clock": "clock[:, :1]"}
#: Letters of a list after ``KNOWN = ``, and of layers after ``self.recurrent = ``, in lines of 120.
_LONGEST_LIST, _LONGEST_LAYER = 112, 95


def text_files(contents: Contents, streaming: bool) -> dict[str, bytes]:
    """``model.py`` and ``README.md``, made for this one network: what it does not need is not there."""
    filled = _context(contents, streaming)
    return {
        name: _TEMPLATES.get_template(f"{name}.jinja").render(filled).encode() for name in ("model.py", "README.md")
    }


def _context(contents: Contents, streaming: bool) -> dict[str, Any]:
    """What the templates are filled with: numbers and words of ours, no name from the data."""
    of_channels = [spec for spec in contents.features if spec.name != "summary"]
    static = len(contents.static)
    takes_clock = contents.clock in ("days", "numbers")
    named = [name for name, there in (("static", static > 0), ("clock", takes_clock)) if there]
    keywords = "".join([", *" if named else "", *(f", {name}: Tensor" for name in named)])
    width = contents.hidden_size * (1 + contents.bidirectional)
    return vars(contents) | {
        "version": package_versions(["throughtime"])["throughtime"],
        "title": f"{_layers_in_words(contents)}.",
        "purpose": _purpose(contents),
        "streaming": streaming,
        "arguments": f"x: Tensor, lengths: Tensor | None = None{keywords}",
        "step_arguments": f"x: Tensor, state: State{keywords}",
        "passed": ", ".join(["x", "lengths", *(f"{name}={name}" for name in named)]),
        "call": ", ".join(["x", *(f"{name}={name}" for name in named)]),
        "ragged_call": ", ".join(["x", "lengths", *(f"{name}={name}" for name in named)]),
        "step_call": ", ".join(["x[:, :1]", "state", *(f"{name}={_FIRST_STEP[name]}" for name in named)]),
        "by_step": contents.pooling == "steps",
        "shape_in_words": _shape_in_words(contents),
        "n_channels": len(contents.channels),
        "n_flagged": len(contents.channels) + sum(_width(spec, len(contents.channels)) for spec in of_channels),
        "n_static": static,
        "n_inputs": contents.n_inputs,
        "n_outputs": contents.n_outputs,
        "width": width,
        "dtype_argument": ", dtype=torch.float64" if contents.dtype == "float64" else "",
        "takes_clock": takes_clock,
        "clock_in_words": _CLOCKS.get(contents.clock),
        "fourier": contents.clock is not None,
        "channel_features": of_channels,
        "summaries": [word for spec in contents.features if spec.name == "summary" for word in spec.words],
        "functions": _functions(of_channels),
        "history": max((_reach(spec) for spec in of_channels), default=0),
        "counts_steps": contents.pooling == "mean" or contents.clock == "steps",
        "cell_in_words": _CELLS[contents.cell][1],
        "twin": _CELLS[contents.cell][0],
        "has_c": "c" in CELLS[contents.cell].states,
        "torch_layer": contents.torch_layer,
        "layer_class": _layer_class(contents),
        "layer": _layer(contents),
        "weight_shapes": _weight_shapes(contents),
        "transform": None if contents.target is None else contents.target.transform,
    }


def _layers_in_words(contents: Contents) -> str:
    cell = _CELLS[contents.cell][1]
    layers = "" if contents.num_layers == 1 else f"{contents.num_layers} layers of "
    both = ", in both directions" if contents.bidirectional else ""
    return f"{cell} of {layers}{contents.hidden_size} units{both}"


def _purpose(contents: Contents) -> str:
    """What it does, in words: ``gives one of 9 classes to each series of 12 channels``."""
    each = "each step of series" if contents.pooling == "steps" else "each series"
    channels = "1 channel" if len(contents.channels) == 1 else f"{len(contents.channels)} channels"
    if contents.classes is not None:
        return f"gives one of {len(contents.classes)} classes to {each} of {channels}"
    if contents.horizon:
        return f"forecasts a number {_steps_in_words(contents.horizon)} ahead, from series of {channels}"
    return f"gives a number to {each} of {channels}"


def _shape_in_words(contents: Contents) -> str:
    axes = ["batch", "time"] if contents.pooling == "steps" else ["batch"]
    return f"({', '.join([*axes, *([] if contents.classes is None else [str(len(contents.classes))])])})"


def _steps_in_words(steps: int) -> str:
    """``1 step``, ``7 steps``."""
    return "1 step" if steps == 1 else f"{steps} steps"


def _layer_class(contents: Contents) -> str:
    """The class that the recurrent layers are of, in the file itself where torch has none."""
    if contents.torch_layer is not None:
        return f"nn.{contents.torch_layer}"
    name = {"linear": "LinearRNN", "peephole_lstm": "PeepholeLSTM"}.get(contents.cell, _CELLS[contents.cell][0])
    return f"Zoneout{name}" if contents.zoneout or contents.cell_zoneout else name


def _layer(contents: Contents) -> str:
    """The expression that makes the recurrent layers."""
    name = _layer_class(contents)
    if contents.torch_layer is None:
        return f"{name}()"
    options = {
        f"num_layers={contents.num_layers}": contents.num_layers > 1,
        'nonlinearity="relu"': contents.cell == "rnn_relu",
        "batch_first=True": True,
        "bidirectional=True": contents.bidirectional,
        "dtype=torch.float64": contents.dtype == "float64",
    }
    sizes = f"{contents.n_inputs}, {contents.hidden_size}"
    arguments = ", ".join([sizes, *(option for option, wanted in options.items() if wanted)])
    line = f"{name}({arguments})"
    return line if len(line) <= _LONGEST_LAYER else f"{name}(\n            {arguments}\n        )"


def _weight_shapes(contents: Contents) -> dict[str, str]:
    """The weights of a layer in one direction, and their shapes as code."""
    spec, units = CELLS[contents.cell], contents.hidden_size
    rows = len(spec.gates) * units
    shapes = {"weight_ih": f"{rows}, columns", "weight_hh": f"{rows}, {units}", "bias_ih": f"{rows},"}
    return shapes | {"bias_hh": f"{rows},"} | dict.fromkeys(spec.unit_weights, f"{units},")


def _reach(spec: FeatureSpec) -> int:
    """Steps before the present one that a feature is made of."""
    if spec.name == "fourier":
        return 0
    return int(max(spec.numbers)) - (spec.name == "rolling")


def _width(spec: FeatureSpec, n_channels: int) -> int:
    """Channels that a feature adds."""
    if spec.name == "fourier":
        return 2 * len(spec.numbers)
    return n_channels * len(spec.numbers) * max(1, len(spec.words))


def _functions(specs: Sequence[FeatureSpec]) -> set[str]:
    """The functions of the file that these features call."""
    words = {word for spec in specs if spec.name == "rolling" for word in spec.words}
    called = {"earlier": any(spec.name in ("diff", "lag") for spec in specs), "back": bool(words),
              "moments": bool(words & {"mean", "std"}), "max": "min" in words}  # fmt: skip
    return words | {name for name, needed in called.items() if needed}


def _listed(values: Sequence[int]) -> str:
    """A list as a line of code, or a line for each where that is too long."""
    line = f"[{', '.join(map(str, values))}]"
    return line if len(line) <= _LONGEST_LIST else "\n".join(["[", *(f"    {value}," for value in values), "]"])


_TEMPLATES = Environment(
    loader=PackageLoader("throughtime.export"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=False,  # of code and Markdown, into which no text from the data goes
)
_TEMPLATES.filters |= {"listed": _listed, "steps": _steps_in_words}
