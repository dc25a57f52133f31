"""An estimator's docstring with its parameters, from their declaration: for ``help``, notebooks and the site."""

import re
import textwrap
from collections.abc import Callable, Sequence
from inspect import cleandoc
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from sklearn.base import BaseEstimator

from throughtime.parameters import OBJECTS, Parameter, declared

_INDENT = " " * 4
#: The heading of a section in numpydoc's form; what stands before the first is the description.
_HEADING = re.compile(r"^(?=\w[\w ]*\n-+$)", re.MULTILINE)


def docstring_with_parameters(cls: type, schema: type) -> str:
    """A class's own docstring with the parameters of its schema, and the attributes that its bases describe.

    Parameters
    ----------
    cls
        An estimator with a docstring in numpydoc's form, without a section of parameters.
    schema
        A ``TypedDict`` of ``throughtime.parameters``.
    """
    description, *sections = _sections(cls)
    attributes = [
        section.split("\n", 2)[2].strip()
        for base in reversed(cls.__mro__)
        if issubclass(base, BaseEstimator) and base is not BaseEstimator
        for section in _sections(base)
        if section.startswith("Attributes\n")
    ]
    others = [section for section in sections if not section.startswith("Attributes\n")]
    parameters = "\n".join(_entry(parameter) for parameter in declared(schema).values())
    return "\n\n".join(
        part.strip()
        for part in (
            description,
            _section("Parameters", parameters),
            _section("Attributes", "\n".join(attributes)),
            *others,
        )
    )


def _sections(cls: type) -> list[str]:
    return _HEADING.split(cleandoc(vars(cls)["__doc__"] or ""))


def _section(title: str, text: str) -> str:
    return f"{title}\n{'-' * len(title)}\n{text}"


def _entry(parameter: Parameter) -> str:
    option = parameter.option
    kind = " ".join(filter(None, [_kind(parameter.type), option.bounds]))
    objects = f" or {OBJECTS[parameter.objects]}" if parameter.objects else ""
    none = " or None" if parameter.optional else ""
    return f"{parameter.name} : {kind}{objects}{none}, default={option.default!r}\n{_sentence(parameter)}"


def _sentence(parameter: Parameter) -> str:
    """The help, which the command line shows too, as a sentence: names in code, ``None`` as Python spells it."""
    text = re.sub(r"\w*_\w*", r"``\g<0>``", parameter.option.help)
    if parameter.optional:
        text = re.sub(r"\bnone\b", "``None``", text)
    sentence = f"{text[0].upper()}{text[1:]}."
    return textwrap.fill(sentence, 100, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)


def _kind(kind: Any) -> str:
    """A type as numpydoc writes it: words that are allowed stand in braces."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "{" + ", ".join(map(repr, parts)) + "}" if len(parts) > 1 else repr(parts[0])
    if origin in (Union, UnionType):
        return " or ".join(map(_kind, parts))
    if origin is Sequence:
        return f"sequence of {_kind(*parts)}"
    if origin is Callable:
        return "callable"
    return str((origin or kind).__name__)
