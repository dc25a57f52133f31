"""A member made ready to train: its own series checked, scaled and encoded, its network and recipe chosen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any, cast

import numpy as np
import torch
from numpy import ndarray
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils.class_weight import compute_class_weight

from throughtime.data import Sequences, as_sequences, check_even
from throughtime.data.sequences import as_labels
from throughtime.errors import DataError, ParameterError
from throughtime.estimators.base import SequenceEstimator, parameters_of
from throughtime.estimators.classifier import SequenceClassifier
from throughtime.estimators.features import (
    Features,
    any_missing,
    extremes_of,
    features_of,
    inputs_of,
    refuse_beyond,
    scaling,
    weighted_moments,
)
from throughtime.estimators.forecast import forecast_inputs, known_channels
from throughtime.estimators.names import check_names, learned_names
from throughtime.estimators.targets import (
    Targets,
    checked_weights,
    classes_of,
    encode,
    refuse_unscorable,
    targets_of,
    transform,
)
from throughtime.nn import Architecture, FactoryNetwork, Net, NoiseRates, misplaced_noise
from throughtime.parameters import BUILT_IN_ONLY, NetworkParameters, check_values, declared
from throughtime.training import Inputs, Member, Purpose, Recipe, Sample, derived_seed
from throughtime.training.batches import row_by_row
from throughtime.training.members import observed

#: Where a member's series are among all series.
Rows = ndarray


@dataclass(frozen=True)
class Prepared:
    """A member ready to train, and what its fitted estimator will need."""

    net: Net
    recipe: Recipe
    masked: bool
    member: Member
    learned: dict[str, Any]


class Problem:
    """The data all members share, checked once."""

    def __init__(self, estimators: Sequence[SequenceEstimator], X: Any, y: Any, weights: Any, groups: Any) -> None:
        for estimator in estimators:
            check_values(estimator.schema, parameters_of(estimator))
        first = estimators[0]
        for name in ("layout", "warmup", "horizon", "known"):
            if any(getattr(estimator, name) != getattr(first, name) for estimator in estimators):
                raise ParameterError(f"members that share one data set need the same {name}")
        self.X = as_sequences(X, layout=first.layout)
        self.n_steps = _width(X)
        self.names = learned_names(X, self.X)
        if y is None:
            raise DataError(f"{type(first).__name__} requires y to be passed, but the target y is None")
        self.horizon = int(first.horizon)
        if first.known and not self.horizon:
            raise ParameterError(
                f"known needs a horizon of at least 1, got 0 and known={first.known!r}: without a horizon every "
                "channel is read up to the step that is predicted"
            )
        self.known = known_channels(first.known, self.X)
        self.targets = targets_of(y, self.X, first.warmup, self.horizon)
        self.seen = forecast_inputs(self.X, self.horizon, self.known)
        if self.horizon:
            self.targets = self.targets.after(self.horizon)
        self.weights = checked_weights(weights, len(self.X))
        self.groups = self.X.groups if groups is None else as_labels(groups, "groups", len(self.X))
        self._features: dict[tuple[bool, torch.dtype], Features] = {}
        self._inputs: dict[tuple[bool, torch.dtype, str], Inputs] = {}

    def features(self, masked: bool, dtype: torch.dtype) -> Features:
        """The columns of all series, made once for those who see what is missing and once for the others."""
        if (masked, dtype) not in self._features:
            self._features[masked, dtype] = features_of(self.seen, masked, numpy_dtype(dtype))
        return self._features[masked, dtype]

    @cached_property
    def extremes(self) -> ndarray:
        """The lowest and highest value of all series."""
        return extremes_of(self.seen)

    def inputs(self, masked: bool, dtype: torch.dtype, device: str) -> Inputs:
        """The same as tensors on a device."""
        key = masked, dtype, device
        if key not in self._inputs:
            self._inputs[key] = inputs_of(self.features(masked, dtype), device)
        return self._inputs[key]

    def prepare(self, estimator: SequenceEstimator, rows: Rows, eval_rows: Rows | None) -> Prepared:
        """Everything of one member that comes from its own training series."""
        p = parameters_of(estimator)
        check_device(p["device"])
        if self.horizon and p["bidirectional"]:
            raise ParameterError("horizon needs bidirectional=False: reading back from the end is seeing the future")
        masked = any_missing(self.seen, rows)
        if masked and p["missing"] == "error":
            raise DataError(f'X needs every value with missing="error", got NaN{self._where_missing(rows)}')
        seed = p["random_state"] if p["random_state"] is not None else int(np.random.default_rng().integers(2**31))
        own = self.targets.take(rows)
        if own.by_step and np.isnan(own.values).all():
            raise DataError(
                f"y needs an observed target in the training series after their first {p['warmup']} steps (warmup), "
                "got none"
            )
        learned: dict[str, Any] = {"random_state_": int(seed), "masked_": masked, "by_step_": own.by_step}
        clock = check_even(self.X[rows], f"horizon={self.horizon}") if self.horizon else None
        learned |= {"horizon_": self.horizon, "known_": self.known, "clock_": clock}
        if isinstance(estimator, SequenceClassifier):
            learned["classes_"] = classes_of(own)
        else:
            refuse_unscorable(own.values)
            transform(p["target_transform"], own.values)  # for what it refuses: what is only evaluated may be outside
        inner = self._inner_split(p, rows, own, seed, learned.get("classes_"))
        train_indices = rows if inner is None else rows[inner[0]]

        weights = self.weights[train_indices]
        if not weights.any():
            raise DataError("sample_weight needs a weight above zero in the training series, got zero weights only")
        dtype = train_dtype(p["dtype"], self.X)
        features = self.features(masked, dtype)
        n_inputs = features.n_inputs
        shift, scale = np.zeros(n_inputs), np.ones(n_inputs)
        if p["normalize"] == "standard":
            shift, scale = scaling(features, train_indices, weights)
        refuse_beyond(self.seen, train_indices, self.extremes, shift, scale, numpy_dtype(dtype))
        encode_rows = self._encoder(p, train_indices, weights, learned)
        sample = encode_rows(train_indices)
        each = sample.weights if own.lengths is None else np.repeat(sample.weights, features.lengths[train_indices])
        if not each[observed(sample.targets)].sum() > 0:
            raise DataError("training needs an observed target of weight above zero, got none")

        n_outputs = len(learned["classes_"]) if "classes_" in learned else 1
        net = _net(p, n_inputs, n_outputs, own.by_step)
        batch_size = int(p["batch_size"])
        recipe = Recipe(
            loss="cross_entropy" if "classes_" in learned else "squared_error",
            init=p["init"],
            optimizer=p["optimizer"],
            lr_schedule=p["lr_schedule"],
            batch_size=batch_size,
            dtype=dtype,
            device=p["device"],
            masks_state=p["recurrent_dropout"] > 0,
            # A member's own: how sums are taken may not depend on its neighbors.
            padded_rows=None
            if row_by_row(net, torch.empty(0, dtype=dtype, device=p["device"]))
            else min(batch_size, len(train_indices)),
        )
        member = Member(
            seed=int(seed),
            train=sample,
            shift=shift,
            scale=scale,
            lr=float(p["lr"]),
            weight_decay=float(p["weight_decay"]),
            momentum=float(p["momentum"]),
            dropout=float(p["dropout"]),
            clip_norm=float("inf") if p["clip_norm"] is None else float(p["clip_norm"]),
            max_epochs=int(p["max_epochs"]),
            patience=int(p["patience"]) if p["early_stopping"] else None,
            validation=None if inner is None else encode_rows(rows[inner[1]]),
            eval=None if eval_rows is None else encode_rows(eval_rows),
            noise=_noise(p, net),
        )
        learned |= {"n_static_": 0 if self.X.static is None else self.X.static.shape[1], "n_steps_": self.n_steps}
        learned["n_features_in_"] = self.X.n_channels if self.n_steps is None else self.n_steps
        return Prepared(net, recipe, masked, member, learned | self.names)

    def _encoder(
        self, p: dict[str, Any], rows: Rows, weights: ndarray, learned: dict[str, Any]
    ) -> Callable[[Rows], Sample]:
        """How this member turns series into a sample; what it learns for that goes to ``learned``."""
        if "classes_" in learned:
            classes = learned["classes_"]
            by_class = _class_weights(p["class_weight"], classes, self.targets.take(rows))

            def encoded(rows: Rows) -> Sample:
                own = self.targets.take(rows)
                numbers = encode(own, classes)
                weights = self.weights[rows]
                if by_class is not None:
                    weights = weights * by_class[numbers]
                return Sample(rows, numbers, weights)

            return encoded

        own = self.targets.take(rows)
        values = transform(p["target_transform"], own.values)
        each = weights if own.lengths is None else np.repeat(weights, own.lengths)
        (mean,), (deviation,) = weighted_moments(values[:, None], each)
        learned |= {"target_mean_": float(mean), "target_scale_": float(deviation)}

        def scaled(rows: Rows) -> Sample:
            values = transform(p["target_transform"], self.targets.take(rows).values, refuse=False)
            return Sample(rows, (values - mean) / deviation, self.weights[rows])

        return scaled

    def _inner_split(
        self, p: dict[str, Any], rows: Rows, own: Targets, seed: int, classes: ndarray | None
    ) -> tuple[ndarray, ndarray] | None:
        """Positions of the inner training and validation series, as the outer split would make them."""
        if not p["early_stopping"]:
            return None
        common = {"n_splits": 1, "test_size": p["validation_fraction"]}
        random = derived_seed(seed, Purpose.INNER_SPLIT)
        try:
            if self.groups is not None:
                parts = GroupShuffleSplit(**common, random_state=random).split(rows, groups=self.groups[rows])
            elif classes is not None and not own.by_step:
                parts = StratifiedShuffleSplit(**common, random_state=random).split(rows, own.values)
            else:
                parts = ShuffleSplit(**common, random_state=random).split(rows)
            inner, held = next(parts)
            return inner, held
        except ValueError as error:
            raise ParameterError(
                f"early_stopping needs an inner validation split of the {len(rows)} training series "
                f"(validation_fraction={p['validation_fraction']:g}), which cannot be made: {error}"
            ) from error

    def _where_missing(self, rows: Rows) -> str:
        for row in rows:
            steps, channels = np.nonzero(np.isnan(self.seen[int(row)]))
            if len(steps):
                step = steps[0] + (self.horizon if channels[0] in self.known else 0)
                return f" at series {row}, step {step}, channel {channels[0]}"
        return " in the static features"


def _net(p: dict[str, Any], n_inputs: int, n_outputs: int, by_step: bool) -> Net:
    """The network that the parameters ask for."""
    if p["module"] is not None:
        defaults = declared(NetworkParameters)
        if ignored := [name for name in BUILT_IN_ONLY if p[name] != defaults[name].option.default]:
            raise ParameterError(
                f"module brings a network of its own and needs {ignored[0]} at its default, got {p[ignored[0]]!r}"
            )
        return FactoryNetwork(p["module"], n_inputs, n_outputs, "steps" if by_step else "last")
    return Architecture(
        cell=p["cell"],
        n_inputs=n_inputs,
        hidden_size=int(p["hidden_size"]),
        num_layers=int(p["num_layers"]),
        bidirectional=bool(p["bidirectional"]),
        pooling="steps" if by_step else p["pooling"],
        n_outputs=n_outputs,
        nonlinearity=p["nonlinearity"],
    )


def _noise(p: dict[str, Any], net: Net) -> NoiseRates:
    """The rates above zero of noise in the layers, where the cell has a place for it."""
    if isinstance(net, Architecture) and (rule := misplaced_noise(net.spec, p)):
        raise ParameterError(f"{rule}, got cell={p['cell']!r}")
    return cast(NoiseRates, {name: float(p[name]) for name in NoiseRates.__annotations__ if p[name]})


def _class_weights(option: Any, classes: ndarray, own: Targets) -> ndarray | None:
    if option is None:
        return None
    if own.by_step:
        raise ParameterError("class_weight needs one class per series, got one per step")
    weights = np.ones(len(classes))
    if option == "balanced":
        # an inner split by groups may leave a class without training series
        present = np.isin(classes, own.values)
        weights[present] = compute_class_weight(option, classes=classes[present], y=own.values)
        return weights
    for key, weight in option.items():
        if not (isinstance(weight, Real) and 0 <= float(weight) < np.inf):
            raise ParameterError(f"class_weight needs finite weights of at least 0, got {weight!r} for {key!r}")
    known = classes.tolist()
    strangers = [key for key in option if key not in known]
    # A class that a fold lacks is no mistake; a name beside a class without a weight is, and scikit-learn says so too.
    if strangers and any(label not in option for label in known):
        raise ParameterError(f"class_weight needs classes among {known}, got {strangers[0]!r}")
    return np.array([option.get(label, 1.0) for label in known], dtype=np.float64)


def sequences_like(estimator: SequenceEstimator, X: Any) -> Sequences:
    """X as series, of the kind the estimator was fitted on.

    Raises
    ------
    DataError
        For names other than in ``fit``, or another width of two-dimensional X.
    """
    series = as_sequences(X, layout=estimator.layout)
    check_names(estimator, X, series)
    width = _width(X)
    if width is not None and estimator.n_steps_ is not None and width != estimator.n_steps_:
        raise DataError(
            f"X has {width} features, but {type(estimator).__name__} is expecting {estimator.n_steps_} features "
            "as input: the steps of the series in fit"
        )
    return series


def train_dtype(dtype: str, X: Sequences) -> torch.dtype:
    """The precision to train in: the one named, or with ``auto`` what the series ask for."""
    found: torch.dtype = getattr(torch, X.train_dtype.name if dtype == "auto" else dtype)
    return found


def numpy_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    """The same precision's name in NumPy."""
    return np.dtype(str(dtype).removeprefix("torch."))


