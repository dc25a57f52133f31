"""What the two estimators share: parameters as declared, fitting through the lockstep door, saving and loading."""

from collections.abc import Callable, Sequence
from inspect import Parameter as Argument
from inspect import Signature, signature
from pathlib import Path
from typing import Any, Self, TypeVar

from numpy import ndarray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from throughtime.data import Clock, Sequences
from throughtime.errors import ParameterError
from throughtime.estimators.calls import Fit, Outputs, execute
from throughtime.estimators.names import NAMES
from throughtime.nn import FactoryModule, SequenceNetwork
from throughtime.parameters import declared
from throughtime.records import EpochRecord

C = TypeVar("C", bound=type)


def parameters_of(estimator: "SequenceEstimator") -> dict[str, Any]:
    """Every declared parameter, also those that a subclass sets itself and ``get_params`` does not know."""
    return {name: getattr(estimator, name) for name in declared(estimator.schema)}


def takes(schema: type) -> Callable[[C], C]:
    """Give an estimator's ``__init__`` the declared parameters as its signature: scikit-learn reads it from there."""

    def decorate(cls: C) -> C:
        cls.schema = schema  # type: ignore[attr-defined]
        _spell_out(cls)
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


class SequenceEstimator(BaseEstimator):  # type: ignore[misc]
    """A recurrent network behind scikit-learn's face; see the two subclasses.

    Attributes
    ----------
    module_
        The trained network, a plain ``torch.nn.Module`` called with ``(x, lengths)``.
    history_
        One ``EpochRecord`` an epoch (``pandas.DataFrame(estimator.history_)`` works).
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

    schema: type
    module_: SequenceNetwork | FactoryModule
    history_: list[EpochRecord]
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

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if hasattr(cls, "schema") and "__init__" in vars(cls):
            _spell_out(cls)

    def _set(self, given: dict[str, Any]) -> None:
        known = declared(self.schema)
        for name in given:
            if name not in known:
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument {name!r}")
        for name, parameter in known.items():
            setattr(self, name, given.get(name, parameter.option.default))

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
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

        Raises
        ------
        DataError, ParameterError
            For what cannot be used.
        DivergenceError
            When the loss or the weights stop being finite.
        """
        fitted = execute(Fit(self, X, y, sample_weight, groups))
        for name in NAMES:  # those of an earlier fit
            self.__dict__.pop(name, None)
        # What was learned alone: parameters stay the very objects that the caller gave.
        self.__dict__.update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
        return self

    def _outputs(self, X: Any) -> tuple[Sequences, ndarray]:
        """The series, and the network's outputs: a row per series, or a row per step."""
        from throughtime.estimators.preparation import sequences_like

        check_is_fitted(self, "module_")
        series = sequences_like(self, X)
        return series, execute(Outputs(self, series))

    def predictions(self, X: Sequences, outputs: ndarray) -> Any:
        """Turn the network's outputs on X into what ``predict`` gives."""
        raise NotImplementedError

    def predict(self, X: Any) -> Any:
        """One prediction per series; or ``Sequences`` with one per step when every step had a target."""
        return self.predictions(*self._outputs(X))

    def save(self, directory: str | Path) -> None:
        """Write the fitted estimator into a new directory: safetensors, JSON and a manifest of checksums.

        Raises
        ------
        StorageError
            When the directory exists or cannot be written; nothing is left behind.
        """
        from throughtime.estimators.persistence import save

        check_is_fitted(self, "module_")
        save(self, Path(directory))

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
        from throughtime.estimators.persistence import load

        estimator = load(Path(directory), module, cell)
        if not isinstance(estimator, cls):
            raise ParameterError(
                f"{cls.__name__}.load needs a saved {cls.__name__}, got a {type(estimator).__name__} in {directory}"
            )
        return estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")
