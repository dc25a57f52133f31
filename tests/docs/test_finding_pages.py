"""Each finding of a package has one section of its own in the guide, under its code."""

import importlib
import pkgutil
import re

from pages import GUIDES

from throughtime import generalization, shift, stability
from throughtime.findings import Check
from throughtime.shift.findings import checks_of_tests


def codes() -> set[str]:
    """Of every check that a module of the packages makes."""
    names = [
        found.name
        for package in (generalization, shift, stability)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    modules = [importlib.import_module(name) for name in names]
    of_shift = {check.code for check in checks_of_tests("concept", 0.05, "concept")}  # made for a level
    return (
        of_shift
        | {value.code for module in modules for value in vars(module).values() if isinstance(value, Check)}
        | {check.code for module in modules for checks in vars(module).values() for check in _checks(checks)}
    )


def _checks(value: object) -> list[Check]:
    return [one for one in value if isinstance(one, Check)] if isinstance(value, tuple) else []


def test_every_finding_has_a_section_of_the_guide() -> None:
    headings = [
        heading for page in GUIDES for heading in re.findall(r"^## ([A-Z]{3}\d{3})$", page.read_text("utf-8"), re.M)
    ]
    assert len(headings) == len(set(headings))
    assert set(headings) == codes()
