"""Ragged sequences, what turns into them, the readers of files, and the data sets that need no download."""

from throughtime.data.catalog import BuiltIn
from throughtime.data.clock import Clock, Spacing, check_even, clock_of, in_words, lacking_in_words
from throughtime.data.conversion import Layout, as_sequences, as_targets
from throughtime.data.dataset import Columns, Dataset, Decimal, TargetKind, Untargeted
from throughtime.data.datasets import available, load, load_dataset
from throughtime.data.description import Description, Spread, Target, describe, is_labels
from throughtime.data.frames import column_names, is_frame
from throughtime.data.moments import weighted_moments
from throughtime.data.readers import READERS, Reader, ReadOptions
from throughtime.data.reading import is_built_in, read, reads_columns
from throughtime.data.reasons import reason
from throughtime.data.rows import SeriesRows, StepRows, steps_within
from throughtime.data.sentinels import Sentinel
from throughtime.data.sequences import Sequences, as_labels, concatenate, kind_of_groups, kind_of_times, unmasked
from throughtime.data.shared_steps import shares_steps
from throughtime.data.tables import from_table
from throughtime.data.windows import WindowSource

__all__ = [
    "READERS",
    "BuiltIn",
    "Clock",
    "Columns",
    "Dataset",
    "Decimal",
    "Description",
    "Layout",
    "ReadOptions",
    "Reader",
    "Sentinel",
    "Sequences",
    "SeriesRows",
    "Spacing",
    "Spread",
    "StepRows",
    "Target",
    "TargetKind",
    "Untargeted",
    "WindowSource",
    "as_labels",
    "as_sequences",
    "as_targets",
    "available",
    "check_even",
    "clock_of",
    "column_names",
    "concatenate",
    "describe",
    "from_table",
    "in_words",
    "is_built_in",
    "is_frame",
    "is_labels",
    "kind_of_groups",
    "kind_of_times",
    "lacking_in_words",
    "load",
    "load_dataset",
    "read",
    "reads_columns",
    "reason",
    "shares_steps",
    "steps_within",
    "unmasked",
    "weighted_moments",
]
