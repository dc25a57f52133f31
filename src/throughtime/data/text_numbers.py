"""Columns of text that were meant to be numbers: which value made text of them, and what to do about it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from throughtime.data.dataset import Decimal

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
_SHOWN = 40


@dataclass(frozen=True)
class Stray:
    """The first value that is no number, in a column of which most are: its row, from 0, and the cure."""

    row: int
    value: str
    cure: str


def stray_text(codes: ndarray, labels: Sequence[str], decimal: Decimal | None) -> Stray | None:
    """What made text of a column of numbers; None where most of its different values are no numbers either.

    Parameters
    ----------
    codes, labels
        The value of row i is ``labels[codes[i]]``, and missing where the code is negative.
    decimal
        The decimal sign by which a CSV file was read; None for what is no CSV file.
    """
    words = [label.strip() for label in labels]
    points = np.array([bool(_NUMBER.fullmatch(word)) for word in words], np.bool_)
    commas = np.array([bool(_DECIMAL_COMMA.fullmatch(word)) for word in words], np.bool_)
    filled = np.array([bool(word) for word in words], np.bool_)
    if not filled.any() or 2 * (points | commas).sum() < filled.sum():
        return None
    signed = points & np.array(["." in word for word in words], np.bool_)
    numbers, others, signs = points, commas, signed.sum()
    if decimal == ",":
        numbers, others, signs = commas | (points & ~signed), signed, commas.sum()
    if others.any() and others.sum() >= signs:
        odd, cure = others, "convert the column to numbers, which have decimal points"
        if decimal == ".":
            cure = "decimal=',' (--decimal ,) reads CSV files with decimal commas"
        elif decimal == ",":
            cure = "decimal='.' (--decimal .) reads CSV files with decimal points"
    elif numbers.all():
        odd, cure = numbers, "numbers need to be stored as such"
    else:
        odd, cure = ~numbers, "write a number there, or nothing where none was observed"
    row = int(np.append(odd, False)[codes].argmax())
    return Stray(row, labels[codes[row]][:_SHOWN], cure)
