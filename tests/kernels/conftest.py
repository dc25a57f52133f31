import pytest

from throughtime.kernels import extension


def _levels() -> list[str]:
    return extension.isa_names() if extension.native_available() else ["none"]


@pytest.fixture(params=_levels())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set of this machine in turn, forced."""
    monkeypatch.setenv(extension.ISA_VARIABLE, request.param)
    return str(request.param)
