"""A trained model as a file of plain torch, which runs without this package."""

import io
from pathlib import Path
from typing import Any

import torch

from throughtime import storage
from throughtime.estimators import SequenceEstimator
from throughtime.export.contents import Contents, contents_of, refuse_streaming
from throughtime.export.torch_source import text_files

#: Kind, in its manifest, of a directory that holds an exported model.
EXPORTED = "export"


def export_torch(estimator: SequenceEstimator, directory: str | Path, *, streaming: bool = False) -> None:
    """Write a fitted estimator as a new directory that torch alone can run.

    ``model.py`` holds the class ``Model``, an ``nn.Module`` from raw values to logits or to numbers in the target's
    own unit, with scaling, masks of missing values, features and class names inside; ``model.pt`` its ``state_dict``,
    ``model.json`` the names of classes and channels, ``README.md`` how to load it, and ``manifest.json`` checksums.

    Parameters
    ----------
    estimator
        A fitted `SequenceClassifier` or `SequenceRegressor`.
    directory
        Must not exist yet.
    streaming
        Whether the model can also go on from a state, a step or more at a time (``Model.start``, ``Model.step``).

    Raises
    ------
    ParameterError
        For what cannot be exported: a network or cell of the user's own; with ``streaming``, layers in both directions
        and summaries, which need the end of a series.
    StorageError
        When the directory exists or cannot be written; nothing is left behind.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from throughtime import SequenceClassifier, export_torch
    >>> X = np.random.default_rng(0).normal(size=(20, 12, 3)).astype("float32")
    >>> model = SequenceClassifier(hidden_size=8, max_epochs=2, random_state=0).fit(X, X[:, :, 0].mean(1) > 0)
    >>> export_torch(model, "exported")
    >>> sorted(path.name for path in Path("exported").iterdir())
    ['README.md', 'manifest.json', 'model.json', 'model.pt', 'model.py']
    """
    contents = contents_of(estimator)
    if streaming:
        refuse_streaming(contents)
    state = {name: torch.from_numpy(weight.copy()) for name, weight in contents.weights.items()}
    state |= {"shift": torch.from_numpy(contents.shift), "scale": torch.from_numpy(contents.scale)}
    if contents.target is not None:
        state["target_mean"] = torch.tensor(contents.target.mean, dtype=torch.float64)
        state["target_scale"] = torch.tensor(contents.target.scale, dtype=torch.float64)
    weights = io.BytesIO()
    torch.save(state, weights)
    files = {"model.pt": weights.getvalue(), "model.json": storage.json_to_bytes(_facts(contents))}
    storage.write_run(Path(directory), files | text_files(contents, streaming), {"kind": EXPORTED})


def _facts(contents: Contents) -> dict[str, Any]:
    """What ``model.json`` holds: names, and what the inputs need to be."""
    return {
        "classes": contents.classes,
        "channels": contents.channels,
        "static": contents.static,
        "known": [contents.channels[number] for number in contents.known],
        "horizon": contents.horizon,
        "clock": contents.clock,
        "missing": "refused" if contents.refuses_missing else "NaN",
    }
