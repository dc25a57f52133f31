"""The metric log: what the histories say, live, whole lines alone, and the same file however often training stopped."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_lockstep import NET, RECIPE, Data, N, overfitting

from throughtime.errors import ParameterError, StorageError
from throughtime.training import (
    GroupState,
    Job,
    Member,
    MetricLog,
    Observer,
    Sample,
    Trained,
    read_metric_log,
    train,
    train_jobs,
)

NAMES = [{"seed": 0, "fold": "a"}, {"seed": 0, "fold": "b"}, {"seed": 1, "fold": "a"}]
FIELDS = ["epoch", "lr", "train_loss", "validation_loss", "eval_loss", "gradient_norm", "clipped"]


class Keeps(Observer):
    """States, and what the file has in it when an epoch is over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.states: list[GroupState] = []
        self.files: list[bytes] = []

    def on_epoch(self, state: GroupState) -> None:
        self.states.append(state.copy())
        self.files.append(self.path.read_bytes())


def company(data: Data) -> list[Member]:
    return [
        data.member(seed=1, max_epochs=2, clip_norm=0.3),
        data.member(np.arange(7, 20), seed=2, max_epochs=4),
        overfitting(data, seed=3, max_epochs=3),
    ]


def logged(path: Path, names: Any = NAMES) -> tuple[list[Trained], Keeps]:
    data, kept = Data(), Keeps(path)
    return train(NET, RECIPE, data.inputs, company(data), observers=[MetricLog(path, names), kept]), kept


def go_on(path: Path, state: GroupState, names: Any = NAMES) -> None:
    data = Data()
    train(NET, RECIPE, data.inputs, company(data), observers=[MetricLog(path, names)], state=state)


def said(content: bytes) -> list[bytes]:
    """Lines without their times."""
    return [line.rpartition(b', "time": ')[0] for line in content.splitlines()]


def test_the_log_says_what_the_histories_say_epoch_by_epoch_in_a_fixed_order(tmp_path):
    trained, _ = logged(tmp_path / "log")
    lines = read_metric_log(tmp_path / "log")
    expected = [
        NAMES[m] | asdict(one.history[epoch])
        for epoch in range(4)
        for m, one in enumerate(trained)
        if epoch < len(one.history)
    ]
    assert [{name: value for name, value in line.items() if name != "time"} for line in lines] == expected
    assert {tuple(line) for line in lines} == {("seed", "fold", *FIELDS, "time")}
    times = [datetime.fromisoformat(line["time"]) for line in lines]
    assert times == sorted(times)
    assert {time.utcoffset() for time in times} == {timedelta(0)}


def test_lines_are_there_as_soon_as_their_epoch_is_over(tmp_path):
    trained, kept = logged(tmp_path / "log")
    ended = np.cumsum([sum(len(one.history) > epoch for one in trained) for epoch in range(4)])
    assert [content.count(b"\n") for content in kept.files] == ended.tolist()
    assert all(content.endswith(b"\n") for content in kept.files)


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("lost", [-60, -1, 0, 30, "all"])
def test_a_resumed_log_is_that_of_an_unbroken_run(epoch, lost, tmp_path):
    """A file that ends later than the state, is torn, or lacks lines that the state knows of."""
    path = tmp_path / "log"
    _, kept = logged(path)
    whole, behind = path.read_bytes(), len(kept.files[epoch - 1])
    left = b"" if lost == "all" else whole[: behind + lost]
    path.write_bytes(left)
    go_on(path, kept.states[epoch - 1])
    assert said(path.read_bytes()) == said(whole)
    kept_lines = left[:behind][: left[:behind].rfind(b"\n") + 1]
    assert path.read_bytes().startswith(kept_lines)
    made_again = [line["time"] is None for line in read_metric_log(path)][: kept.files[epoch - 1].count(b"\n")]
    assert made_again == [n >= kept_lines.count(b"\n") for n in range(len(made_again))]


def test_a_group_that_had_ended_has_its_lines_again(tmp_path):
    path = tmp_path / "log"
    _, kept = logged(path)
    whole = path.read_bytes()
    path.unlink()
    MetricLog(path, NAMES).on_resume(kept.states[-1])
    assert said(path.read_bytes()) == said(whole)
    path.write_bytes(whole)
    MetricLog(path, NAMES).on_resume(kept.states[-1])
    assert path.read_bytes() == whole


def test_lines_of_another_training_do_not_stay(tmp_path):
    path = tmp_path / "log"
    logged(path)
    stale = path.read_bytes()
    path.write_bytes(stale.replace(b'"lr": 0.01', b'"lr": 0.02') + b'{"seed": 7, "epoch": 0, "time": null}\nno line\n')
    logged(path)
    assert said(path.read_bytes()) == said(stale)


