"""The text that names features made of series, ``"diff,rolling:7,lag:1:7,fourier:365.25"``, and what it asks for.

Free of torch, as the parameters are: the command line and config files read it.
"""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any

from throughtime.errors import ParameterError

#: What is taken of a window of the last steps, and of a whole series.
ROLLING_STATISTICS = ("mean", "std", "min", "max")
SUMMARIES = ("mean", "std", "min", "max", "slope", "catch22")

_MOST_STEPS = 1_000_000_000


@dataclass(frozen=True)
class FeatureSpec:
    """One kind of feature: ``rolling:7:28:mean`` has the name, two numbers and a word."""

    name: str
    numbers: tuple[float, ...] = ()
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ":".join([self.name, *map(number_text, self.numbers), *self.words])


@dataclass(frozen=True)
class _Kind:
    """What may stand behind a name: numbers, of which without ``numbers`` the default is taken, and words."""

    numbers: str = ""  # what they are, "" where there are none
    at_least: int = 1
    default: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    default_words: tuple[str, ...] = ()


_KINDS = {
    "diff": _Kind("lags", default=(1,)),
    "lag": _Kind("lags", default=(1,)),
    "rolling": _Kind("windows", at_least=2, words=ROLLING_STATISTICS, default_words=("mean", "std")),
    "fourier": _Kind("periods"),
    "summary": _Kind(words=SUMMARIES, default_words=("mean", "std", "min", "max", "slope")),
}


@cache
def parse_features(text: str | None) -> tuple[FeatureSpec, ...]:
    """Read the text, with what it leaves to defaults spelled out; of None there are none.

    >>> [str(spec) for spec in parse_features("diff, rolling:7, fourier:365.25")]
    ['diff:1', 'rolling:7:mean:std', 'fourier:365.25']

    Raises
    ------
    ParameterError
        For a name that is none, a number or word that it does not take, or what is asked for twice.
    """
    if text is None:
        return ()
    specs: list[FeatureSpec] = []
    for item in text.split(","):
        name, *arguments = (part.strip() for part in item.split(":"))
        if name not in _KINDS:
            close = difflib.get_close_matches(name, _KINDS, 1)
            raise ParameterError(
                f"features needs names among {', '.join(_KINDS)}, with numbers as in 'diff,rolling:7,lag:1:7', got "
                f"{item.strip()!r}{f'; did you mean {close[0]}?' if close else ''}"
            )
        kind = _KINDS[name]
        found = [_number(argument) for argument in arguments]
        numbers = tuple(part for part in found if not isinstance(part, str)) or kind.default
        words = tuple(part for part in found if isinstance(part, str)) or kind.default_words
        spec = FeatureSpec(name, numbers, words)
        check_numbers(f"features={item.strip()!r}", name, numbers)
        check_words(f"features={item.strip()!r}", name, words)
        specs.append(spec)
    made = [
        (spec.name, number, word) for spec in specs for number in spec.numbers or (0,) for word in spec.words or ("",)
    ]
    for one in made:
        if made.count(one) > 1:
            what = ":".join([one[0], *([number_text(one[1])] if one[1] else []), *filter(None, one[2:])])
            raise ParameterError(f"features needs each feature once, got {what} twice in {text!r}")
    return tuple(specs)


def check_numbers(who: str, name: str, numbers: Any) -> None:
    """Refuse numbers that a kind of feature does not take: steps are whole, periods need not be.

    Raises
    ------
    ParameterError
        "<who> needs <rule>, got <value>".
    """
    kind = _KINDS[name]
    listed = isinstance(numbers, Iterable) and not isinstance(numbers, str)
    given = tuple(numbers) if listed else (numbers,)
    if not kind.numbers:
        if given:
            raise ParameterError(f"{who} needs no numbers, got {given[0]!r}")
        return
    if name == "fourier":
        rule = "periods, finite numbers above 0"
        fits = all(_is_real(number) and math.isfinite(number) and number > 0 for number in given)
    else:
        rule = f"{kind.numbers}, whole numbers of steps from {kind.at_least} to {_MOST_STEPS:,}"
        fits = all(isinstance(number, Integral) and _is_real(number) for number in given)
        fits = fits and all(kind.at_least <= number <= _MOST_STEPS for number in given)
    if not given or not fits or len(set(given)) < len(given):
        rule += ", each once" if given and fits else ""
        raise ParameterError(f"{who} needs {rule}, got {repr(numbers) if given else 'none'}")


def check_words(who: str, name: str, words: Any) -> None:
    """Refuse words that a kind of feature does not take.

    Raises
    ------
    ParameterError
        "<who> needs <rule>, got <value>".
    """
    kind = _KINDS[name]
    given = (words,) if isinstance(words, str) or not isinstance(words, Iterable) else tuple(words)
    if not kind.words:
        if given:
            raise ParameterError(f"{who} needs numbers alone, got {given[0]!r}")
        return
    wrong = [word for word in given if word not in kind.words]
    if not given or wrong or len(set(given)) < len(given):
        close = difflib.get_close_matches(str(wrong[0]), kind.words, 1) if wrong else []
        raise ParameterError(
            f"{who} needs words among {', '.join(kind.words)}, each once, got {wrong[0] if wrong else words!r}"
            f"{f'; did you mean {close[0]}?' if close else ''}"
        )


def number_text(number: float) -> str:
    """A number as short as it is exact: ``7``, ``365.25``."""
    return str(int(number)) if number == int(number) else repr(float(number))


def _number(text: str) -> float | str:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _is_real(number: Any) -> bool:
    return isinstance(number, Real) and not isinstance(number, bool)
