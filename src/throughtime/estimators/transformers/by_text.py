"""The parameter ``features``: what it names is added to the series that a network reads."""

from collections.abc import Callable, Sequence

from jaxtyping import Float
from numpy import ndarray

from throughtime.data import Sequences
from throughtime.estimators.transformers.differences import Differences
from throughtime.estimators.transformers.fourier import FourierFeatures
from throughtime.estimators.transformers.lags import LagFeatures
from throughtime.estimators.transformers.rolling import RollingStatistics
from throughtime.estimators.transformers.summary import SummaryFeatures, with_static
from throughtime.estimators.transformers.transformer import ChannelTransformer, with_channels
from throughtime.feature_specs import FeatureSpec

_OF_CHANNELS: dict[str, Callable[[FeatureSpec], ChannelTransformer]] = {
    "diff": lambda spec: Differences(_whole(spec)),
    "lag": lambda spec: LagFeatures(_whole(spec)),
    "rolling": lambda spec: RollingStatistics(_whole(spec), spec.words),
    "fourier": lambda spec: FourierFeatures(spec.numbers),
}


def with_features(X: Sequences, specs: Sequence[FeatureSpec], clock: Float[ndarray, "step"]) -> Sequences:
    """Give series with features as channels and static features, all made of the series' own channels.

    Parameters
    ----------
    clock
        When each step of ``X.values`` was: see `throughtime.estimators.transformers.step_clock`.

    Raises
    ------
    DataError
        For a channel or static feature with the name of one of these, and for values beyond what floats hold.
    MissingDependencyError
        For catch22 without aeon.
    """
    found = with_channels(X, [_OF_CHANNELS[spec.name](spec) for spec in specs if spec.name in _OF_CHANNELS], clock)
    for summary in _summaries(specs):
        summed = with_static(X, summary)
        found = found.replace(static=summed.static, static_names=summed.static_names)
    return found


def added_widths(specs: Sequence[FeatureSpec], n_channels: int) -> tuple[int, int]:
    """How many channels and how many static features are added to series of some channels."""
    names = [f"x{number}" for number in range(n_channels)]
    channels = [_OF_CHANNELS[spec.name](spec) for spec in specs if spec.name in _OF_CHANNELS]
    return sum(len(one.new_names(names)) for one in channels), sum(
        len(summary.new_names(names)) for summary in _summaries(specs)
    )


def _summaries(specs: Sequence[FeatureSpec]) -> list[SummaryFeatures]:
    # one for all: a second would take the place of the first beside the series' own static features
    words = [word for spec in specs if spec.name == "summary" for word in spec.words]
    return [SummaryFeatures(words)] if words else []


def _whole(spec: FeatureSpec) -> list[int]:
    return [int(number) for number in spec.numbers]