@pytest.mark.parametrize("threads", [False, True], ids=["in order", "threads"])
def test_groups_share_a_log_and_each_goes_on_from_its_own_state(threads, tmp_path):
    data, path = Data(), tmp_path / "log"
    jobs = [Job(NET, RECIPE, data.inputs, [member]) for member in company(data)]
    kept = Keeps(path)
    list(train_jobs(jobs, observers=[MetricLog(path, NAMES), kept]))
    whole = path.read_bytes()
    # the first had ended, the second had two epochs behind it, the third had not begun
    second = [state for state in kept.states if state.members[0].place == 1][1]
    again = [replace(jobs[1], places=[1], state=second), replace(jobs[2], places=[2])]
    log = MetricLog(path, NAMES)
    log.on_resume(kept.states[1])
    with ThreadPoolExecutor(2) as pool:
        list(train_jobs(again, observers=[log], executor=pool if threads else None))
    content = path.read_bytes()
    assert sorted(said(content)) == sorted(said(whole))
    behind = [line for line in whole.splitlines() if line.startswith(b'{"seed": 0')][:4]
    assert content.splitlines()[:4] == behind


def test_what_is_not_finite_is_null(tmp_path):
    data, path = Data(), tmp_path / "log"
    net, recipe = replace(NET, n_outputs=1), replace(RECIPE, loss="squared_error", optimizer="sgd")
    targets = Sample(np.arange(N), data.classes.astype(np.float64), np.ones(N))
    member = data.member(train=targets, lr=1e160)  # its outputs overflow float64's squares
    (trained,) = train(net, recipe, data.inputs, [member], observers=[MetricLog(path)])
    assert trained.failure is not None
    lines = read_metric_log(path)
    assert lines[-1]["member"] == 0
    assert None in (lines[-1]["train_loss"], lines[-1]["gradient_norm"])
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_torn_last_line_is_left_out_and_another_line_is_named(tmp_path):
    path = tmp_path / "log"
    logged(path)
    content, lines = path.read_bytes(), read_metric_log(path)
    path.write_bytes(content + b'{"seed": 0')
    assert read_metric_log(path) == lines
    path.write_bytes(content[:-1])
    assert read_metric_log(path) == lines[:-1]
    path.write_bytes(content.replace(b'"lr"', b"lr", 1))
    with pytest.raises(StorageError, match=r"line 1 of .*log needs to be JSON"):
        read_metric_log(path)
    path.write_bytes(content + b"[1]\n")
    with pytest.raises(StorageError, match=r"line 10 of .*log needs to end with epoch, .*, time, got b'\[1\]'"):
        read_metric_log(path)
    with pytest.raises(StorageError, match="nowhere could not be read: No such file"):
        read_metric_log(tmp_path / "nowhere")


@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([{"seed": 0}, {"seed": 0}], "each once, got {'seed': 0} for members 0 and 1"),
        ([{"lr": 0.1}], "no field of a metric log, got 'lr'"),
        ({"seed": 0}, "a list of mappings, such as"),
        ([{1: 0}], "mappings with text as keys"),
        ([{"seed": object()}], "values that JSON has, got <object"),
        ([{"seed": float("nan")}], "values that JSON has"),
    ],
)
def test_names_that_do_not_tell_members_apart_are_refused(names, message, tmp_path):
    with pytest.raises(ParameterError, match=f"names needs .*{message}"):
        MetricLog(tmp_path / "log", names)


def test_a_member_without_a_name_ends_the_training(tmp_path):
    with pytest.raises(ParameterError, match="names for each member, got 2 and a member at 2"):
        logged(tmp_path / "log", NAMES[:2])


def test_without_names_members_are_numbered_in_a_new_file(tmp_path):
    logged(tmp_path / "log", None)
    assert {line["member"] for line in read_metric_log(tmp_path / "log")} == {0, 1, 2}
    with pytest.raises(StorageError, match="log exists; remove it, or name the members"):
        MetricLog(tmp_path / "log")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StorageError, match="nowhere/log could not be written"):
        logged(tmp_path / "nowhere" / "log")
    with pytest.raises(StorageError, match="could not be written: No space left"):
        logged_into_full_device()


def logged_into_full_device() -> None:
    log = MetricLog("/dev/full", [{}])
    log._listed = set()  # as if the file had been begun
    data = Data()
    train(NET, RECIPE, data.inputs, [data.member(max_epochs=1)], observers=[log])
