"""Probes: what is tried beside the base, each one change whose gain or loss answers one question.

A probe is an object; `Probe` says what it gives, and ``diagnose(probes=[*AUTO_PROBES, mine])`` takes one of a user's.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped
from numpy import ndarray

from throughtime.data import Sequences
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceEstimator
from throughtime.findings import NotApplicable
from throughtime.generalization.diagnosis.records import VerdictName
from throughtime.generalization.folds import Split, fold_indices, parse_cv
from throughtime.parameters import BUILT_IN_ONLY, Parameter, check_values, declared
from throughtime.training import Perturbation


@dataclass(frozen=True)
class Base:
    """What a probe may look at: the estimator, unfitted, its data, and the folds and the seed of one repeat."""

    estimator: SequenceEstimator
    X: Sequences
    y: Shaped[ndarray, "series"] | Sequences
    groups: Shaped[ndarray, "series"] | None
    folds: tuple[Split, ...]
    seed: int

    @property
    def by_step(self) -> bool:
        """Whether each step has a target."""
        return isinstance(self.y, Sequences)

    def member_seed(self, fold: int) -> int:
        """The ``random_state`` of the base's and every variant's member of a fold.

        Each fold has its own: of one start for all of them, a repeat would know no other.
        """
        return int(np.random.SeedSequence([self.seed, fold]).generate_state(1)[0])


@dataclass(frozen=True)
class Variant:
    """One change to the base; what is not given stays as it is.

    Parameters
    ----------
    change
        The change in words, such as "hidden_size 16 to 32".
    parameters
        Of the estimator, as ``set_params`` takes them.
    X, y
        Other series and targets, to train on and to be judged by, as many as there were.
    origin
        Where X are pieces of the base's series: which one each is of. A series' loss is then over all its pieces.
    folds
        Other folds of the base's series.
    train_fraction
        The fraction of each training fold's series (groups) that is trained on, for as many steps of the optimizer as
        on all of them.
    perturbations
        What training is disturbed by.
    """

    change: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    X: Sequences | None = None
    y: Shaped[ndarray, "series"] | Sequences | None = None
    origin: Int[ndarray, "piece"] | None = None
    folds: tuple[Split, ...] | None = None
    train_fraction: float = 1.0
    perturbations: tuple[Perturbation, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.train_fraction <= 1:
            raise ParameterError(f"train_fraction needs a number above 0 and up to 1, got {self.train_fraction}")

    @property
    def is_setting(self) -> bool:
        """Whether parameters are all there is to it, so that they apply it."""
        rest = (self.X, self.y, self.origin, self.folds)
        return all(part is None for part in rest) and self.train_fraction == 1 and not self.perturbations


class Probe(ABC):
    """Something to try.

    Attributes
    ----------
    name
        What tables call it; no two probes of a diagnosis have one name.
    cause
        The verdict that a gain of it speaks for; ``None`` where it only answers a question.
    """

    name: str
    cause: VerdictName | None = None

    @abstractmethod
    def variant(self, base: Base) -> Variant | NotApplicable:
        """The change to a base, once per repeat: what it draws, it draws from ``base.seed``."""


@dataclass(frozen=True)
class Setting(Probe):
    """Parameters of the estimator, each with its value."""

    name: str
    parameters: Mapping[str, Any]
    cause: VerdictName | None = None

    def variant(self, base: Base) -> Variant | NotApplicable:
        """The base with these parameters."""
        return _with(base, dict(self.parameters))


@dataclass(frozen=True)
class Scaled(Probe):
    """A parameter times a factor, at least and at most something."""

    name: str
    parameter: str
    factor: float
    cause: VerdictName | None = None
    at_least: float = 0.0

    def variant(self, base: Base) -> Variant | NotApplicable:
        """The base with the parameter scaled; whole numbers stay whole."""
        value = getattr(base.estimator, self.parameter)
        scaled = max(value * self.factor, self.at_least)
        if isinstance(value, int):
            scaled = max(round(scaled), 1)
            if scaled == value:
                return NotApplicable(f"{self.parameter} is {value} already")
        return _with(base, {self.parameter: scaled})


@dataclass(frozen=True)
class MoreDecay(Probe):
    """Weight decay of ten times as much, and at least 3, which is strong where n is some hundred.

    adamw decays by its value alone, whatever n is: there at least 0.3.
    """

    name: str = "weight_decay up"
    cause: VerdictName | None = "over-fit"

    def variant(self, base: Base) -> Variant | NotApplicable:
        """The base with more decay."""
        least = 0.3 if base.estimator.optimizer == "adamw" else 3.0
        return _with(base, {"weight_decay": max(10 * base.estimator.weight_decay, least)})


#: Parameters that hold training back from its loss, and the value at which they do not.
REGULARIZERS: dict[str, Any] = {
    "dropout": 0.0,
    "variational_dropout": 0.0,
    "recurrent_dropout": 0.0,
    "candidate_dropout": 0.0,
    "zoneout": 0.0,
    "cell_zoneout": 0.0,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "input_noise": 0.0,
    "augment": None,
}


@dataclass(frozen=True)
class NoRegularization(Probe):
    """Every regularizer that is set, off."""

    name: str = "no regularization"
    cause: VerdictName | None = "under-fit"

    def variant(self, base: Base) -> Variant | NotApplicable:
        """The base without them."""
        off = {name: value for name, value in REGULARIZERS.items() if getattr(base.estimator, name, value)}
        return _with(base, off) if off else NotApplicable("no regularization is set")


@dataclass(frozen=True)
class Initializer(Probe):
    """The recommended start: orthogonal, with an lstm's forget bias at 1; chrono for gates of long series."""

    name: str = "initializer"
    cause: VerdictName | None = "not optimized"

    def variant(self, base: Base) -> Variant | NotApplicable:
        """The base with that start."""
        estimator = base.estimator
        if estimator.init != "torch" or estimator.forget_bias is not None:
            return NotApplicable("an initializer is set already")
        if float(np.median(base.X.lengths)) >= _LONG and estimator.cell in ("gru", "lstm"):
            return _with(base, {"init": "chrono"})
        bias = {"forget_bias": 1.0} if estimator.cell in ("lstm", "peephole_lstm") else {}
        return _with(base, {"init": "orthogonal"} | bias)


