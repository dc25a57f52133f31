"""What a user can set, declared once: the estimators, the command line and the config file all read it here.

The types are the annotations', so that an editor knows them; default, help and bounds stand beside them in
an ``Option``.  Free of torch: ``throughtime --help`` imports this module and must answer at once.
"""

import difflib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from numbers import Integral
from types import MappingProxyType, NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    Protocol,
    Required,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from throughtime.augmentation_specs import augmentation_text
from throughtime.errors import ParameterError
from throughtime.feature_specs import parse_features

CellName = Literal["rnn", "gru", "lstm", "linear", "peephole_lstm"]
Nonlinearity = Literal["tanh", "relu"]
InitName = Literal[
    "torch",
    "keras",
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "orthogonal",
    "identity",
    "critical",
    "chrono",
]


@runtime_checkable
class Cell(Protocol):
    """A cell of the user's own: a ``throughtime.kernels.CellSpec``, which is made of torch's functions."""

    @property
    def name(self) -> str:
        """An identifier."""

    @property
    def step(self) -> Callable[..., Any]:
        """From one step's states to the next one's."""


@runtime_checkable
class InitScheme(Protocol):
    """How weights start, in parts: a ``throughtime.nn.Scheme``, whose package loads torch."""

    @property
    def recurrent(self) -> str:
        """How the recurrent weights start."""

    @property
    def biases(self) -> str:
        """How biases start."""

    @property
    def lag(self) -> float | None:
        """Steps that chrono's memories go up to."""


@runtime_checkable
class Augmentation(Protocol):
    """Other series to train on: a ``throughtime.training.Augmentation``, which is made of torch's functions."""

    @property
    def name(self) -> str:
        """As in a text."""

    @property
    def strength(self) -> float:
        """What it means is the augmentation's own."""

    @property
    def probability(self) -> float:
        """That a series is augmented."""


#: What a user makes that follows one of these protocols.
OBJECTS = {Cell: "CellSpec", InitScheme: "Scheme"}


@dataclass(frozen=True)
class Option:
    """One parameter's default, help and bounds; ``above`` is exclusive, the other bounds are not.

    ``parse`` reads the text of a parameter with a grammar of its own, and raises a `ParameterError` where it cannot.
    """

    default: Any
    help: str
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    parse: Callable[[str], Any] | None = None

    @property
    def bounds(self) -> str:
        """The bounds in words, such as "of at least 0 and below 1"; empty when there are none."""
        return " and ".join(
            f"{word} {bound:g}" if isinstance(bound, float) else f"{word} {bound:,}"
            for word, bound in (
                ("of at least", self.at_least),
                ("above", self.above),
                ("of at most", self.at_most),
                ("below", self.below),
            )
            if bound is not None
        )


