"""What the two estimators have in common: parameters as declared, fitting in lockstep, saving and loading."""

from collections.abc import Callable, Sequence
from inspect import Parameter as Argument
from inspect import Signature, signature
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from numpy import ndarray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from throughtime.data import Clock, Sequences
from throughtime.errors import ParameterError
from throughtime.estimators.callbacks import CallbackSupportMixin, begin_fit, with_callbacks
from throughtime.estimators.calls import execute
from throughtime.estimators.documentation import docstring_with_parameters
from throughtime.estimators.files import read_estimator, write_estimator
from throughtime.estimators.forecast import at_own_steps
from throughtime.estimators.names import NAMES
from throughtime.estimators.problem import Problem, sequences_like
from throughtime.estimators.requests import Fit, Outputs
from throughtime.estimators.targets import observed_pairs, steps_like
from throughtime.estimators.tasks import Task
from throughtime.estimators.trained import Module, TrainedNetwork
from throughtime.parameters import declared, renamed
from throughtime.records import EpochRecord, Records
from throughtime.stability import FlowRecord
from throughtime.training import Observer

C = TypeVar("C", bound=type)


def takes(schema: type) -> Callable[[C], C]:
    """Give an estimator's ``__init__`` the declared parameters as its signature: scikit-learn reads it from there."""

    def decorate(cls: C) -> C:
        cls.schema = schema  # type: ignore[attr-defined]
        _spell_out(cls)
        cls.__doc__ = docstring_with_parameters(cls, schema)
        return cls

    return decorate


def _spell_out(cls: type) -> None:
    """Put the declared parameters in the place of ``**parameters`` in the signature of a class's own ``__init__``."""
    own = signature(cls.__init__).parameters.values()  # type: ignore[misc]
    if all(argument.kind != Argument.VAR_KEYWORD for argument in own):
        return
    named = [argument for argument in own if argument.kind != Argument.VAR_KEYWORD]
    arguments = [
        Argument(name, Argument.KEYWORD_ONLY, default=parameter.option.default)
        for name, parameter in declared(cls.schema).items()  # type: ignore[attr-defined]
        if all(argument.name != name for argument in named)
    ]
    cls.__init__.__signature__ = Signature([*named, *arguments])  # type: ignore[misc]


