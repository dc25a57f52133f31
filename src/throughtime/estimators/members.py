"""The door for everything that trains many: estimators in, fitted estimators out, all of one shape in lockstep."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, TypeVar

import numpy as np
import torch
from numpy import ndarray
from sklearn.base import clone
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils.class_weight import compute_class_weight

from throughtime.data import Sequences, as_sequences
from throughtime.errors import DataError, ParameterError, ThroughtimeError
from throughtime.estimators.base import SequenceEstimator
from throughtime.estimators.calls import Fit, Outputs
from throughtime.estimators.classifier import SequenceClassifier
from throughtime.estimators.features import Features, any_missing, features_of, inputs_of, scaling, weighted_moments
from throughtime.estimators.memory import DEFAULT_BUDGET, bytes_a_member, runs
from throughtime.estimators.pool import kind, pooled
from throughtime.estimators.targets import Targets, classes_of, encode, targets_of, transform
from throughtime.nn import Architecture, FactoryNetwork, Net, plain_module
from throughtime.parameters import BUILT_IN_ONLY, NetworkParameters, check_values, declared
from throughtime.records import EpochProgress
from throughtime.training import Inputs, Member, Purpose, Recipe, Sample, Trained, derived_seed, predict, train
from throughtime.training.lockstep import EVALUATION_ROWS
from throughtime.training.members import observed
from throughtime.training.progress import Report, shown

E = TypeVar("E", bound=SequenceEstimator)
Rows = ndarray


@dataclass(frozen=True)
class _Prepared:
    """A member ready to train, and what its fitted estimator will need."""

    net: Net
    recipe: Recipe
    masked: bool
    member: Member
    learned: dict[str, Any]


@dataclass(frozen=True)
class _Group:
    """Members of one shape, and the inputs they share."""

    net: Net
    recipe: Recipe
    inputs: Inputs
    members: list[Member]


def fit_members(
    estimators: Sequence[E],
    X: Any,
    y: Any,
    *,
    train_rows: Sequence[Rows] | None = None,
    watch_rows: Sequence[Rows | None] | None = None,
    sample_weight: Any = None,
    groups: Any = None,
    on_epoch: Callable[[EpochProgress], None] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> list[E | Exception]:
    """Fit many estimators on series of one data set, those whose networks have one shape in lockstep.

    Parameters
    ----------
    estimators
        One a member, unfitted; each keeps its own parameters and seed and is left as it is.
    train_rows
        The series each member trains on; all of them by default. Member m's result is bit for bit
        ``estimators[m].fit(X[train_rows[m]], y[train_rows[m]])``.
    watch_rows
        Series whose loss is noted each epoch and never used, such as the fold's test series; ``None`` for a member
        without.
    sample_weight, groups
        One a series of X.
    memory_budget
        Bytes, by the estimate of ``estimators.memory``, that members may take at a time: of those of one shape, as
        many train together; ``None`` for all of them. No bit of a result depends on it.

    Returns
    -------
    Fitted copies in order; for a member that failed alone (one class in its fold, divergence), its exception.

    Raises
    ------
    DataError, ParameterError
        For what concerns all members.
    """
    if not estimators:
        return []
    for rows_of_each in (train_rows, watch_rows):
        if rows_of_each is not None and len(rows_of_each) != len(estimators):
            raise ParameterError(
                f"fit_members needs rows for each of {len(estimators)} members, got {len(rows_of_each)}"
            )
    problem = _Problem(estimators, X, y, sample_weight, groups)
    everything = np.arange(len(problem.X))
    results: list[E | Exception | None] = [None] * len(estimators)
    together: dict[Any, list[tuple[int, _Prepared]]] = defaultdict(list)
    for m, estimator in enumerate(estimators):
        watch = None if watch_rows is None else watch_rows[m]
        try:
            rows = everything if train_rows is None else _as_rows(train_rows[m], len(everything))
            watched = None if watch is None else _as_rows(watch, len(everything))
            prepared = problem.prepare(estimator, rows, watched)
        except ThroughtimeError as error:
            results[m] = error
        else:
            together[prepared.net, prepared.recipe, prepared.masked].append((m, prepared))

    places = [m for group in together.values() for m, _ in group]
    trained_groups = [
        _Group(net, recipe, problem.inputs(masked, recipe.device), [prepared.member for _, prepared in group])
        for (net, recipe, masked), group in together.items()
    ]
    ready = [prepared for group in together.values() for _, prepared in group]
    with shown(type(estimators[0]).__name__, any(e.verbose for e in estimators), on_epoch) as report:
        for m, prepared, trained in zip(
            places, ready, _train_groups(trained_groups, memory_budget, report), strict=True
        ):
            results[m] = trained.failure or _fitted(estimators[m], prepared, trained)
    return results  # type: ignore[return-value]


def fit_calls(
    calls: Sequence[Fit],
    *,
    verbose: bool = False,
    on_epoch: Callable[[EpochProgress], None] | None = None,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> list[SequenceEstimator | Exception]:
    """Fit many estimators, each on series of its own, those whose networks have one shape in lockstep.

    Returns
    -------
    What ``call.estimator.fit(call.X, call.y, ...)`` gives or raises, in order.
    """
    results: list[Any] = [None] * len(calls)
    together: dict[Any, list[tuple[int, Sequences, _Prepared]]] = defaultdict(list)
    for m, call in enumerate(calls):
        try:
            problem = _Problem([call.estimator], call.X, call.y, call.sample_weight, call.groups)
            prepared = problem.prepare(call.estimator, np.arange(len(problem.X)), None)
        except Exception as error:
            results[m] = error
        else:
            key = prepared.net, prepared.recipe, prepared.masked, kind(problem.X)
            together[key].append((m, problem.X, prepared))
    groups, places = [], []
    for (net, recipe, masked, _), group in together.items():
        X, rows = pooled([own for _, own, _ in group])
        inputs = inputs_of(features_of(X, masked), recipe.device)
        members = [_moved(prepared.member, own) for (_, _, prepared), own in zip(group, rows, strict=True)]
        groups.append(_Group(net, recipe, inputs, members))
        places += [(m, prepared) for m, _, prepared in group]
    title = type(calls[0].estimator).__name__ if calls else ""
    with shown(title, verbose or any(call.estimator.verbose for call in calls), on_epoch) as report:
        for (m, prepared), trained in zip(places, _train_groups(groups, memory_budget, report), strict=True):
            results[m] = trained.failure or _fitted(calls[m].estimator, prepared, trained)
    return results


def predict_members(
    estimators: Sequence[SequenceEstimator],
    X: Sequences,
    rows: Sequence[Rows],
    *,
    memory_budget: float | None = DEFAULT_BUDGET,
) -> list[ndarray]:
    """Network outputs of many fitted estimators, each on its own series of X, those of one shape in lockstep.

    Returns
    -------
    A row a series, or a row a step when the estimator was fitted on a target each step.
    """
    outputs: list[ndarray | None] = [None] * len(estimators)
    together: dict[Any, list[int]] = defaultdict(list)
    for m, estimator in enumerate(estimators):
        _check_series(estimator, X, rows[m])
        dtype = next(estimator.module_.parameters()).dtype
        together[estimator.module_.net, dtype, estimator.masked_, estimator.device].append(m)
    for (net, dtype, masked, device), places in together.items():
        cast = X.astype(str(dtype).removeprefix("torch."))
        inputs = inputs_of(features_of(cast, masked), device)
        longest = int(X.lengths.max(initial=1))
        each = bytes_a_member(net, EVALUATION_ROWS, longest, dtype.itemsize, training=False)
        for run in runs(places, each, memory_budget):
            states = [estimators[m].module_.state_dict() for m in run]
            stacked = {name: torch.stack([state[name] for state in states]).to(device) for name in states[0]}
            shift, scale = stacked.pop("shift"), stacked.pop("scale")
            found = predict(net, stacked, inputs, [rows[m] for m in run], shift, scale)
            for m, own in zip(run, found, strict=True):
                outputs[m] = own
    return outputs  # type: ignore[return-value]


def predict_calls(
    calls: Sequence[Outputs], *, memory_budget: float | None = DEFAULT_BUDGET
) -> list[ndarray | Exception]:
    """Network outputs of many fitted estimators, each on series of its own, in lockstep."""
    results: list[Any] = [None] * len(calls)
    together: dict[Any, list[int]] = defaultdict(list)
    for m, call in enumerate(calls):
        try:
            _check_series(call.estimator, call.X, np.arange(len(call.X)))
        except Exception as error:
            results[m] = error
        else:
            together[kind(call.X)].append(m)
    for places in together.values():
        X, rows = pooled([calls[m].X for m in places])
        found = predict_members([calls[m].estimator for m in places], X, rows, memory_budget=memory_budget)
        for m, own in zip(places, found, strict=True):
            results[m] = own
    return results


def sequences_like(estimator: SequenceEstimator, X: Any) -> Sequences:
    """X as series, of the kind the estimator was fitted on.

    Raises
    ------
    DataError
        For another number of channels, or another width of two-dimensional X.
    """
    width = _width(X)
    if width is not None and estimator.n_steps_ is not None and width != estimator.n_steps_:
        raise DataError(
            f"X has {width} features, but {type(estimator).__name__} is expecting {estimator.n_steps_} features "
            "as input: the steps of the series in fit"
        )
    return as_sequences(X, layout=estimator.layout)


class _Problem:
    """The data all members share, checked once."""

    def __init__(self, estimators: Sequence[SequenceEstimator], X: Any, y: Any, weights: Any, groups: Any) -> None:
        for estimator in estimators:
            check_values(estimator.schema, estimator.get_params(deep=False))
        first = estimators[0]
        for name in ("layout", "warmup"):
            if len({getattr(estimator, name) for estimator in estimators}) > 1:
                raise ParameterError(f"members that share one data set need the same {name}")
        self.X = as_sequences(X, layout=first.layout)
        self.n_steps = _width(X)
        if y is None:
            raise DataError(f"{type(first).__name__} requires y to be passed, but the target y is None")
        self.targets = targets_of(y, self.X, first.warmup)
        self.weights = _checked_weights(weights, len(self.X))
        self.groups = self.X.groups if groups is None else np.asarray(groups)
        if self.groups is not None and len(self.groups) != len(self.X):
            raise DataError(f"groups needs one value a series ({len(self.X)}), got {len(self.groups)}")
        self._features: dict[bool, Features] = {}
        self._inputs: dict[tuple[bool, str], Inputs] = {}

    def features(self, masked: bool) -> Features:
        if masked not in self._features:
            self._features[masked] = features_of(self.X, masked)
        return self._features[masked]

    def inputs(self, masked: bool, device: str) -> Inputs:
        if (masked, device) not in self._inputs:
            self._inputs[masked, device] = inputs_of(self.features(masked), device)
        return self._inputs[masked, device]

    def prepare(self, estimator: SequenceEstimator, rows: Rows, watched: Rows | None) -> _Prepared:
        """Everything of one member that comes from its own training series."""
        p = estimator.get_params(deep=False)
        check_device(p["device"])
        masked = any_missing(self.X, rows)
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
        if isinstance(estimator, SequenceClassifier):
            learned["classes_"] = classes_of(own)
        else:
            transform(p["target_transform"], own.values)  # for what it refuses: what is watched may be outside
        inner = self._inner_split(p, rows, own, seed, learned.get("classes_"))
        train_rows = rows if inner is None else rows[inner[0]]

        weights = self.weights[train_rows]
        if not weights.sum() > 0:
            raise DataError("sample_weight needs a weight above zero in the training series, got zero weights only")
        features = self.features(masked)
        n_inputs = features.n_inputs
        shift, scale = np.zeros(n_inputs), np.ones(n_inputs)
        if p["normalize"] == "standard":
            shift, scale = scaling(features, train_rows, weights)
        encode_rows = self._encoder(p, train_rows, weights, learned)
        sample = encode_rows(train_rows)
        each = sample.weights if own.lengths is None else np.repeat(sample.weights, features.lengths[train_rows])
        if not each[observed(sample.targets)].sum() > 0:
            raise DataError("training needs an observed target of weight above zero, got none")

        n_outputs = len(learned["classes_"]) if "classes_" in learned else 1
        net = _net(p, n_inputs, n_outputs, own.by_step)
        recipe = Recipe(
            loss="cross_entropy" if "classes_" in learned else "squared_error",
            init=p["init"],
            optimizer=p["optimizer"],
            lr_schedule=p["lr_schedule"],
            batch_size=int(p["batch_size"]),
            dtype=torch.float64 if self.X.dtype == np.float64 else torch.float32,
            device=p["device"],
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
            watched=None if watched is None else encode_rows(watched),
        )
        learned |= {"n_static_": 0 if self.X.static is None else self.X.static.shape[1], "n_steps_": self.n_steps}
        learned["n_features_in_"] = self.X.n_channels if self.n_steps is None else self.n_steps
        return _Prepared(net, recipe, masked, member, learned)

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
            steps, channels = np.nonzero(np.isnan(self.X[int(row)]))
            if len(steps):
                return f" at series {row}, step {steps[0]}, channel {channels[0]}"
        return " in the static features"


def _train_groups(groups: Sequence[_Group], budget: float | None, report: Report | None) -> Iterator[Trained]:
    """Train every group's members in order, as many at a time as the budget allows."""
    plan = []
    for group in groups:
        longest = max(int(group.inputs.lengths[member.train.rows].max()) for member in group.members)
        each = bytes_a_member(group.net, group.recipe.batch_size, longest, group.recipe.dtype.itemsize, training=True)
        plan += [(group, run) for run in runs(group.members, each, budget)]
    for number, (group, members) in enumerate(plan):

        def of_this_run(progress: EpochProgress, number: int = number) -> None:
            assert report is not None
            report(replace(progress, run=number + 1, runs=len(plan)))

        yield from train(group.net, group.recipe, group.inputs, members, None if report is None else of_this_run)


