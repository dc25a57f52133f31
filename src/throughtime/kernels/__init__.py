"""The recurrent op with a member axis: C++ kernels, the same in plain torch, and the choice between them."""

from throughtime.kernels.dispatch import recurrent
from throughtime.kernels.native import delta_norms, isa_names, native_available
from throughtime.kernels.reference import GATES, Kind

__all__ = ["GATES", "Kind", "delta_norms", "isa_names", "native_available", "recurrent"]
