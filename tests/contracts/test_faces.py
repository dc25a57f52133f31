"""What a package shows at its door."""

import importlib
import pkgutil
from types import ModuleType

import throughtime


def test_no_module_shares_its_name_with_a_function_of_its_package() -> None:
    # `import throughtime.kernels.readout as m` would give the function
    hidden = []
    for found in pkgutil.walk_packages(throughtime.__path__, "throughtime."):
        parent, _, name = found.name.rpartition(".")
        if name == "__main__":
            continue
        module = importlib.import_module(found.name)
        if getattr(importlib.import_module(parent), name) is not module:
            hidden.append(found.name)
    assert isinstance(throughtime, ModuleType)
    assert hidden == []
