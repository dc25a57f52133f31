import pytest

from throughtime.kernels import ISA_VARIABLE, native


def _levels() -> list[str]:
    return native.isa_names() if native.native_available() else ["none"]


@pytest.fixture(params=_levels())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set of this machine in turn, forced."""
    monkeypatch.setenv(ISA_VARIABLE, request.param)
    return str(request.param)
