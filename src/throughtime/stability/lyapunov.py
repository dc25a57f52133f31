"""Lyapunov exponents of a recurrence along its trajectory: how fast a small difference grows or dies.

The QR method of Benettin et al. (1980), as Engelken, Wolf & Abbott (2023), https://arxiv.org/abs/2006.02427, and Vogt,
Puelma Touzel, Shlizerman & Lajoie (2020), https://arxiv.org/abs/2006.14123, use it on recurrent networks: Q is carried
forward, ``J Q`` is made orthonormal again, and ``lambda_i`` is the mean of ``ln |R_ii|``.

The Jacobian of stacked layers is block triangular, each layer driven by the one below, so that the spectrum of the
whole stack is that of all its layers together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray
from torch import Tensor, nn

from throughtime.errors import DataError
from throughtime.findings import Check, Measured
from throughtime.records import Records, Row
from throughtime.stability.arguments import check_call, check_lag, check_seed, check_whole
from throughtime.stability.calls import DOCS, ModelInput
from throughtime.stability.linearization import linearize
from throughtime.stability.traces import StepTrace, trace

#: ln of 100: at the exponent's rate a gradient has fallen to 1 % after so many times 1/|lambda| steps.
_TO_ONE_PERCENT = math.log(100)


@dataclass(frozen=True, repr=False)
class LyapunovSpectrum(Row):
    """Of one layer and direction.

    Attributes
    ----------
    label
        The layer and direction in words.
    cell
        Its cell's.
    burn_in
        Steps left out at the start of the run.
    steps
        Those that count, of each series.
    exponents
        Natural logarithms of the growth per step, the largest first; ``-inf`` in a direction that a step erases.
    """

    title: ClassVar[str] = "Lyapunov exponents, ln of the growth per step: means over the series"

    label: str
    cell: str
    burn_in: int
    steps: Int[ndarray, "series"]
    exponents: Float64[ndarray, "exponent series"]

    def _cells(self) -> dict[str, str]:
        means = self.exponents.mean(1)
        return {
            "layer": self.label,
            "cell": self.cell,
            "steps": _range(self.steps),
            "exponents": str(len(means)),
            "largest": f"{means[0]:.3g}",
            "smallest": f"{means[-1]:.3g}",
            "above 0": str(int((means > 0).sum())),
        }


def lyapunov_exponents(
    model: nn.Module,
    x: ModelInput,
    *,
    lengths: Int[Tensor, "series"] | Sequence[int] | None = None,
    n_exponents: int | None = None,
    burn_in: int = 0,
    seed: int = 0,
) -> Records[LyapunovSpectrum]:
    """The Lyapunov spectrum of each recurrent layer and direction of a model, along each series.

    In float64 and evaluation mode. The exponents are those of the run that the series drive: they hold for these
    inputs, and for long runs; over a few steps they tell of the directions that Q starts with.

    Parameters
    ----------
    model, x, lengths
        As ``jacobians`` takes them.
    n_exponents
        How many of each layer and direction, from the largest; all by default, which takes a QR of all each step.
    burn_in
        Steps at the start of a run that do not count: the state settles and Q turns to the largest directions.
    seed
        Of the directions that Q starts with, the same for every series.

    Returns
    -------
    One per layer and direction, in torch's order.

    Raises
    ------
    ParameterError
        For a model without recurrent layers; for lengths, a burn-in or a seed that are none; for more exponents than a
        state has numbers.
    DataError
        For an x that the model cannot take, series not longer than the burn-in, and values that are not finite.

    Examples
    --------
    A rotation that shrinks by a tenth at each step has ln .9 for all its exponents.

    >>> import torch
    >>> from throughtime.nn import LinearRNN
    >>> from throughtime.stability import lyapunov_exponents
    >>> layer = LinearRNN(1, 4)
    >>> with torch.no_grad():
    ...     _ = torch.nn.init.orthogonal_(layer.weight_hh_l0, gain=0.9)
    >>> (found,) = lyapunov_exponents(layer, torch.zeros(50, 1, 1))
    >>> found.exponents[:, 0].round(4).tolist()
    [-0.1054, -0.1054, -0.1054, -0.1054]
    """
    check_call(model, x, lengths, arguments=(tuple, list))
    burn_in = check_whole("burn_in", burn_in, 0)
    seed = check_seed(seed)
    places = trace(model, x, lengths=lengths)
    if n_exponents is not None:
        smallest = min(places, key=lambda place: sum(place.widths))
        check_whole(
            "n_exponents", n_exponents, 1, sum(smallest.widths), f"the numbers in the state of {smallest.label}"
        )
    for place in places:
        if (shortest := int(place.lengths.min())) <= burn_in:
            raise DataError(f"burn_in needs fewer steps than the shortest series has, got {burn_in} of {shortest}")
    with torch.no_grad():
        return Records(_spectrum(place, n_exponents, burn_in, seed) for place in places)


def _spectrum(place: StepTrace, n_exponents: int | None, burn_in: int, seed: int) -> LyapunovSpectrum:
    size, series = sum(place.widths), len(place.lengths)
    count = n_exponents or size
    generator = torch.Generator().manual_seed(seed)
    start = torch.linalg.qr(torch.randn(size, count, generator=generator, dtype=torch.float64))[0]
    q = start.expand(series, -1, -1)
    step_of = linearize(place)
    running = place.running
    sums = torch.zeros(series, count, dtype=torch.float64)
    for step in place.order:
        grown = torch.cat(step_of.push(q.split(place.widths, 1), step), 1)
        fresh, r = torch.linalg.qr(grown)
        now = running[step]
        run_for = place.lengths - 1 - step if place.reverse else torch.full_like(place.lengths, step)
        counts = (now & (run_for >= burn_in))[:, None]
        sums += torch.where(counts, r.diagonal(dim1=-2, dim2=-1).abs().log(), 0)
        q = torch.where(now[:, None, None], fresh, q)
    steps = place.lengths - burn_in
    exponents = (sums / steps[:, None]).sort(1, descending=True).values
    return LyapunovSpectrum(place.label, place.cell.name, burn_in, steps.numpy(), exponents.mT.numpy())


def _range(steps: Int[ndarray, "series"]) -> str:
    """The fewest and the most."""
    return str(steps.max()) if steps.min() == steps.max() else f"{steps.min()} to {steps.max()}"


def _largest(spectra: Sequence[LyapunovSpectrum]) -> tuple[LyapunovSpectrum, float]:
    """The layer whose largest exponent is the largest, and that, the mean over its series."""
    means = [float(found.exponents[0].mean()) for found in spectra]
    return spectra[int(np.argmax(means))], max(means)


def _chaos(spectra: Sequence[LyapunovSpectrum]) -> Measured:
    found, rate = _largest(spectra)
    above = int((found.exponents[0] > 0).sum())
    detail = (
        f"the largest exponent of {found.label} is {rate:.3g} per step, above 0 in {above} of {len(found.steps)} series"
    )
    return Measured(rate, detail)


def _forgetting(spectra: Sequence[LyapunovSpectrum], lag: int) -> Measured:
    check_lag(lag)
    found, rate = _largest(spectra)
    if rate >= 0:
        return Measured(0.0, f"{found.label} does not forget: its largest exponent is {rate:.3g} per step")
    detail = f"{found.label}, the slowest to forget, falls by e in {-1 / rate:.3g} steps; the task needs {lag:g}"
    return Measured(-rate * lag, detail)


CHAOS = Check(
    "STA011",
    "chaotic recurrence",
    "warning",
    ("lyapunov",),
    lambda lyapunov: _chaos(lyapunov),
    "lambda_1 > 0 is chaos: Engelken, Wolf & Abbott (2023); gradients grow by e^lambda per step",
    "try smaller recurrent weights (critical or orthogonal), and clipping",
    docs=DOCS,
)

FORGETTING = Check(
    "STA012",
    "fast forgetting",
    "warning",
    ("lyapunov", "lag"),
    lambda lyapunov, lag: _forgetting(lyapunov, lag),
    "forgets in 1/|lambda| steps: Vogt et al. (2020); 4.6 of them leave 1 %, as the gradient horizon has it",
    "try orthogonal weights per gate, a larger forget bias, or init='chrono' with the lag",
    threshold=_TO_ONE_PERCENT,
    docs=DOCS,
    lacking="it needs Lyapunov exponents, and the lag that the task needs",
)
