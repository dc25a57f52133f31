"""What imports what inside the package: no circle, nothing upward, and another package through its face only.

An import inside a function counts; one under ``TYPE_CHECKING`` does not.
"""

import re
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
NAME = "throughtime"
#: The package itself shows names of every layer, when they are asked for; ``__main__`` is the command line.
ABOVE_ALL = {NAME, f"{NAME}.__main__"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(NAME, exclude_type_checking_imports=True, cache_dir=None)


def imports(graph: grimp.ImportGraph) -> set[tuple[str, str]]:
    """Pairs of modules, of which the first imports the second."""
    return {
        (module, imported) for module in graph.modules for imported in graph.find_modules_directly_imported_by(module)
    }


def circles(imports: set[tuple[str, str]]) -> set[frozenset[str]]:
    """Sets of modules each of which reaches all others of its set."""
    reached: dict[str, set[str]] = {}
    for importer, imported in imports:
        reached.setdefault(importer, set()).add(imported)
    for through in [*reached]:  # Warshall's closure
        for module in reached:
            if through in reached[module]:
                reached[module] |= reached[through]
    return {
        frozenset(other for other in reached[module] if module in reached.get(other, ()))
        for module in reached
        if module in reached[module]
    }


def past_a_face(imports: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Imports of a module of another package, where that package's ``__init__`` should have been asked."""
    return {
        (importer, imported)
        for importer, imported in imports
        if imported.count(".") > 1 and importer.split(".")[1:2] != imported.split(".")[1:2]
    }


def layers() -> list[list[str]]:
    """The layers of ``pyproject.toml``, highest first, each with its packages; some of which may not be there yet."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = settings["tool"]["importlinter"]["contracts"]
    return [re.findall(r"\w+", layer) for layer in contract["layers"]]


def upward(imports: set[tuple[str, str]], layers: list[list[str]]) -> set[tuple[str, str]]:
    """Imports of a package in a higher layer, or of the package itself, which reaches every layer."""
    rank = {package: rank for rank, layer in enumerate(layers) for package in layer}

    def rank_of(module: str) -> int:
        return -1 if module in ABOVE_ALL else rank[module.split(".")[1]]

    return {(importer, imported) for importer, imported in imports if rank_of(imported) < rank_of(importer)}


def test_no_modules_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    assert circles(imports(graph)) == set()


def test_another_package_is_imported_through_its_face_only(graph: grimp.ImportGraph) -> None:
    assert past_a_face(imports(graph)) == set()


def test_nothing_imports_upward(graph: grimp.ImportGraph) -> None:
    assert upward(imports(graph), layers()) == set()


def test_no_import_by_a_computed_name_is_made_but_for_the_packages_face_and_the_extension() -> None:
    # no graph sees where it leads; the extension, in C++, imports nothing
    dynamic = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src" / NAME).rglob("*.py")
        if re.search(r"\b(import_module|__import__)\b", path.read_text(encoding="utf-8"))
    ]
    assert sorted(dynamic) == [f"src/{NAME}/__init__.py", f"src/{NAME}/kernels/native/extension.py"]


def test_the_graph_sees_imports_inside_functions_but_none_for_types_alone(graph: grimp.ImportGraph) -> None:
    seen = imports(graph)
    assert (f"{NAME}.cli.app", f"{NAME}.cli.fit") in seen
    assert not {pair for pair in seen if pair[0] == NAME}


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([("a", "b"), ("b", "c")], []),
        ([("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")], [{"a", "b", "c"}]),
        ([("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "c")], [{"a", "b"}, {"c", "d"}]),
        ([("a", "a")], [{"a"}]),
    ],
)
def test_circles_are_found(pairs: list[tuple[str, str]], found: list[set[str]]) -> None:
    assert circles(set(pairs)) == {frozenset(circle) for circle in found}


def test_offenses_are_found() -> None:
    inside, face, past = ("t.a.x", "t.a.y"), ("t.a.x", "t.b"), ("t.a.x", "t.b.y")
    assert past_a_face({inside, face, past, ("t.a.x", "t.errors")}) == {past}
    order = [["a"], ["b", "c"]]
    up = {("t.b.x", "t.a"), ("t.b", f"{NAME}")}
    assert upward(up | {face, inside, ("t.b", "t.c")}, order) == up