class NetworkParameters(TypedDict, total=False):
    """What both estimators take."""

    cell: Annotated[CellName | Cell, Option("gru", "recurrent cell")]
    nonlinearity: Annotated[
        Nonlinearity, Option("tanh", "what an rnn's state goes through; relu starts well with init=he_normal")
    ]
    hidden_size: Annotated[int, Option(64, "units per layer and direction", at_least=1, at_most=1_000_000)]
    num_layers: Annotated[int, Option(1, "layers, one on the other", at_least=1, at_most=1_000)]
    bidirectional: Annotated[bool, Option(False, "read each series from both its ends")]
    pooling: Annotated[
        Literal["last", "mean", "max"],
        Option("last", "what a series hands to the output layer: its final state, or the mean or max over its steps"),
    ]
    dropout: Annotated[
        float,
        Option(0.0, "dropout probability of a layer's outputs, before the next layer and the output layer",
               at_least=0, below=1),
    ]  # fmt: skip
    variational_dropout: Annotated[
        float,
        Option(0.0, "dropout probability of each layer's inputs, the same ones at every step (Gal & Ghahramani 2016)",
               at_least=0, below=1),
    ]  # fmt: skip
    recurrent_dropout: Annotated[
        float,
        Option(0.0, "dropout probability of the state where it enters the next step, the same units at every step "
               "(Gal & Ghahramani 2016)", at_least=0, below=1),
    ]  # fmt: skip
    candidate_dropout: Annotated[
        float,
        Option(0.0, "dropout probability of what a gated cell would write into its state (Semeniuta et al. 2016)",
               at_least=0, below=1),
    ]  # fmt: skip
    zoneout: Annotated[
        float,
        Option(0.0, "probability that a unit of the state keeps its value of one step before; in prediction the "
               "expectation (Krueger et al. 2017)", at_least=0, below=1),
    ]  # fmt: skip
    cell_zoneout: Annotated[
        float,
        Option(0.0, "zoneout of an lstm's c, with a probability of its own (Krueger et al. 2017)", at_least=0, below=1),
    ]
    weight_decay: Annotated[
        float,
        Option(0.0, "lambda of the objective: mean loss + lambda/(2n) times the sum of squared weights, with n the "
               "training size; with adamw, torch's decoupled value as it is", at_least=0),
    ]  # fmt: skip
    input_noise: Annotated[
        float,
        Option(0.0, "standard deviation of Gaussian noise added in training to each standardized value that is there, "
               "new at every step and epoch (Bishop 1995)", at_least=0, at_most=1_000),
    ]  # fmt: skip
    augment: Annotated[
        str | Sequence[Augmentation] | None,
        Option(None, "augmentations of the training series, anew each pass, as name:strength@probability with commas "
               "between them: jitter, scaling, magnitude_warp, time_warp, window_slice, permutation, channel_dropout, "
               "mixup"),
    ]  # fmt: skip
    init: Annotated[
        InitName | InitScheme,
        Option("torch", "how the weights start, gate by gate: he is for relu, identity and critical for an rnn; chrono "
               "is orthogonal with memories of up to init_lag steps, for a gru or lstm; torch and keras are theirs"),
    ]  # fmt: skip
    init_lag: Annotated[
        int | None,
        Option(None, "steps that init=chrono has memories for, at most those of the longest series trained on, as "
               "with none",
               at_least=2, at_most=1_000_000_000),
    ]  # fmt: skip
    forget_bias: Annotated[
        float | None,
        Option(None, "what the biases of the gate that keeps the state sum to, an lstm's f or a gru's z; none: as init "
               "says"),
    ]  # fmt: skip
    optimizer: Annotated[Literal["adam", "adamw", "sgd"], Option("adam", "optimizer")]
    momentum: Annotated[float, Option(0.9, "momentum of sgd", at_least=0, below=1)]
    lr: Annotated[float, Option(0.01, "learning rate", above=0)]
    lr_schedule: Annotated[
        Literal["constant", "cosine", "plateau"],
        Option("cosine", "how the learning rate runs: constant; to 0 by max_epochs along a cosine; or divided by 10 "
               "when 5 epochs bring no gain"),
    ]  # fmt: skip
    batch_size: Annotated[int, Option(32, "series per step of the optimizer", at_least=1, at_most=1_000_000_000)]
    bptt: Annotated[
        Literal["full", "checkpointed", "truncated"],
        Option("full", "backpropagation through time: full; checkpointed, the same weights in less memory and more "
               "time; or truncated, whose gradient reaches k2 steps back"),
    ]  # fmt: skip
    k1: Annotated[
        int | None,
        Option(None, "steps between updates of truncated bptt with a target each step; none is k2", at_least=1),
    ]
    k2: Annotated[int | None, Option(None, "steps that the gradient of truncated bptt reaches back", at_least=1)]
    max_epochs: Annotated[int, Option(40, "passes over the training series", at_least=1)]
    clip_norm: Annotated[float | None, Option(1.0, "largest norm of the gradient; none leaves it alone", above=0)]
    clip_value: Annotated[
        float | None,
        Option(None, "largest size of each element of the gradient, before clip_norm; none leaves it alone", above=0),
    ]
    early_stopping: Annotated[
        bool, Option(False, "stop when an inner validation split no longer gains, and keep the best weights")
    ]
    patience: Annotated[int, Option(10, "epochs without a gain before early stopping", at_least=1)]
    validation_fraction: Annotated[
        float, Option(0.15, "fraction of the training series, or groups, in the inner split", above=0, below=1)
    ]
    normalize: Annotated[
        Literal["standard", "none"],
        Option("standard", "scale each channel by the training series' mean and deviation"),
    ]
    features: Annotated[
        str | None,
        Option(None, "made of the channels, each of a step and those before it: diff,rolling:7,lag:1:7,fourier:365.25; "
               "or, of the whole series, summary", parse=parse_features),
    ]  # fmt: skip
    missing: Annotated[
        Literal["mask", "error"],
        Option(
            "mask",
            "a missing value is filled, and flagged to the net with the number of steps since the last one; or refused",
        ),
    ]
    burn_in: Annotated[
        int, Option(0, "first steps left out of loss and score when every step has a target", at_least=0)
    ]
    layout: Annotated[
        Literal["ntc", "nct"],
        Option("ntc", "axis order of arrays: n series, t time, c channel (aeon, sktime: nct)"),
    ]
    dtype: Annotated[
        Literal["auto", "float32", "float64"],
        Option("auto", "precision to train in; auto: that of arrays, and float32 for files, whose values are centered "
               "in float64"),
    ]  # fmt: skip
    random_state: Annotated[
        int | None, Option(None, "seed; none draws a new one, kept in random_state_", at_least=0, at_most=2**32 - 1)
    ]
    device: Annotated[
        str, Option("cpu", "torch device; results are bitwise reproducible in any batch of members on the CPU only")
    ]
    monitor: Annotated[
        Literal["flow", "flow-every-step"] | None,
        Option(None, "what is kept of gradients through time while training: flow, small probes every 25 steps; "
               "flow-every-step, the gradients of each step too; none, nothing"),
    ]  # fmt: skip
    verbose: Annotated[int, Option(0, "1 shows the progress of training", at_least=0)]


