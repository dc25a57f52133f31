"""Numbers that sum up a whole series."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.utils.validation import check_is_fitted

from throughtime.data import Layout, Sequences, as_targets, steps_within
from throughtime.errors import DataError, MissingDependencyError
from throughtime.estimators.transformers.transformer import SequenceTransformer, channel_names, names_in, refuse_twice
from throughtime.feature_specs import check_words

#: Values that a series needs for catch22; of fewer some are divided by 0.
_LEAST_FOR_CATCH22 = 3


class SummaryFeatures(SequenceTransformer):
    """Add static features: statistics of each channel over the whole of its series.

    They are of all steps, the last ones too, and so of no use for a target at each step, for which they are refused.
    Missing values are left out; of a channel without any value they are missing.

    Parameters
    ----------
    statistics : str or sequence of str, default=("mean", "std", "min", "max", "slope")
        Among these, where ``"slope"`` is that of the least squares line per step, and ``"catch22"``, the 22
        characteristics of Lubba et al. (2019), https://doi.org/10.1007/s10618-019-00647-x, as ``aeon`` has them (to
        install with throughtime[datasets]); those that a short or constant series has not are 0.
    layout : {'ntc', 'nct'}, default='ntc'
        As of the estimators: axis order of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from throughtime import SummaryFeatures
    >>> X = SummaryFeatures(["mean", "slope"]).fit_transform([np.array([5.0, 6.0, 7.0, 8.0]), np.array([1.0, 1.0])])
    >>> X.static_names
    ('x0:mean', 'x0:slope')
    >>> X.static.tolist()
    [[6.5, 1.0], [1.0, 0.0]]
    """

    def __init__(
        self,
        statistics: str | Sequence[str] = ("mean", "std", "min", "max", "slope"),
        *,
        layout: Layout = "ntc",
    ) -> None:
        self.statistics = statistics
        self.layout = layout

    def check_parameters(self) -> None:
        """Refuse statistics that are none."""
        check_words("SummaryFeatures", "summary", self.statistics)

    def new_features(self, X: Sequences) -> Float[ndarray, "series new"]:
        """What is added to the static features of each series."""
        columns = _plain(X)
        return np.concatenate([_catch22(X) if name == "catch22" else columns[name] for name in self._named()], axis=1)

    def new_names(self, names: list[str]) -> list[str]:
        """``temp:mean``, from the names of the channels."""
        found = []
        for what in self._named():
            found += [f"{name}:{one}" for name in names for one in (CATCH22 if what == "catch22" else (what,))]
        return found

    def get_feature_names_out(self, input_features: Any = None) -> ndarray:
        """Names of the static features that ``transform`` gives, those that X had first."""
        check_is_fitted(self, "n_features_in_")
        own = [str(name) for name in getattr(self, "static_names_in_", self._numbered)]
        return np.array([*own, *self.new_names(names_in(self, input_features))], dtype=object)

    def _named(self) -> list[str]:
        return [self.statistics] if isinstance(self.statistics, str) else list(self.statistics)

    def _learn(self, X: Sequences, y: Any) -> None:
        self._numbered = static_names(X)
        if y is not None:
            with warnings.catch_warnings():  # whoever uses y says what is odd about it
                warnings.simplefilter("ignore")
                by_step = isinstance(as_targets(y, X), Sequences)
            if by_step:
                raise summary_by_step(type(self).__name__)

    def _added_to(self, X: Sequences) -> Sequences:
        return with_static(X, self)


def summary_by_step(who: str) -> DataError:
    """The refusal of a summary where each step has a target."""
    return DataError(
        f"{who} needs one target per series, got one per step: a summary of a whole series would show each step what "
        "comes after it"
    )


def with_static(X: Sequences, transformer: SummaryFeatures) -> Sequences:
    """Give the series with a summary beside their own static features; no step is copied.

    Raises
    ------
    DataError
        For a static feature that is there already, and for values that went beyond what floats hold.
    """
    names = [*static_names(X), *transformer.new_names(channel_names(X))]
    refuse_twice(names, "static features")
    with np.errstate(over="ignore", invalid="ignore"):  # what is infinite is refused as such
        new = transformer.new_features(X).astype(X.dtype, copy=False)
    static = new if X.static is None else np.concatenate([X.static, new], axis=1)
    return X.replace(static=static, static_names=names)


def static_names(X: Sequences) -> list[str]:
    """Names of the static features: ``static0``, ``static1``, ... where there are none."""
    if X.static_names is not None:
        return list(X.static_names)
    return [] if X.static is None else [f"static{number}" for number in range(X.static.shape[1])]


def _plain(X: Sequences) -> dict[str, Float[ndarray, "series channel"]]:
    """Statistics over the observed steps of each series, in float64; those of one series depend on no other."""
    values, starts, series = X.values.astype(np.float64), X.offsets[:-1], np.repeat(np.arange(len(X)), X.lengths)
    seen = ~np.isnan(values)
    count = np.add.reduceat(seen, starts, dtype=np.float64)
    least = np.maximum(count, 1)

    def mean_of(terms: ndarray) -> ndarray:
        mean: ndarray = np.add.reduceat(np.where(seen, terms, 0.0), starts) / least
        return mean

    mean = mean_of(values)
    centered = values - mean[series]
    steps = np.broadcast_to(steps_within(X.lengths)[:, None], values.shape)
    since = steps - mean_of(steps)[series]
    variation = mean_of(since**2)
    found = {
        "mean": mean,
        "std": np.sqrt(mean_of(centered**2)),
        "min": np.fmin.reduceat(values, starts),
        "max": np.fmax.reduceat(values, starts),
        "slope": mean_of(since * centered) / np.where(variation > 0, variation, 1.0),  # of a single value 0
    }
    return {name: np.where(count > 0, column, np.nan) for name, column in found.items()}


def _catch22(X: Sequences) -> Float[ndarray, "series new"]:
    """The 22 characteristics of each channel's observed values, as aeon computes them."""
    try:
        from aeon.transformations.collection.feature_based import Catch22
    except ImportError as error:
        raise MissingDependencyError(
            "the statistic catch22 needs aeon, which is not installed; pip install 'throughtime[datasets]' brings it"
        ) from error
    measure = Catch22(replace_nans=True)
    rows = np.full((len(X) * X.n_channels, len(CATCH22)), np.nan)
    seen = [values[~np.isnan(values)] for x in X for values in x.T.astype(np.float64)]
    lengths = np.array([len(values) for values in seen])
    rows[(lengths > 0) & (lengths < _LEAST_FOR_CATCH22)] = 0
    enough = np.flatnonzero(lengths >= _LEAST_FOR_CATCH22)
    if len(enough):
        rows[enough] = measure.fit_transform([seen[row][None] for row in enough])
    return rows.reshape(len(X), -1)


#: Their names, in aeon's order.
CATCH22 = (
    "DN_HistogramMode_5",
    "DN_HistogramMode_10",
    "CO_f1ecac",
    "CO_FirstMin_ac",
    "CO_HistogramAMI_even_2_5",
    "CO_trev_1_num",
    "MD_hrv_classic_pnn40",
    "SB_BinaryStats_mean_longstretch1",
    "SB_TransitionMatrix_3ac_sumdiagcov",
    "PD_PeriodicityWang_th0_01",
    "CO_Embed2_Dist_tau_d_expfit_meandiff",
    "IN_AutoMutualInfoStats_40_gaussian_fmmi",
    "FC_LocalSimple_mean1_tauresrat",
    "DN_OutlierInclude_p_001_mdrmd",
    "DN_OutlierInclude_n_001_mdrmd",
    "SP_Summaries_welch_rect_area_5_1",
    "SB_BinaryStats_diff_longstretch0",
    "SB_MotifThree_quantile_hh",
    "SC_FluctAnal_2_rsrangefit_50_1_logi_prop_r1",
    "SC_FluctAnal_2_dfa_50_1_2_logi_prop_r1",
    "SP_Summaries_welch_rect_centroid",
    "FC_LocalSimple_mean3_stderr",
)
