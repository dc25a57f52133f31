"""Every test runs with the shapes and types of the signatures checked, by jaxtyping and beartype."""

import os
from collections.abc import Callable, Iterator

import hypothesis
import jaxtyping
import pytest
from jaxtyping import install_import_hook

#: Where tensors are handed on. Elsewhere signatures use ``Self``, which beartype refuses outside a decorated class.
PACKAGES = (
    "kernels",
    "nn",
    "stability",
    "training",
    "data.moments",
    *(f"estimators.{part}" for part in ("features", "targets", "preparation", "members")),
    *(f"shift.{part}" for part in ("summaries", "embedding", "reference", "sides", "statistics", "two_samples")),
    *(f"shift.{part}" for part in ("arguments", "largest_effect", "permutations", "partial")),
    *(f"shift.{part}" for part in ("calibration", "priors", "weights", "losses", "weighted_validation", "candidates")),
    "estimators.recalibration",
)

# Before anything of the package is imported: the hook rewrites modules as they load.
install_import_hook([f"throughtime.{package}" for package in PACKAGES], "type_checking.checked")

# No test fails because the machine is busy.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Before torch is: its threads, waiting for each other on a busy machine, make small sizes ten times slower.  Tests that
# are about threads ask for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def types_unchecked() -> Iterator[None]:
    """As outside the tests: what a caller's mistake meets is our message, not beartype's."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(params=["native", "reference"])
def either_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The C++ path and the path of other devices."""
    from throughtime.kernels import ISA_VARIABLE, native  # not before the hook

    if request.param == "reference":
        monkeypatch.setenv(ISA_VARIABLE, "reference")
    elif not native.native_available():
        pytest.skip("installed without the C++ kernels")


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Set torch's thread count for the length of a test."""
    import torch  # not before its thread count is set above

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
