"""TensorBoard shows what the histories say, once, also of training that was resumed."""

import importlib.util
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_lockstep import NET, RECIPE, Data, overfitting, same_bits

from throughtime.errors import MissingDependencyError, ParameterError, StorageWarning
from throughtime.training import GroupState, Member, Observer, TensorBoard, Trained, train

needs_tensorboard = pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs tensorboard")


class Kept(Observer):
    def __init__(self) -> None:
        self.states: list[GroupState] = []

    def on_epoch(self, state: GroupState) -> None:
        self.states.append(state.copy())


def company(data: Data) -> list[Member]:
    return [data.member(np.arange(7, 20), seed=2, max_epochs=4), overfitting(data, seed=3, max_epochs=2)]


def logged(board: TensorBoard, state: GroupState | None = None) -> tuple[list[Trained], list[GroupState]]:
    data, kept = Data(), Kept()
    return train(NET, RECIPE, data.inputs, company(data), observers=[board, kept], state=state), kept.states


def shown(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every point, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(directory)).Reload()
    return {tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def said(trained: Trained) -> dict[str, list[tuple[int, Any]]]:
    records = [asdict(record) for record in trained.history]
    return {
        name: [(record["epoch"], np.float32(record[name])) for record in records]
        for name, value in records[0].items()
        if name != "epoch" and value is not None
    }


@needs_tensorboard
def test_a_member_has_a_run_with_every_number_of_its_history(tmp_path):
    trained, _ = logged(TensorBoard(tmp_path / "board", [{"seed": 2, "fold": "a/../b"}, {"seed": 3}]))
    assert shown(tmp_path / "board" / "0-seed=2-fold=a_.._b") == said(trained[0])
    assert shown(tmp_path / "board" / "1-seed=3") == said(trained[1])
    data = Data()
    plain = train(NET, RECIPE, data.inputs, company(data))
    assert all(same_bits(one, other) for one, other in zip(trained, plain, strict=True))


@needs_tensorboard
@pytest.mark.parametrize("heard", [True, False], ids=["resumed", "from a state"])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_resumed_run_shows_no_point_twice(epoch, heard, tmp_path, monkeypatch):
    from tensorboard.summary.writer import event_file_writer

    # what is written last ends in 10 and 11, and what was before in 6 to 9
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(6))
    trained, states = logged(TensorBoard(tmp_path))
    again = TensorBoard(tmp_path)
    if heard:
        again.on_resume(states[epoch - 1])
    logged(again, states[epoch - 1])
    assert [shown(tmp_path / str(place)) for place in (0, 1)] == list(map(said, trained))


@needs_tensorboard
def test_a_run_that_begins_anew_replaces_what_was_shown(tmp_path):
    logged(TensorBoard(tmp_path))
    trained, _ = logged(TensorBoard(tmp_path))
    assert shown(tmp_path / "0") == said(trained[0])


@needs_tensorboard
def test_points_of_a_clock_ahead_are_said(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / f"events.out.tfevents.{time.time() + 3600:.0f}.elsewhere.1.0").touch()
    with pytest.warns(StorageWarning, match="set the clock, or remove the directory"):
        logged(TensorBoard(tmp_path))


@needs_tensorboard
def test_a_member_without_a_name_ends_the_training(tmp_path):
    with pytest.raises(ParameterError, match="one for each member, got 1 and a member at 1"):
        logged(TensorBoard(tmp_path, [{}]))


def test_without_the_package_the_cure_is_named(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"pip install throughtime\[tracking\]"):
        TensorBoard(tmp_path)
