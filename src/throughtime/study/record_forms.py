"""Records as pydantic reads them again from the JSON that they were written as."""

import dataclasses
import math
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, ConfigDict, create_model

from throughtime.records import Records


def record_form(kind: Any) -> Any:
    """A type as pydantic reads it from JSON, which has null for NaN, and lists of records."""
    if kind is float:
        return Annotated[float | None, AfterValidator(lambda value: math.nan if value is None else value)]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        types = get_type_hints(kind)
        hints = {field.name: types[field.name] for field in dataclasses.fields(kind)}
        # what has a default came later than some files
        defaults = {
            field.name: ... if field.default is dataclasses.MISSING else field.default
            for field in dataclasses.fields(kind)
        }
        fields: Any = {name: (record_form(hint), defaults[name]) for name, hint in hints.items()}
        model = create_model(kind.__name__, __config__=ConfigDict(extra="forbid"), **fields)
        return Annotated[model, AfterValidator(lambda read: kind(**{name: getattr(read, name) for name in hints}))]
    of, parts = get_origin(kind), get_args(kind)
    if of in (tuple, Records):
        parts = parts if of is tuple else (*parts, ...)
        form = tuple.__class_getitem__(tuple(part if part is ... else record_form(part) for part in parts))
        return Annotated[form, AfterValidator(of)]
    if of in (Union, UnionType):  # with None, where null is None
        return Union[tuple(part if part is float else record_form(part) for part in parts)]  # noqa: UP007
    return kind
