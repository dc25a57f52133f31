import pytest

from throughtime.kernels import extension


@pytest.fixture(params=["native", "reference"])
def either_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The C++ path and the path of other devices."""
    if request.param == "reference":
        monkeypatch.setenv(extension.ISA_VARIABLE, "reference")
    elif not extension.native_available():
        pytest.skip("installed without the C++ kernels")