#: Steps from which on a series is long enough for memories of many lengths.
_LONG = 50


@dataclass(frozen=True)
class LessData(Probe):
    """A fraction of every training fold, for as many steps as all of it."""

    name: str
    fraction: float
    cause: VerdictName | None = None

    def variant(self, base: Base) -> Variant | NotApplicable:  # noqa: ARG002
        """The base on that fraction."""
        return Variant(
            f"{100 * self.fraction:.0f} % of the training series, as many steps", train_fraction=self.fraction
        )


@dataclass(frozen=True)
class PermutedTargets(Probe):
    """Targets that have changed places between series: what is left to learn is how the folds leak."""

    name: str = "permuted targets"
    cause: VerdictName | None = None

    def variant(self, base: Base) -> Variant | NotApplicable:
        """The base on shuffled targets."""
        order = np.random.default_rng(base.seed).permutation(len(base.X))
        if isinstance(base.y, Sequences) and base.y.shape[1] is None:
            return NotApplicable("targets at each step change places between series of one length only")
        return Variant("targets shuffled between series", y=base.y[order])


@dataclass(frozen=True)
class WholeGroups(Probe):
    """Folds that keep every group whole, where the given folds do not."""

    name: str = "whole groups"
    cause: VerdictName | None = None

    def variant(self, base: Base) -> Variant | NotApplicable:
        """The base on those folds."""
        if base.groups is None:
            return NotApplicable("the series have no groups")
        if not any(np.isin(base.groups[test], base.groups[train]).any() for train, test in base.folds):
            return NotApplicable("the folds keep groups whole already")
        n_folds = min(len(base.folds), len(np.unique(base.groups)))
        if n_folds < 2:
            return NotApplicable("there is a single group")
        cv = parse_cv(f"group:{n_folds}", classifier=False, random_state=base.seed % 2**32, grouped=True)
        return Variant(f"{n_folds} folds of whole groups", folds=fold_indices(cv, base.X, base.y, base.groups))


