"""How recurrent networks keep gradients alive through time: flow, spectra, BPTT, audits, the unrolled graph."""

from throughtime.stability.decomposition import LagDecomposition, lag_decomposition
from throughtime.stability.linear_rnn import LinearRNNGradients, linear_rnn_gradients
from throughtime.stability.truncation import TRUNCATION_CHECKS, TruncationBias, truncation_bias

__all__ = [
    "TRUNCATION_CHECKS",
    "LagDecomposition",
    "LinearRNNGradients",
    "TruncationBias",
    "lag_decomposition",
    "linear_rnn_gradients",
    "truncation_bias",
]