def as_rows(rows: Rows | Sequence[int], n: int) -> Rows:
    """Rows as integers, from those or a mask; refused when there are none, or outside the ``n`` series."""
    found = np.asarray(rows)
    if found.dtype == bool:
        found = np.flatnonzero(found)
    if not len(found):
        raise DataError("a member needs at least one series, got none")
    if found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= n:
        raise DataError(f"a member's rows need to be among the {n} series, got {found.min()} to {found.max()}")
    return found.astype(np.int64)


def check_device(name: str) -> None:
    """Refuse a device that torch cannot compute on here.

    Raises
    ------
    ParameterError
        With what torch says of it.
    """
    try:
        torch.zeros(1, device=name).item()  # "meta" has tensors, but no numbers in them
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        told = str(error).splitlines()[0]
        raise ParameterError(f"device needs one that torch has here, got {name!r}: {told}") from error


def _width(X: Any) -> int | None:
    """The width of two-dimensional X, each row one series of one channel; ``None`` for the other kinds."""
    if isinstance(X, Sequences):
        return None
    if isinstance(X, list | tuple):  # of plain rows of numbers, what X.tolist() gives; arrays may be ragged series
        plain = all(isinstance(row, list | tuple) and not any(map(np.ndim, row)) for row in X)
        widths = {len(row) for row in X} if plain else set()
        return widths.pop() if len(widths) == 1 else None
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    return int(shape[1]) if len(shape) == 2 else None
