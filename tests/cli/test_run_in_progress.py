"""What is left of a run however its command ends, and what is said of that."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from throughtime import storage, study
from throughtime.cli.command_request import CommandRequest
from throughtime.cli.exit_codes import StoppedError
from throughtime.cli.run_in_progress import RunInProgress, begun, progress_in_words, resumed
from throughtime.errors import DataError, DivergenceError, ParameterError, StorageError
from throughtime.training import CheckpointFacts, Checkpoints

TABLES: Any = {"model": {"lr": 0.1}, "data": {}, "validation": {}}
ASKED = CommandRequest("fit", "data.csv", None, TABLES, {"report": True})
FILES = {"config.json": b"{}"}
MARKS = {"settings": {"cv": 5}, "folds": "x"}


def made(place: Path, act: Callable[[RunInProgress], object]) -> None:
    with begun(place, ASKED, MARKS, {}, 6) as in_progress:
        act(in_progress)


def raises(error: BaseException) -> Callable[[RunInProgress], None]:
    def act(_: RunInProgress) -> None:
        raise error

    return act


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where a run is made, with a name that a shell would take apart; handlers of signals are as before."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield tmp_path / "new" / "a run"
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("error", [DataError("few"), ParameterError("odd"), DivergenceError("all")])
def test_an_error_that_would_come_again_leaves_nothing_of_what_it_began_and_all_of_what_went_before(
    error: Exception, place: Path
) -> None:
    with pytest.raises(type(error), match=f"^{error}$"):
        made(place, raises(error))
    assert not place.parent.exists()
    storage.begin_run(place, ASKED.to_plain() | {"marks": MARKS}, {}).release()
    run = storage.resume_run(place)
    assert isinstance(run, storage.UnfinishedRun)
    with pytest.raises(type(error)), run, resumed(run, MARKS):
        raise error
    assert storage.is_unfinished(place)


def test_an_error_that_may_not_come_again_names_the_command_that_goes_on(place: Path) -> None:
    with pytest.raises(StorageError, match=r"^full; throughtime resume '.*/a run' goes on when that is put right$"):
        made(place, raises(StorageError("full")))
    assert storage.is_unfinished(place)
    assert not storage.is_written_now(place)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_where_no_network_trains_stops_at_once(number: signal.Signals, place: Path) -> None:
    after = []

    def stop(_: RunInProgress) -> None:
        signal.raise_signal(number)
        after.append("went on")

    with pytest.raises(StoppedError) as stopped:
        made(place, stop)
    assert after == []
    assert stopped.value.code == 128 + number
    assert str(stopped.value) == f"stopped, 0 of 6 networks trained; throughtime resume '{place}' goes on"


def test_the_first_signal_waits_for_the_epoch_and_gives_the_exit_code(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Checkpoints, "training", True)
    heard = []

    def twice(_: RunInProgress) -> None:
        signal.raise_signal(signal.SIGINT)
        heard.append(capfd.readouterr().err)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(StoppedError) as stopped:
        made(place, twice)
    assert heard == ["\nstopping at the end of this epoch; once more to stop at once\n"]
    assert stopped.value.code == 130


def test_a_signal_after_the_manifest_says_that_the_run_is_finished(place: Path) -> None:
    def finish(in_progress: RunInProgress) -> None:
        in_progress.run.finish(FILES, {})
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(StoppedError, match=f"^stopped; {place} is finished$") as stopped:
        made(place, finish)
    assert stopped.value.code == 143
    storage.read_run(place)
    other = place.with_name("other")

    def fail(in_progress: RunInProgress) -> None:
        in_progress.run.finish(FILES, {})
        raise StorageError("late")

    with pytest.raises(StorageError, match=r"^late$"):  # there is nothing to go on with
        made(other, fail)


def test_in_another_thread_than_the_main_one_a_run_is_made_without_hearing_signals(place: Path) -> None:
    work = threading.Thread(target=made, args=(place, lambda in_progress: in_progress.run.finish(FILES, {})))
    work.start()
    work.join()
    storage.read_run(place)


@pytest.fixture
def without_study(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A study that has the files above, and a page."""
    monkeypatch.setattr(study, "run_files", lambda _: dict(FILES))
    monkeypatch.setattr(study, "run_facts", lambda _: {})
    monkeypatch.setattr(study, "page_of", lambda *_: b"page")
    return type("Study", (), {"estimator": None})()


def test_a_finished_run_has_its_logs_and_its_page_in_place_of_a_half_made_one(place: Path, without_study: Any) -> None:
    def finish(in_progress: RunInProgress) -> None:
        for name in ("metrics.jsonl", "search.jsonl", study.REPORT):
            (in_progress.run.directory / name).write_text("half")
        in_progress.finish(without_study)

    made(place, finish)
    run = storage.read_run(place)
    found = {name: run.bytes(name) for name in run.manifest.files}
    assert found == FILES | {"metrics.jsonl": b"half", "search.jsonl": b"half", study.REPORT: b"page"}


def test_networks_are_kept_though_their_page_cannot_be_made(
    place: Path, without_study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(study, "page_of", fail)

    def finish(in_progress: RunInProgress) -> None:
        (in_progress.run.directory / study.REPORT).write_text("half")  # of a finish that was killed
        in_progress.finish(without_study)

    with pytest.raises(ZeroDivisionError):
        made(place, finish)
    assert storage.read_run(place).manifest.files.keys() == FILES.keys()


@pytest.mark.parametrize(
    ("groups", "networks", "words"),
    [
        ([], None, "0 networks trained"),
        ([], 1, "0 of 1 network trained"),
        ([(9, 1, 0)], None, "1 network trained"),
        ([(4, 3, 0), (12, 8, 6)], 11, "5 of 11 networks trained, 6 after epoch 12"),
        ([(7, 2, 2), (12, 8, 6), (3, 1, 1)], None, "2 networks trained, 9 after epochs 3 to 12"),
        ([(1, 20, 0)], 11, "20 of 20 networks trained"),  # a diagnosis tries what it sees fit
    ],
)
def test_progress_counts_networks_and_their_epochs(
    groups: list[tuple[int, int, int]], networks: int | None, words: str
) -> None:
    facts = [CheckpointFacts("key", epoch, members, running, {}) for epoch, members, running in groups]
    assert progress_in_words(facts, networks) == words


def test_no_more_than_five_seconds_of_training_are_lost(place: Path) -> None:
    seen = []

    def look(in_progress: RunInProgress) -> None:
        seen.append(in_progress.checkpoints.every)
        in_progress.run.finish(FILES, {})

    made(place, look)
    assert seen == [5.0]
