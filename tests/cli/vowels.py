"""Commands as a person types them, and a small table of labeled series to type them with."""

from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from throughtime.cli.app import app
from throughtime.data import Sequences

COLUMNS = ["--id", "series", "--time", "step", "--target", "label"]


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def long_table(X: Sequences, labels: np.ndarray) -> pd.DataFrame:
    """One row per step."""
    rows = pd.DataFrame(X.values, columns=[f"c{k}" for k in range(X.n_channels)])
    rows.insert(0, "series", np.repeat([f"s{k:03d}" for k in range(len(X))], X.lengths))
    rows.insert(1, "step", np.concatenate([np.arange(length) for length in X.lengths]))
    rows["label"] = np.repeat(labels, X.lengths)
    return rows
