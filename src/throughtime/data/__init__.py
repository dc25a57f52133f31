"""Ragged sequences, what turns into them, the readers of files, and the data sets that need no download."""

from throughtime.data.conversion import Layout, as_sequences, as_targets
from throughtime.data.sequences import Sequences, concatenate

__all__ = ["Layout", "Sequences", "as_sequences", "as_targets", "concatenate"]
