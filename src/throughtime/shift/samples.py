"""Two samples in any of their forms, with the same columns: embeddings, series, data frames, arrays, lists."""

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from throughtime.data import Sequences, column_names
from throughtime.errors import DataError
from throughtime.shift.arguments import as_array
from throughtime.shift.embedding import check_summaries, units_of
from throughtime.shift.records import Embedding
from throughtime.shift.summaries import filled, summarize


class TwoSamples(NamedTuple):
    """Embeddings or arrays, with a row per series; and the names of the columns, where either side has some."""

    reference: Embedding | ndarray
    deployed: Embedding | ndarray
    names: tuple[str, ...] | None


def samples_of(reference: Any, deployed: Any, what: str) -> TwoSamples:
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
    one = _sample(reference, what, "reference", None)
    other = _sample(deployed, what, "deployed", one)
    if what == "columns" and isinstance(one, Embedding) and isinstance(other, Embedding):
        check_summaries(one, other)
    names, others = _names(reference, one, what), _names(deployed, other, what)
    if names is None or others is None or names == others:
        return TwoSamples(one, other, names or others)
    if not isinstance(other, Embedding):
        return TwoSamples(one, np.take(other, _places(others, names, what), axis=1), names)
    assert not isinstance(one, Embedding)  # or both are, with the same names
    return TwoSamples(np.take(one, _places(names, others, what), axis=1), other, others)


def _sample(sample: Any, what: str, side: str, known: Embedding | ndarray | None) -> Embedding | ndarray:
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
    # Where a channel of a series has no value it gets the reference's mean, of which no shift follows.
    usual = known.summaries if isinstance(known, Embedding) and known.summary_names == names else summaries
    return Embedding(
        summaries=filled(summaries, usual),
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
