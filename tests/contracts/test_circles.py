"""No module needs another that needs it: each can be read, and imported, after what it stands on."""

from functools import cache

import grimp
import pytest

#: A package's face imports its modules.
FACES = {"throughtime.cli", "throughtime.study", "throughtime.storage"}


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("throughtime", cache_dir=None)


@pytest.mark.parametrize("package", ["cli", "study", "storage"])
def test_no_modules_of_a_package_import_each_other_in_a_circle(package: str) -> None:
    imports = graph()
    modules = sorted({f"throughtime.{package}", *imports.find_descendants(f"throughtime.{package}")} - FACES)
    circles = [
        (one, other)
        for one in modules
        for other in imports.find_modules_directly_imported_by(one)
        if other in modules and imports.chain_exists(importer=other, imported=one)
    ]
    assert circles == []
