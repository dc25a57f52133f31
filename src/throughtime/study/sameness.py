"""Whether a study that goes on is the one that was begun: its data, its folds, its settings."""

from collections.abc import Mapping
from typing import Any

from numpy import ndarray

from throughtime.data import Dataset
from throughtime.errors import DataError, ParameterError
from throughtime.storage import json_from_bytes, json_to_bytes
from throughtime.study.fingerprint import digest_of, fingerprint_of
from throughtime.study.planning import Plan

#: Of what was asked for, what may be elsewhere.
_PLACES = ("source", "test")
_PARTS = {"targets": "targets, names, lengths or groups", "inputs": "values", "weights": "weights"}


def marks_of_plan(plan: Plan) -> dict[str, Any]:
    """What tells a plan from others, in plain values."""
    return marks_of_data(plan.train, plan.config, plan.sample_weight) | {
        "test": None if plan.test is None else fingerprint_of(plan.test),
        "folds": digest_of(side for split in plan.splits for side in split),
    }


def marks_of_data(train: Dataset, config: Mapping[str, Any], weights: ndarray | None = None) -> dict[str, Any]:
    """What tells data and settings from others, in plain values; without the places of the data."""
    settings = {name: value for name, value in config.items() if name not in _PLACES}
    marks: dict[str, Any] = json_from_bytes(
        json_to_bytes({"train": fingerprint_of(train, weights), "settings": settings})
    )
    return marks


def refuse_other(begun: Mapping[str, Any], now: Mapping[str, Any], run: str) -> None:
    """Refuse to go on with a run when its marks are no longer those that it began with.

    Raises
    ------
    DataError
        For other series, with what differs.
    ParameterError
        For other folds or settings: another version of the package may have other defaults.
    """
    for side in ("train", "test"):
        then, found = begun.get(side) or {}, now.get(side) or {}
        parts = [words for name, words in _PARTS.items() if then.get(name) != found.get(name)]
        if parts:
            series = "training" if side == "train" else "test"
            flag = "source" if side == "train" else "test"
            raise DataError(
                f"{run} needs the {series} series that it was begun with, got other {'; other '.join(parts)}; "
                f"--{flag} says where they are"
            )
    for what, then, found in _differences(begun.get("settings"), now.get("settings"), ""):
        raise ParameterError(f"{run} was begun with {what} {then!r:.60}, got {found!r:.60}; begin another run")
    if begun.get("folds") != now.get("folds"):
        raise ParameterError(f"{run} was begun with other folds than these settings give now; begin another run")


def _differences(then: Any, now: Any, where: str) -> list[tuple[str, Any, Any]]:
    """Where two plain values differ, by names."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        names = dict.fromkeys([*then, *now])
        return [
            found
            for name in names
            for found in _differences(then.get(name), now.get(name), f"{where}.{name}" if where else name)
        ]
    return [] if then == now else [(where or "settings", then, now)]
