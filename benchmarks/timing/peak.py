"""What the machine can do at most."""

import os

from throughtime.kernels import ISA_VARIABLE, native
from timing import settle


def peak(threads: int) -> float:
    """Operations per second of fused multiply-adds on registers, the best of three short loops."""
    settle()
    isa = os.environ.get(ISA_VARIABLE, "")
    return max(float(native.compiled().fma_peak_f32(threads, 0.2, isa)) for _ in range(3))
