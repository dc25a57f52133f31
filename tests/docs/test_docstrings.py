"""Docstrings of public names are numpydoc's, and what is declared public is in the reference."""

import importlib
import re
from typing import Any

import pytest
from numpydoc.validate import validate
from pages import ROOT

#: Form and summary, and parameters: those described are those there are, each with a description that ends.  Types are
#: in the annotations, and what says itself needs no section.
CHECKS = {"GL01", "GL03", "GL05", "GL06", "GL07", "GL08", "GL10", "SS01", "SS02", "SS03", "SS04", "SS06"}
CHECKS |= {"PR02", "PR05", "PR06", "PR07", "PR09", "PR10"}
#: The estimators' sections are generated and complete.
GENERATED = CHECKS | {"PR01", "PR03", "PR04", "PR08", "GL09"}

REFERENCE = (ROOT / "docs" / "reference" / "index.md").read_text(encoding="utf-8")
PACKAGES = re.findall(r"^   (throughtime[\w.]*)$", REFERENCE, re.MULTILINE)


def documented(package: str) -> list[str]:
    module = importlib.import_module(package)
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    return [f"{package}.{name}" for name in names if is_ours(getattr(module, name))]


def is_ours(value: Any) -> bool:
    """Whether it is a class or a function of this package, not a constant or the name of a type."""
    return callable(value) and hasattr(value, "__qualname__") and str(value.__module__).startswith("throughtime")


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_of_public_names_are_in_numpydoc_form(package: str) -> None:
    names = documented(package)
    wrong = {name: [error for error in validate(name)["errors"] if error[0] in CHECKS] for name in names}
    assert {name: errors for name, errors in wrong.items() if errors} == {}
    assert names


@pytest.mark.parametrize("name", ["SequenceClassifier", "SequenceRegressor"])
def test_estimators_describe_every_parameter_with_its_type(name: str) -> None:
    assert [error for error in validate(f"throughtime.{name}")["errors"] if error[0] in GENERATED] == []
