"""How recurrent networks keep gradients alive through time: flow, spectra, BPTT, audits, the unrolled graph."""

from throughtime.stability.pulling_back import StateNorms, pulled_back_norms

__all__ = ["StateNorms", "pulled_back_norms"]
