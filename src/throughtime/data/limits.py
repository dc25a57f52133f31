"""What a source may cost."""

from throughtime.errors import DataError

BUDGET = 4 * 2**30
"""Bytes of memory that reading one source may take at its peak, whatever it claims itself."""
VALUE = 8
"""Bytes in which a value is held at most, whatever it takes in a file."""


def refuse_beyond_budget(needed: int, what: str, cure: str = "") -> None:
    """Refuse a source that needs more memory than `BUDGET`.

    ``cure`` is said before the one that all have: parts.

    Raises
    ------
    DataError
        "<what> needs at most BUDGET bytes of memory, got ``needed``", and the cure.
    """
    if needed > BUDGET:
        raise DataError(
            f"{what} needs at most {BUDGET} bytes of memory to be read, got {needed}; "
            f"{cure}read parts of whole series, which throughtime.data.concatenate([read(part).X, ...]) joins"
        )