class SequenceEstimator(CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """A recurrent network behind scikit-learn's face; see the two subclasses.

    Attributes
    ----------
    module_
        The trained network, a plain ``torch.nn.Module`` called with ``(x, lengths)``.
    history_
        One ``EpochRecord`` an epoch (``pandas.DataFrame(estimator.history_)`` works).
    flow_
        With ``monitor``, how large gradients were at each lag: `throughtime.stability.FlowRecord`, in order.
    best_epoch_
        The epoch whose weights were kept, with early stopping; else ``None``.
    random_state_
        The seed that was used.
    n_features_in_
        Channels; or time steps, when X was two-dimensional and so one channel.
    feature_names_in_
        Their names, when X had any: `Sequences.channel_names`, or the columns of a data frame.
    static_names_in_
        The names of the static features, when X had any.
    """

    #: a regressor's parameters alone: nobody else forecasts
    horizon: int = 0
    known: Sequence[int | str] | None = None

    features: str | None
    schema: type
    #: what is predicted: loss, coding of targets, score
    task: Task
    network_: TrainedNetwork
    history_: list[EpochRecord]
    flow_: Records[FlowRecord]
    best_epoch_: int | None
    random_state_: int
    n_features_in_: int
    #: whether the network was fed masks of missing values, and the columns of ``static`` it takes
    masked_: bool
    n_static_: int
    #: the width that two-dimensional X must have; ``None`` when X was ragged or had three dimensions
    n_steps_: int | None
    by_step_: bool
    #: the steps that a forecast is ahead, and the numbers of the channels known till then
    horizon_: int
    known_: list[int]
    #: the step of the times that a forecast was trained on, which those to predict must have too
    clock_: Clock | None
    #: the unit of a Fourier feature's periods, which times to predict must have too
    time_units_: str | None

    _param_names: ClassVar[list[str]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if hasattr(cls, "schema") and "__init__" in vars(cls):
            _spell_out(cls)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """scikit-learn's, which reads the signature: three times a fold, and of some thirty parameters."""
        if "_param_names" not in vars(cls):
            cls._param_names = super()._get_param_names()
        return list(cls._param_names)

    def _set(self, given: dict[str, Any]) -> None:
        known = declared(self.schema)
        given = renamed(given, warn_at=4)
        for name in given:
            if name not in known:
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument {name!r}")
        for name, parameter in known.items():
            setattr(self, name, given.get(name, parameter.option.default))

    def set_params(self, **params: Any) -> Self:
        """Set parameters; see scikit-learn."""
        chosen: Self = super().set_params(**renamed(params, warn_at=3))
        return chosen

    @property
    def warmup(self) -> int:
        """The old name of ``burn_in``."""
        return int(renamed({"warmup": self.burn_in}, warn_at=3)["burn_in"])

    @warmup.setter
    def warmup(self, value: int) -> None:
        self.burn_in = renamed({"warmup": value}, warn_at=3)["burn_in"]

    @with_callbacks
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, *, observers: Sequence[Observer] = ()
    ) -> Self:
        """Train on all series of X.

        Parameters
        ----------
        X
            ``Sequences``, an array (n, time, channel), a list of arrays (time, channel), or a 2-D array (n, time) taken
            as one channel; ``layout="nct"`` for channels before time.
        y
            One target per series, or one per step: ``Sequences`` or a list of arrays as long as the series, NaN where
            unobserved.
        sample_weight
            One per series; the loss is ``sum(w l) / sum(w)``.
        groups
            One per series: the unit that the inner split of early stopping keeps together. ``X.groups`` by default.
        observers
            Called after each step and each epoch; they know the network as member 0.

        Raises
        ------
        DataError, ParameterError
            For what cannot be used.
        DivergenceError
            When the loss or the weights stop being finite.
        """
        problem = Problem([self], X, y, sample_weight, groups)
        task = begin_fit(self, X, y, sample_weight)
        learned = execute(Fit(self, problem, task=task), observers)
        for name in (*NAMES, "flow_"):  # those of an earlier fit
            self.__dict__.pop(name, None)
        self.__dict__.update(learned)
        if task is not None:
            task.end(learned)
        return self

    @property
    def module_(self) -> Module:
        """The trained network, made when it is first asked for; `predict` uses the weights that it has then."""
        return self.network_.module

    @module_.setter
    def module_(self, module: Module) -> None:
        self.network_.module = module

    def _outputs(self, X: Any) -> tuple[Sequences, ndarray]:
        """The series, and the network's outputs: a row per series, or a row per step."""
        check_is_fitted(self, "network_")
        series = sequences_like(self, X)
        return series, execute(Outputs(self, series))

    def predictions(self, X: Sequences, outputs: ndarray) -> Any:
        """Turn the network's outputs on X into what ``predict`` gives."""
        values = self.task.coding_of(self).decode(outputs)
        return steps_like(X, at_own_steps(X, values, self.horizon_)[:, None]) if self.by_step_ else values

    def probabilities(self, X: Sequences, outputs: ndarray) -> Any:
        """Turn the network's outputs on X into what ``predict_proba`` gives; ``None`` where there are no classes."""
        values = self.task.coding_of(self).probabilities(outputs)
        return values if values is None or not self.by_step_ else steps_like(X, values)

    def predict(self, X: Any) -> Any:
        """One prediction per series; or ``Sequences`` with one per step when every step had a target."""
        return self.predictions(*self._outputs(X))

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        truth, predicted, weights = observed_pairs(self, X, y, self.predict(X), sample_weight)
        return self.task.score(truth, predicted, weights)

    def save(self, directory: str | Path) -> None:
        """Write the fitted estimator into a new directory: safetensors, JSON and a manifest of checksums.

        Raises
        ------
        StorageError
            When the directory exists or cannot be written; nothing is left behind.
        """
        check_is_fitted(self, "network_")
        write_estimator(self, Path(directory))

    @classmethod
    def load(cls, directory: str | Path, module: Any = None, cell: Any = None) -> Self:
        """Read what ``save`` wrote.

        Parameters
        ----------
        module
            The factory that was given to an estimator with ``module=``: a file holds its weights, not its code.
        cell
            The ``CellSpec`` that was given with ``cell=``, for the same reason; none where the cell was one of ours.

        Raises
        ------
        StorageError
            When a file is missing or is not what the manifest promises, or the factory's modules have other shapes.
        ParameterError
            When the factory or the cell is missing, or another one is given.
        """

        def class_of(kind: str) -> type[Self]:
            if kind != cls.task.kind:
                saved = f"Sequence{kind.capitalize()}"
                raise ParameterError(f"{cls.__name__}.load needs a saved {cls.__name__}, got a {saved} in {directory}")
            return cls

        return read_estimator(Path(directory), class_of, module, cell)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")