@dataclass(frozen=True)
class LessHistory(Probe):
    """Only so many of the last steps of each series; or, with a target each step, before each target."""

    name: str
    fraction: float
    cause: VerdictName | None = None

    def steps(self, base: Base) -> int:
        """Steps of history that are left of a series of median length."""
        return max(1, round(self.fraction * float(np.median(base.X.lengths))))

    def variant(self, base: Base) -> Variant | NotApplicable:
        """The base on shorter series."""
        if base.by_step:
            return self._pieces(base)
        keep = np.maximum(1, np.round(self.fraction * base.X.lengths).astype(np.int64))
        if (keep == base.X.lengths).all():
            return NotApplicable("the series have a single step")
        lengths = base.X.lengths
        X = base.X.cut(np.arange(len(base.X)), lengths - keep, lengths)
        return Variant(f"the last {100 * self.fraction:.0f} % of each series' steps", X=X)

    def _pieces(self, base: Base) -> Variant | NotApplicable:
        """Pieces of 3h/2 steps whose targets are the last h/2: each is predicted from h to 3h/2 steps."""
        estimator, X, y = base.estimator, base.X, base.y
        assert isinstance(y, Sequences)
        if estimator.bidirectional:
            return NotApplicable("bidirectional networks read the steps after a target too")
        reach = self.steps(base)
        own = -(-reach // 2)
        before = reach + estimator.horizon
        if reach <= max(estimator.burn_in, estimator.horizon) or before + own >= X.lengths.max():
            return NotApplicable(f"series of {X.lengths.max()} steps have no shorter history of {reach} steps to try")
        n_pieces = -(-X.lengths // own)
        origin = np.repeat(np.arange(len(X)), n_pieces)
        number = np.arange(n_pieces.sum()) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
        owned = number * own  # the first step whose target is the piece's
        begins = np.maximum(owned - before, 0)
        ends = np.minimum(owned + own, X.lengths[origin])
        # the first steps of a series, burn-in and horizon, stay unobserved in their own place
        values = y.values.copy()
        within = np.arange(y.n_steps) - np.repeat(y.offsets[:-1], y.lengths)
        values[within < estimator.burn_in + estimator.horizon] = np.nan
        targets = Sequences(values, y.offsets, train_dtype=y.train_dtype)
        if len(origin) > _MOST_PIECES:
            return NotApplicable(f"{len(origin)} pieces would be more than {_MOST_PIECES}")
        pieces = targets.cut(origin, begins, ends, history=owned - begins).without_history()
        told = np.array([not np.isnan(piece).all() for piece in pieces])
        origin, begins, ends, pieces = origin[told], begins[told], ends[told], pieces[told]
        batch = max(1, round(estimator.batch_size * len(pieces) / len(X)))  # as many targets, and steps, as before
        return Variant(
            f"{reach} to {reach + own} steps before each target",
            {"batch_size": batch, "burn_in": 0},
            X=X.cut(origin, begins, ends),
            y=pieces,
            origin=origin,
        )


#: Pieces of series that a history probe may make.
_MOST_PIECES = 100_000

HALF_DATA, QUARTER_DATA = LessData("half of the data", 0.5), LessData("quarter of the data", 0.25)
PERMUTED, WHOLE_GROUPS = PermutedTargets(), WholeGroups()
HALF_HISTORY, QUARTER_HISTORY = LessHistory("half of the history", 0.5), LessHistory("quarter of the history", 0.25)

#: What ``probes="auto"`` tries, the most telling first: in this order they are dropped from the end when time is short.
AUTO_PROBES: tuple[Probe, ...] = (
    WHOLE_GROUPS,
    MoreDecay(),
    Scaled("max_epochs x3", "max_epochs", 3, "not optimized"),
    Scaled("hidden_size x2", "hidden_size", 2, "under-fit", at_least=8),
    HALF_DATA,
    QUARTER_DATA,
    NoRegularization(),
    Scaled("lr x4", "lr", 4, "not optimized"),
    Scaled("hidden_size /4", "hidden_size", 1 / 4, "over-fit"),
    Scaled("max_epochs /3", "max_epochs", 1 / 3, "over-fit"),
    Scaled("lr /4", "lr", 1 / 4, "not optimized"),
    Initializer(),
    HALF_HISTORY,
    QUARTER_HISTORY,
    PERMUTED,
)

#: What a gain may speak for; the other verdicts are not a matter of gains.
CAUSES: tuple[VerdictName, ...] = (
    "not optimized",
    "under-fit",
    "over-fit",
    "data-limited",
    "noise- or feature-limited",
)

#: What a gain of a parameter's larger value speaks for; of its smaller value the second.
_CAUSES: dict[str, tuple[VerdictName, VerdictName]] = {
    **dict.fromkeys(REGULARIZERS, ("over-fit", "under-fit")),
    **dict.fromkeys(("hidden_size", "num_layers", "bidirectional"), ("under-fit", "over-fit")),
    "max_epochs": ("not optimized", "over-fit"),
    "patience": ("not optimized", "over-fit"),
    **dict.fromkeys(("cell", "nonlinearity", "pooling"), ("under-fit", "under-fit")),
    **dict.fromkeys(
        ("features", "known", "normalize", "missing"), ("noise- or feature-limited", "noise- or feature-limited")
    ),
}


def probes_of(probes: str | Sequence[str | Probe], estimator: SequenceEstimator) -> tuple[Probe, ...]:
    """The probes that are asked for, by name or as they are.

    Parameters
    ----------
    probes
        ``"auto"``; or a sequence of probes, names of those of `AUTO_PROBES`, ``auto`` for all of them, and settings
        in words: ``"dropout=0.3"``, ``"augment:jitter:0.1"``, ``"features:diff"``.
    estimator
        Whose parameters they are about.

    Raises
    ------
    ParameterError
        For what is no probe, a name that is not known, or one that is there twice.
    """
    if not isinstance(probes, Iterable) and not isinstance(probes, Probe):
        raise ParameterError(f'probes needs "auto" or a list of names and Probe objects, got {probes!r}')
    given: Sequence[str | Probe] = [probes] if isinstance(probes, str | Probe) else list(probes)
    known = {probe.name: probe for probe in AUTO_PROBES}
    found: list[Probe] = []
    for one in given:
        if isinstance(one, Probe):
            found.append(one)
        elif not isinstance(one, str):
            raise ParameterError(f"probes needs names and Probe objects, got {type(one).__name__}")
        elif one == "auto":
            found += AUTO_PROBES
        else:
            found.append(known[one] if one in known else _setting(one, estimator))
    if not found:
        raise ParameterError('probes needs at least one, got none; "auto" tries them all')
    for probe in found:
        if probe.cause is not None and probe.cause not in CAUSES:
            raise ParameterError(
                f"probe {probe.name!r} needs None or one of {', '.join(CAUSES)} as its cause, got {probe.cause!r}"
            )
    names = [probe.name for probe in found]
    if (twice := next((name for name in names if names.count(name) > 1), None)) is not None:
        raise ParameterError(f"probes needs each name once, got {twice!r} {names.count(twice)} times")
    return tuple(found)


def _setting(text: str, estimator: SequenceEstimator) -> Setting:
    """A setting in words."""
    parameters = declared(estimator.schema)
    name, sign, value = text.partition("=") if "=" in text else text.partition(":")
    name = name.strip()
    if not sign or name not in parameters:
        raise ParameterError(
            f"probes needs names, parameter=value, augment:SPEC or features:SPEC, got {text!r}; there are "
            f"{', '.join(probe.name for probe in AUTO_PROBES)}"
        )
    chosen = _value(parameters[name], value.strip())
    up, down = _CAUSES.get(name, ("not optimized", "not optimized"))
    now = getattr(estimator, name)
    less = isinstance(chosen, int | float) and isinstance(now, int | float) and chosen < now
    return Setting(text, {name: chosen}, down if less else up)


def _value(parameter: Parameter, text: str) -> Any:
    """A parameter's value from text; what is no number stays text, for the estimator to refuse."""
    if parameter.optional and text.lower() == "none":
        return None
    if parameter.type is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    for kind in (int, float):
        if parameter.type in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def _with(base: Base, parameters: Mapping[str, Any]) -> Variant | NotApplicable:
    """The base with other parameters, in words."""
    estimator = base.estimator
    check_values(estimator.schema, parameters)
    if getattr(estimator, "module", None) is not None and (own := [n for n in parameters if n in BUILT_IN_ONLY]):
        return NotApplicable(f"a module of the user's own decides {own[0]} itself")
    return Variant(
        ", ".join(f"{name} {_word(getattr(estimator, name))} to {_word(value)}" for name, value in parameters.items()),
        parameters,
    )


def _word(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