class ClassifierParameters(NetworkParameters, total=False):
    """What ``SequenceClassifier`` takes."""

    class_weight: Annotated[
        Literal["balanced"] | dict[Any, float] | None,
        Option(None, "weight per class: balanced, or a mapping from class to weight"),
    ]
    label_smoothing: Annotated[
        float,
        Option(0.0, "fraction of a class's probability that all classes share in the loss trained on, while records, "
               "early stopping and scores keep the data's (Szegedy et al. 2016)", at_least=0, below=1),
    ]  # fmt: skip


class RegressorParameters(NetworkParameters, total=False):
    """What ``SequenceRegressor`` takes."""

    target_transform: Annotated[
        Literal["none", "log", "log1p", "sqrt"],
        Option("none", "the target is learned on this scale and predicted on its own"),
    ]
    horizon: Annotated[
        int,
        Option(0, "steps ahead that a target each step is forecast: inputs are read up to so many steps before it",
               at_least=0, at_most=1_000_000_000),
    ]  # fmt: skip
    known: Annotated[
        Sequence[int | str] | None,
        Option(None, "channels known ahead, by name or number: a forecast reads them up to the step it is for"),
    ]


#: What an estimator takes, by its task.
SCHEMAS: dict[str, type] = {"classification": ClassifierParameters, "regression": RegressorParameters}

#: Where the command line differs from the estimators: a run can be repeated, and a person sees what it does.
COMMAND_DEFAULTS = {"random_state": 0, "verbose": 1}


class ModuleParameters(TypedDict, total=False):
    """What the estimators take besides, in Python alone: code has no place on a command line or in a file."""

    module: Annotated[
        Callable[[int, int], Any] | None,
        Option(None, "a factory (n_channels, n_outputs) -> torch.nn.Module, called with (x, lengths), in the place of "
               "the built-in network"),
    ]  # fmt: skip


class ClassifierArguments(ClassifierParameters, ModuleParameters, total=False):
    """Everything that ``SequenceClassifier`` takes."""


class RegressorArguments(RegressorParameters, ModuleParameters, total=False):
    """Everything that ``SequenceRegressor`` takes."""


#: What a module of the user's own decides itself.
BUILT_IN_ONLY = ("cell", "nonlinearity", "hidden_size", "num_layers", "bidirectional", "pooling", "dropout",
                 "variational_dropout", "recurrent_dropout", "candidate_dropout", "zoneout", "cell_zoneout",
                 "init", "init_lag", "forget_bias", "bptt", "k1", "k2", "monitor")  # fmt: skip


#: Names of earlier versions, which still work for one, and those that took their places.
RENAMED = {"warmup": "burn_in"}


def renamed(values: Mapping[str, Any], warn_at: int | None = None) -> dict[str, Any]:
    """Parameters under their names of today.

    Parameters
    ----------
    warn_at
        Stack level of the caller who is to be warned of an earlier version's name; nobody is, of what was saved.

    Raises
    ------
    ParameterError
        For other values under both names.

    Warns
    -----
    FutureWarning
        Of a name of an earlier version.
    """
    new = {name: value for name, value in values.items() if name not in RENAMED}
    for name in values.keys() & RENAMED.keys():
        value, now = values[name], RENAMED[name]
        if warn_at is not None:
            warnings.warn(
                f"{name} is called {now} now; the next version will not know the old name",
                FutureWarning,
                stacklevel=warn_at,
            )
        if new.setdefault(now, value) != value:
            raise ParameterError(f"{now} needs one value, got {new[now]!r}, and {value!r} under its old name {name}")
    return new


@dataclass(frozen=True)
class Parameter:
    """A declared parameter: its name, its type without ``None``, whether ``None`` is allowed, its option.

    ``objects`` is a protocol that a value may follow instead, which no command line or file can spell.
    """

    name: str
    type: Any
    optional: bool
    option: Option = field(repr=False)
    objects: Any = None

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The words allowed, when only some are."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()


