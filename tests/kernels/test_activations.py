"""exp, sigmoid and tanh of the kernels, in units in the last place of the true value, over the whole range."""

import numpy as np
import pytest
from cases import SOAK, needs_native
from numpy.typing import NDArray

from throughtime.kernels import native

pytestmark = needs_native

#: As stated in csrc/simd-inl.h: units in the last place of float32, of which a soak tries every number, and of float64;
#: or this absolute error where the value is that small.
BOUND = {"exp": (1.1, 1.1), "sigmoid": (2.6, 2.6), "tanh": (2.6, 3.0)}
SMALL = {np.float32: 1.3e-38, np.float64: 2.5e-308}
EXACT = {
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


def apply(name: str, x: NDArray[np.floating], isa: str) -> NDArray[np.floating]:
    out = np.empty_like(x)
    function = getattr(native.compiled(), f"activation_{'f32' if x.dtype == np.float32 else 'f64'}")
    function(name, x.ctypes.data, out.ctypes.data, x.size, isa)
    return out


def worst(name: str, x: NDArray[np.floating]) -> dict[str, float]:
    """The largest deviation on each instruction set; the true values are worked out once for all."""
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        exact = EXACT[name](x.astype(wide))
        # Beyond the largest number an infinity is right; exp saturates a little early, as stated.
        finite = np.isfinite(exact) & (exact < np.finfo(x.dtype).max * 0.7)
        ulp = np.spacing(np.abs(exact).astype(x.dtype)).astype(wide)
        found = {}
        for isa in native.isa_names():
            got = apply(name, x, isa)
            assert (got[~finite] >= np.finfo(x.dtype).max * 0.69).all()
            deviation = np.abs(got.astype(wide) - exact)
            units = np.where(deviation <= SMALL[x.dtype.type], 0, deviation / ulp)
            found[isa] = float(units.max(initial=0.0, where=finite))
    return found


def stays_within(name: str, x: NDArray[np.floating]) -> bool:
    bound = BOUND[name][x.dtype == np.float64]
    return all(found <= bound for found in worst(name, x).values())


def every_float32(start: int, stop: int, step: int) -> NDArray[np.float32]:
    x = np.arange(start, stop, step, dtype=np.uint32).view(np.float32)
    return x[np.isfinite(x)]


@pytest.mark.parametrize("name", BOUND)
def test_float32_stays_within_its_bound_on_the_whole_range(name: str) -> None:
    # a soak takes every number there is, in pieces that stay in the cache
    piece, step = (2**17, 1) if SOAK else (2**32, 2503)
    for start in range(0, 2**32, piece):
        assert stays_within(name, every_float32(start, start + piece, step)), start
    for low, high in ((-0.5, 0.5), (-20, 20), (-105, 105)):
        assert stays_within(name, np.random.default_rng(0).uniform(low, high, 200_000).astype(np.float32))


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="no type wider than float64 to compare with")
@pytest.mark.parametrize("name", BOUND)
def test_float64_stays_within_its_bound_on_the_whole_range(name: str) -> None:
    for seed in range(100 if SOAK else 1):
        generator = np.random.default_rng(seed)
        x = generator.integers(0, 2**64, 200_000, dtype=np.uint64).view(np.float64)
        assert stays_within(name, x[np.isfinite(x)])
        for scale in (1e-3, 1, 30, 800):
            assert stays_within(name, generator.uniform(-scale, scale, 200_000))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_ends_are_exact(isa: str, dtype: type) -> None:
    x = np.array([np.inf, -np.inf, 0.0, -0.0, 1e4, -1e4], dtype)
    assert apply("exp", x, isa).tolist() == [np.inf, 0, 1, 1, np.inf, 0]
    assert apply("sigmoid", x, isa).tolist() == [1, 0, 0.5, 0.5, 1, 0]
    assert apply("tanh", x, isa).tolist() == [1, -1, 0, 0, 1, -1]
    assert np.signbit(apply("tanh", x, isa)).tolist() == [False, True, False, True, False, True]


@pytest.mark.parametrize("name", BOUND)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_nan_stays_one_whatever_its_payload(isa: str, name: str, dtype: type) -> None:
    bits, quiet = (np.uint32, 0x7FC00000) if dtype == np.float32 else (np.uint64, 0x7FF8000000000000)
    x = (bits(quiet) + np.arange(4096).astype(bits)).view(dtype)
    assert np.isnan(apply(name, x, isa)).all()
    assert np.isnan(apply(name, -x, isa)).all()
