"""Geometric means of norms by lag, of the C++ kernels and of plain torch."""

import numpy as np
import pytest
import torch

from throughtime.kernels import BACKENDS, Backend

CPU = torch.device("cpu")
LENGTHS = np.array([[7, 5, 5, 2], [4, 7, 0, 0]])


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each that takes float64 on this machine."""
    found: Backend = request.param
    if not found.takes(CPU, torch.float64):
        pytest.skip(f"{found.name} takes no float64 on the CPU here")
    return found


def log_means(backend: Backend, squares: np.ndarray, lengths: np.ndarray, lags: np.ndarray, reverse: bool = False):
    """Arrays in, an array out."""
    return backend.log_means(*map(torch.from_numpy, (squares, lengths, lags)), reverse).numpy()


def by_hand(norms: np.ndarray, lengths: np.ndarray, lag: int, reverse: bool) -> float:
    """One member's geometric mean at a lag, series by series."""
    own = [norms[lag if reverse else n - 1 - lag, b] for b, n in enumerate(lengths) if lag < n]
    return float(np.mean(np.log10(own))) if own else np.nan


@pytest.mark.parametrize("reverse", [False, True])
def test_norms_are_averaged_over_the_series_that_are_so_long(backend, reverse):
    norms = np.random.default_rng(0).random((2, 7, 4)) + 0.1
    lags = np.array([[0, 1, 2, 4, 6], [0, 3, 6, -1, -1]])
    found = log_means(backend, norms**2, LENGTHS, lags, reverse)
    for m in range(2):
        for k, lag in enumerate(lags[m]):
            expected = np.nan if lag < 0 else by_hand(norms[m], LENGTHS[m], lag, reverse)
            assert found[m, k] == pytest.approx(expected, rel=1e-13, nan_ok=True)  # float64, four logarithms


@pytest.mark.parametrize("scale", [1e-307, 1e-150, 1.0, 1e150, 1e300])
@pytest.mark.parametrize("batch", [1, 3, 8, 4099])
def test_a_mean_is_that_of_logarithms_however_small_or_large_the_norms_are(backend, scale, batch):
    squares = np.random.default_rng(batch).lognormal(sigma=3, size=(1, 2, batch)) * scale
    found = log_means(backend, squares, np.full((1, batch), 2), np.array([[0, 1]]))
    expected = np.log10(squares[0, ::-1]).mean(1) / 2
    np.testing.assert_allclose(found[0], expected, rtol=1e-12, atol=1e-13)  # float64, of many logarithms


@pytest.mark.parametrize("lengths", [np.full((3, 12), 9), np.random.default_rng(1).integers(1, 10, (3, 12))])
def test_a_members_means_have_the_same_bits_alone_or_in_company(backend, lengths):
    squares = np.random.default_rng(0).random((3, 9, 12))
    lags = np.tile(np.arange(9), (3, 1))
    together = log_means(backend, squares, lengths, lags)
    for m in range(3):
        alone = log_means(backend, squares[m : m + 1], lengths[m : m + 1], lags[m : m + 1])
        np.testing.assert_array_equal(alone[0], together[m])
    padded = np.concatenate([squares, np.ones((3, 9, 5))], 2), np.pad(lengths, ((0, 0), (0, 5)))
    np.testing.assert_array_equal(log_means(backend, *padded, lags), together)


def test_what_is_behind_an_overflow_is_infinite_and_a_norm_of_zero_is_minus_infinite(backend):
    norms = np.array([[np.nan, np.nan, np.inf, 4.0, 1.0], [0.0, 0.0, 1e-4, 1e-2, 1.0]])[:, :, None]
    found = log_means(backend, norms**2, np.full((2, 1), 5), np.tile(np.arange(5), (2, 1)))
    np.testing.assert_allclose(found[0], [0, np.log10(4), np.inf, np.inf, np.inf], rtol=1e-15)
    np.testing.assert_allclose(found[1], [0, -2, -4, -np.inf, -np.inf], rtol=1e-15)


def test_a_norm_that_is_no_number_gives_none(backend):
    squares = np.array([[1.0, np.nan], [4.0, 4.0]])[None]
    found = log_means(backend, squares, np.full((1, 2), 2), np.array([[0, 1]]))
    np.testing.assert_allclose(found[0], [np.log10(2), np.nan], rtol=1e-15)


def test_denormal_norms_count_as_what_they_are(backend):
    squares = np.array([[[5e-324, 1.0]]])
    found = log_means(backend, squares, np.full((1, 2), 1), np.array([[0]]))
    assert found[0, 0] == pytest.approx(np.log10(5e-324) / 4, rel=1e-14)