@cache
def declared(schema: type) -> Mapping[str, Parameter]:
    """The parameters of a ``TypedDict``, in order of declaration.

    >>> declared(ClassifierParameters)["cell"].choices
    ('rnn', 'gru', 'lstm', 'linear', 'peephole_lstm')
    """
    found = {}
    for name, hint in get_type_hints(schema, include_extras=True).items():
        if get_origin(hint) is Required:
            (hint,) = get_args(hint)
        kind, option = get_args(hint)
        parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
        objects = next((part for part in parts if getattr(part, "_is_protocol", False)), None)
        kind = Union[tuple(part for part in parts if part is not NoneType and part is not objects)]  # noqa: UP007
        found[name] = Parameter(name, kind, NoneType in parts, option, objects)
    return MappingProxyType(found)


def check_value(parameter: Parameter, value: Any) -> None:
    """Refuse a value of the wrong type or outside its bounds.

    Raises
    ------
    ParameterError
        "<name> needs <rule>, got <value>".
    """
    if (value is None and parameter.optional) or (parameter.objects and isinstance(value, parameter.objects)):
        return
    rule = _broken_rule(parameter, value)
    if rule:
        none = " or None" if parameter.optional else ""
        raise ParameterError(f"{parameter.name} needs {rule}{none}, got {value!r}{_hint(value, parameter.choices)}")
    if parameter.option.parse is not None:
        parameter.option.parse(value)


def check_values(schema: type, values: Mapping[str, Any]) -> None:
    """Refuse unknown names and bad values.

    Raises
    ------
    ParameterError
        For the first that is wrong.
    """
    known = declared(schema)
    for name, value in values.items():
        if name not in known:
            kind = schema.__name__.removesuffix("Parameters").removesuffix("Arguments").lower()
            raise ParameterError(
                f"{name!r} is not a parameter of {kind}s{_hint(name, known) or '; there are ' + ', '.join(known)}"
            )
        check_value(known[name], value)


def _broken_rule(parameter: Parameter, value: Any) -> str | None:
    kind, option = parameter.type, parameter.option
    if parameter.choices:
        instead = f" or a {OBJECTS[parameter.objects]}" if parameter.objects and not isinstance(value, str) else ""
        allowed = isinstance(value, str) and value in parameter.choices
        return None if allowed else f"one of {', '.join(parameter.choices)}{instead}"
    if kind is bool:
        return None if _is_bool(value) else "true or false"
    if kind is str:
        return None if isinstance(value, str) else "a word"
    if kind in (int, float):
        return _broken_number(kind, option, value)
    if get_origin(kind) is Callable:
        made = hasattr(value, "forward") and not isinstance(value, type)  # a module, where a way to make one is meant
        return None if callable(value) and not made else "a factory (n_channels, n_outputs) -> torch.nn.Module"
    if parameter.name == "augment":
        return _broken_augmentations(value)
    if get_origin(kind) is Sequence:
        listed = isinstance(value, list | tuple) and len(value) > 0
        fits = listed and all(isinstance(part, str | Integral) and not isinstance(part, bool) for part in value)
        return None if fits else "a list of channels, by name or number"
    # class_weight: a word or a mapping
    allowed = isinstance(value, Mapping) or (isinstance(value, str) and value == "balanced")
    return None if allowed else "'balanced' or a mapping from class to weight"


def _broken_augmentations(value: Any) -> str | None:
    listed = isinstance(value, list | tuple) and len(value) > 0
    made = listed and all(isinstance(part, Augmentation) and not isinstance(part, type) for part in value)
    if not isinstance(value, str) and not made:
        return "text such as 'jitter:0.05,window_slice:0.9@0.5', or a list of augmentations"
    augmentation_text(value)  # says itself what is wrong
    return None


def _broken_number(kind: type, option: Option, value: Any) -> str | None:
    return None if _within(kind, option, value) else _rule_of(kind, option)


def _is_bool(value: Any) -> bool:
    """Also NumPy's, whose name depends on its version."""
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")


def _within(kind: type, option: Option, value: Any) -> bool:
    # NumPy makes a number of an array with one item, and of a bool
    if _is_bool(value) or isinstance(value, str) or bool(getattr(value, "ndim", 0)) or not hasattr(value, "__float__"):
        return False
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):  # an array, or an int larger than any float
        return False
    return (
        math.isfinite(number)
        and (kind is not int or hasattr(value, "__index__"))
        and (option.at_least is None or number >= option.at_least)
        and (option.above is None or number > option.above)
        and (option.at_most is None or number <= option.at_most)
        and (option.below is None or number < option.below)
    )


def _rule_of(kind: type, option: Option) -> str:
    what = "a whole number" if kind is int else "a finite number"
    return f"{what} {option.bounds}".strip()


def _hint(word: Any, known: Any) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
