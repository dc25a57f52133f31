"""A perturbation of a user's own, in one file: noise on every value (Um et al. 2017, "jittering")."""

import numpy as np
import torch
from torch import Tensor

from throughtime.training import Perturbation


class Jitter(Perturbation):
    """Adds normal noise, of a deviation on the standardized scale."""

    key = 0

    def __init__(self, deviation: float) -> None:
        self.deviation = deviation

    def transform(self, x: Tensor, lengths: Tensor, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Other values, the same lengths."""
        noise = torch.from_numpy(generator.normal(scale=self.deviation, size=x.shape)).to(x)
        return x + noise, lengths
