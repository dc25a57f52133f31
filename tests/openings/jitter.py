"""A perturbation of a user's own, in one file: noise on every value (Um et al. 2017, "jittering")."""

from dataclasses import replace

import numpy as np
import torch

from throughtime.training import Perturbation, Series


class Jitter(Perturbation):
    """Adds normal noise, of a deviation on the standardized scale."""

    key = 0

    def __init__(self, deviation: float) -> None:
        self.deviation = deviation

    def transform(self, series: Series, generator: np.random.Generator) -> Series:
        """Other values; lengths, targets and the rest are the same."""
        noise = torch.from_numpy(generator.normal(scale=self.deviation, size=series.x.shape)).to(series.x)
        return replace(series, x=series.x + noise)
