"""The recurrent op with a member axis, and the products whose bits do not depend on company."""

from throughtime.kernels.products import LANE, linear, linear_over_time, one_thread, ordered_sum
from throughtime.kernels.reference import CHUNK, GATES, Kind, recurrent

__all__ = [
    "CHUNK",
    "GATES",
    "LANE",
    "Kind",
    "linear",
    "linear_over_time",
    "one_thread",
    "ordered_sum",
    "recurrent",
]
