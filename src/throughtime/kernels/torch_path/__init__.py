"""The backend in plain torch."""

from throughtime.kernels.torch_path.backend import TorchBackend
from throughtime.kernels.torch_path.gathering import standardize

__all__ = ["TorchBackend", "standardize"]
