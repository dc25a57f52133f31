"""Two samples in any of their forms, with the same columns: embeddings, series, data frames, arrays, lists."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from throughtime.data import Sequences, column_names
from throughtime.errors import DataError
from throughtime.shift.arguments import as_array
from throughtime.shift.embedding import check_summaries, units_of
from throughtime.shift.records import Embedding
from throughtime.shift.summaries import filled, summarize


class Samples(NamedTuple):
    """Embeddings or arrays, with a row per series; and the names of the columns, where either side has some."""

    reference: Embedding | ndarray
    deployed: Embedding | ndarray
    names: tuple[str, ...] | None


def samples_of(reference: Any, deployed: Any, what: str) -> Samples:
    """Take samples in any form.

    Parameters
    ----------
    reference, deployed
        Embeddings; arrays, or what makes one. The columns of data frames go by their names, in the reference's order.
        `Sequences` become an embedding of their summaries, and of what moves together among them.
    what
        Is compared: "columns", of embeddings their summaries; or "outputs" or "targets", which series do not have.

    Raises
    ------
    DataError
        For rows of several lengths, other names on one side than on the other, and series that have not what is
        compared.
    """
    samples = [_sample(sample, what, side) for sample, side in ((reference, "reference"), (deployed, "deployed"))]
    known, found = samples
    if what == "columns" and isinstance(known, Embedding) and isinstance(found, Embedding):
        check_summaries(known, found)
    if isinstance(known, Embedding):  # where a channel of a series has no value, of which no shift follows
        samples = [
            replace(own, summaries=filled(own.summaries, known.summaries)) if isinstance(given, Sequences) else own
            for own, given in zip(samples, (reference, deployed), strict=True)
        ]
    names = [_names(given, own, what) for given, own in zip((reference, deployed), samples, strict=True)]
    if None not in names and names[0] != names[1]:
        side = 0 if isinstance(found, Embedding) else 1
        samples[side] = np.ascontiguousarray(samples[side][:, _places(names[side], names[1 - side], what)])
        names[side] = names[1 - side]
    return Samples(samples[0], samples[1], names[0] or names[1])


def _sample(sample: Any, what: str, side: str) -> Embedding | ndarray:
    if isinstance(sample, Embedding):
        return sample
    if not isinstance(sample, Sequences):
        # in one order of memory, as sums are rounded by it
        return np.ascontiguousarray(as_array(sample, f"the {side} side"))
    if what != "columns":
        raise DataError(
            f"{what} need a row per series, got Sequences on the {side} side; embed, given them, holds their {what}"
        )
    summaries, names = summarize(sample)
    units = units_of(sample, None, None, deployed=side == "deployed")
    nothing = np.zeros((len(sample), 0))
    return Embedding(
        summaries=summaries,
        summary_names=names,
        outputs=nothing,
        states=nothing,
        member=np.zeros(len(sample), np.int64),
        groups=units.groups,
        has_logits=False,
        unit=units.unit,
    )


def _names(given: Any, sample: Embedding | ndarray, what: str) -> tuple[str, ...] | None:
    if isinstance(sample, Embedding):
        return sample.summary_names if what == "columns" else None
    return column_names(given)


def _places(names: tuple[str, ...], wanted: tuple[str, ...], what: str) -> list[int]:
    """Where the columns are that the other side has, in its order."""
    if sorted(names) != sorted(wanted) or len(set(names)) < len(names):
        strangers = sorted(set(names) ^ set(wanted)) or ["a name twice"]
        raise DataError(f"{what} need the same names on both sides, once each, got {strangers[0]!r} on one of them")
    return [names.index(name) for name in wanted]
