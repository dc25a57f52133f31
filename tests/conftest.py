"""Every test runs with the shapes and types of the signatures checked, by jaxtyping and beartype."""

import os

from jaxtyping import install_import_hook

#: The rooms that hand tensors on.  Elsewhere signatures use ``Self``, which beartype refuses outside a decorated class.
ROOMS = ("kernels", "nn", "training", "estimators.features", "estimators.targets", "estimators.members")

# Before anything of the package is imported: the hook rewrites modules as they load.
install_import_hook([f"throughtime.{room}" for room in ROOMS], "beartype.beartype")

# Before torch is: its threads, waiting for each other on a busy machine, make small sizes ten times slower.  Tests that
# are about threads ask for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
