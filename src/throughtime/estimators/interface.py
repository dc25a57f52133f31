"""What training and prediction ask of an estimator, so that they need not know its class."""

from typing import Any, Protocol, runtime_checkable

from throughtime.data import Clock, Layout
from throughtime.estimators.tasks import Task
from throughtime.estimators.trained import TrainedNetwork
from throughtime.parameters import declared
from throughtime.records import EpochRecord


@runtime_checkable
class Estimator(Protocol):
    """A recurrent network behind scikit-learn's face; a few of its parameters, see `parameters_of` for all."""

    schema: type
    task: Task
    layout: Layout
    missing: str
    normalize: str
    device: str
    verbose: int
    burn_in: int
    horizon: int
    known: Any
    features: str | None


@runtime_checkable
class FittedEstimator(Estimator, Protocol):
    """The same with what it learned."""

    history_: list[EpochRecord]
    n_iter_: int
    n_features_in_: int
    network_: TrainedNetwork
    masked_: bool
    by_step_: bool
    n_static_: int
    n_steps_: int | None
    horizon_: int
    known_: list[int]
    clock_: Clock | None
    time_units_: str | None


class Fitted(Protocol):
    """What an estimator or a transformer remembers of the series in ``fit``."""

    layout: Layout
    n_features_in_: int
    n_steps_: int | None


def n_channels_of(estimator: Fitted) -> int:
    """Channels of the series in ``fit``, where two-dimensional X had as many features as steps."""
    return estimator.n_features_in_ if estimator.n_steps_ is None else 1


def parameters_of(estimator: Estimator) -> dict[str, Any]:
    """Every declared parameter, also those that a subclass sets itself and ``get_params`` does not know."""
    return {name: getattr(estimator, name) for name in declared(estimator.schema)}
