"""Scores of baselines, kept in a file as each is scored, so that a study that goes on need not train them again."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from throughtime import storage
from throughtime.errors import StorageError, StorageWarning, warn
from throughtime.storage import json_from_bytes, json_to_bytes, seal, typed, unseal
from throughtime.study.scores import ModelScores

_INFINITE = {"inf": math.inf, "-inf": -math.inf}


class KeptBaselines:
    """Scores of baselines by their names, in a file or, where ``path`` is ``None``, nowhere.

    A file that is damaged is as good as none: the baselines are scored again.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, ModelScores] = {}
        if path is None or not path.exists():
            return
        try:
            content = bytes(unseal(path.read_bytes(), str(path))[1])
            found = typed(json_from_bytes(content, str(path)), list[dict[str, Any]], str(path), "scores of baselines")
            self._known = {scores["name"]: _scores(scores) for scores in found}
        except (StorageError, OSError, KeyError, TypeError) as error:
            warn(f"{error}; baselines are scored again", StorageWarning)

    def get(self, name: str) -> ModelScores | None:
        """The scores of a baseline, if they are kept."""
        return self._known.get(name)

    def keep(self, scores: ModelScores) -> None:
        """Keep the scores of one more.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        self._known[scores.name] = scores
        if self._path is not None:
            with storage.refusals_named(self._path):
                self._path.parent.mkdir(exist_ok=True)
            plain = json_to_bytes([_plain(asdict(scores)) for scores in self._known.values()])
            storage.write_file(self._path, seal({}, plain))


def _scores(plain: Mapping[str, Any]) -> ModelScores:
    """Scores of what `_plain` gave."""
    return ModelScores(**{name: _numbers(value) for name, value in plain.items()})


def _plain(value: Any) -> Any:
    """The same with infinities as text: JSON has null for them, as for NaN."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if value in _INFINITE.values() else value


def _numbers(value: Any) -> Any:
    if value is None:
        return math.nan
    if isinstance(value, str):
        return _INFINITE.get(value, value)
    if isinstance(value, Mapping):
        return {name: _numbers(part) for name, part in value.items()}
    return [_numbers(part) for part in value] if isinstance(value, list) else value
