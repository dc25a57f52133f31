import pytest
import torch

from throughtime.kernels import extension


def _levels() -> list[str]:
    return extension.isa_names() if extension.native_available() else ["none"]


@pytest.fixture(params=_levels())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set of this machine in turn, forced."""
    monkeypatch.setenv(extension.ISA_VARIABLE, request.param)
    return str(request.param)


@pytest.fixture
def threads() -> "object":
    """Set torch's thread count for the length of a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