def _moved(member: Member, rows: Rows) -> Member:
    """The member with its series found elsewhere: at ``rows[i]`` instead of ``i``."""
    validation = member.validation
    return replace(
        member,
        train=replace(member.train, rows=rows[member.train.rows]),
        validation=None if validation is None else replace(validation, rows=rows[validation.rows]),
    )


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
    )


def _class_weights(option: Any, classes: ndarray, own: Targets) -> ndarray | None:
    if option is None:
        return None
    if own.by_step:
        raise ParameterError("class_weight needs one class a series, got one a step")
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


def _checked_weights(weights: Any, n: int) -> ndarray:
    if weights is None:
        return np.ones(n)
    checked = np.asarray(weights, dtype=np.float64)
    if checked.shape != (n,):
        raise DataError(f"sample_weight needs one value a series ({n}), got shape {checked.shape}")
    if not np.isfinite(checked).all() or (checked < 0).any():
        raise DataError("sample_weight needs finite values of at least 0")
    return checked


def _check_series(estimator: SequenceEstimator, X: Sequences, rows: Rows) -> None:
    check_device(estimator.device)  # it may have been trained elsewhere
    columns = 3 if estimator.masked_ else 1
    channels = (estimator.module_.net.n_inputs - estimator.n_static_) // columns
    if X.n_channels != channels:
        raise DataError(
            f"X needs the {channels} channels that {type(estimator).__name__} was fitted on, got {X.n_channels}"
        )
    static = 0 if X.static is None else X.static.shape[1]
    if static != estimator.n_static_:
        raise DataError(f"X needs {estimator.n_static_} static features as in fit, got {static}")
    if estimator.missing == "error" and any_missing(X, rows):
        raise DataError('X needs every value with missing="error", got NaN')


def _fitted(estimator: E, prepared: _Prepared, trained: Trained) -> E:
    module = plain_module(prepared.net, prepared.member.dropout, prepared.recipe.dtype)
    scaling = {"shift": prepared.member.shift, "scale": prepared.member.scale}
    state = {name: torch.from_numpy(np.asarray(value)).to(prepared.recipe.dtype) for name, value in scaling.items()}
    module.load_state_dict(module.state_dict() | trained.weights | state)
    fitted: E = clone(estimator)
    fitted.__dict__.update(
        prepared.learned,
        module_=module.to(prepared.recipe.device).eval(),
        history_=list(trained.history),
        best_epoch_=trained.best_epoch,
        n_iter_=len(trained.history),
    )
    return fitted


def _as_rows(rows: Rows | Sequence[int], n: int) -> Rows:
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
