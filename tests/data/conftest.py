import jaxtyping
import pytest


@pytest.fixture
def types_unchecked():
    """As outside the tests: what a caller's mistake meets is our message, not beartype's."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
