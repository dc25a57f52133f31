"""Jobs: independent, in order, and the same whoever runs them."""

import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_lockstep import CHANNELS, CLASSES, NET, RECIPE, Data, same_bits

from throughtime.errors import ParameterError
from throughtime.nn import FactoryNetwork
from throughtime.training import EpochReports, Executor, GroupState, Job, Observer, Trained, shown, train, train_jobs


def jobs_of(data: Data) -> list[Job]:
    """Jobs of other networks, paths and sizes."""
    two_layers = replace(NET, num_layers=2)
    return [
        Job(NET, RECIPE, data.inputs, [data.member(seed=seed, max_epochs=3) for seed in (1, 2)]),
        Job(two_layers, RECIPE, data.inputs, [data.member(seed=3, dropout=0.4, max_epochs=2)]),
        Job(replace(NET, cell="lstm"), RECIPE, data.inputs, [data.member(seed=s, max_epochs=2) for s in (4, 5, 6)]),
    ]


def same(some: list[list[Trained]], others: list[list[Trained]]) -> bool:
    return [len(one) for one in some] == [len(one) for one in others] and all(
        same_bits(one, other)
        for job, same_job in zip(some, others, strict=True)
        for one, other in zip(job, same_job, strict=True)
    )


def one_by_one(jobs: list[Job]) -> list[list[Trained]]:
    return [train(job.net, job.recipe, job.inputs, job.members) for job in jobs]


def test_jobs_give_what_train_gives_in_order():
    jobs = jobs_of(Data())
    assert same(list(train_jobs(jobs)), one_by_one(jobs))
    assert list(train_jobs([])) == []


def test_a_job_begins_when_the_one_before_has_been_taken():
    class Counts(Observer):
        def __init__(self) -> None:
            self.networks: list[int] = []

        def on_epoch(self, state: GroupState) -> None:
            self.networks.append(len(state.members))

    counts = Counts()
    results = train_jobs(jobs_of(Data()), observers=[counts])
    assert counts.networks == []
    next(results)
    assert counts.networks == [2] * 3
    next(results)
    assert counts.networks == [2] * 3 + [1] * 2


def test_members_are_counted_through_all_jobs_unless_they_have_places():
    seen = []

    class Places(Observer):
        def on_epoch(self, state: GroupState) -> None:
            seen.append([member.place for member in state.members])

    jobs = [replace(job, members=[replace(m, max_epochs=1) for m in job.members]) for job in jobs_of(Data())]
    list(train_jobs(jobs, observers=[Places()]))
    assert seen == [[0, 1], [2], [3, 4, 5]]
    seen.clear()
    list(train_jobs([replace(jobs[0], places=[8, 5]), jobs[1]], observers=[Places()]))
    assert seen == [[8, 5], [2]]


@pytest.mark.parametrize(
    ("executor", "given"), [(3, "3"), (ThreadPoolExecutor, "the class ThreadPoolExecutor"), ("threads", "'threads'")]
)
@pytest.mark.usefixtures("types_unchecked")
def test_what_is_no_executor_is_refused(executor, given):
    with pytest.raises(ParameterError, match=f"^executor needs an object with map, .* got {given}$"):
        train_jobs(jobs_of(Data()), executor=executor)


def test_a_job_goes_on_from_its_state():
    (job, *_) = jobs_of(Data())
    states = []

    class Keeps(Observer):
        def on_epoch(self, state: GroupState) -> None:
            states.append(state.copy())

    whole = list(train_jobs([job], observers=[Keeps()]))
    assert same(list(train_jobs([replace(job, state=states[0])])), whole)


def test_an_executor_is_handed_every_job():
    class Reversed:
        """Runs the last job first."""

        def map(self, work, jobs):
            return iter([work(job) for job in list(jobs)[::-1]][::-1])

    assert isinstance(Reversed(), Executor)
    jobs = jobs_of(Data())
    assert same(list(train_jobs(jobs, executor=Reversed())), one_by_one(jobs))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.usefixtures("either_path")
def test_threads_change_no_bit_and_leave_torchs_as_they_were(count, threads):
    data = Data(torch.float32)
    jobs = [replace(job, recipe=replace(RECIPE, dtype=torch.float32)) for job in jobs_of(data)] * 2
    expected = one_by_one(jobs)
    threads(count)
    with ThreadPoolExecutor(3) as pool:
        assert same(list(train_jobs(jobs, executor=pool)), expected)
        # threads that came in while others were inside have their number (`one_thread`)
        assert {pool.submit(torch.get_num_threads).result() for _ in range(6)} == {count}
    assert torch.get_num_threads() == count


def with_dropout(channels: int, outputs: int) -> torch.nn.Module:
    """A network of a user's own: its weights come from torch's generator, its masks from members' keys."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = torch.nn.Linear(channels, 5)
            self.dropout = torch.nn.Dropout(0.5)
            self.readout = torch.nn.Linear(5, outputs)

        def forward(self, x: torch.Tensor, _lengths: torch.Tensor) -> torch.Tensor:
            return self.readout(self.dropout(self.hidden(x).tanh()).sum(1))

    return Net()


def test_a_network_of_ones_own_keeps_its_bits_in_threads_too():
    data, net = Data(), FactoryNetwork(with_dropout, CHANNELS, CLASSES, "last")
    evaluated = data.sample(np.arange(20))  # which alternates between training and evaluation
    jobs = [Job(net, RECIPE, data.inputs, [data.member(seed=seed, eval=evaluated, max_epochs=6)]) for seed in range(6)]
    expected = one_by_one(jobs)
    with ThreadPoolExecutor(3) as pool:
        assert same(list(train_jobs(jobs, executor=pool)), expected)


class Terminal(io.StringIO):
    """A screen that a person looks at, or a log."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


@pytest.mark.parametrize("tty", [False, True], ids=["lines", "bar"])
def test_two_runs_in_two_threads_each_show_their_progress_and_keep_their_bits(tty, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    data = Data()
    jobs = jobs_of(data)[:2]
    expected = one_by_one(jobs)
    both_inside = threading.Barrier(2)

    class Meets(Observer):
        """Lets neither run end before the other has begun."""

        def on_epoch(self, state: GroupState) -> None:
            if state.epoch == 1:
                both_inside.wait(30)

    def shown_run(title: str, job: Job) -> list[Trained]:
        with shown(title, True) as report:
            assert report is not None
            observers = [EpochReports(report), Meets()]
            return train(job.net, job.recipe, job.inputs, job.members, observers=observers)

    terminal = Terminal(tty)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(shown_run, ("first run", "second run"), jobs))
    assert same(results, expected)
    for title, last in (("first run", "epoch 3/3"), ("second run", "epoch 2/2")):
        assert title in terminal.getvalue()
        assert last in terminal.getvalue()
    if not tty:  # a log has a line of each, whole
        lines = sorted(terminal.getvalue().splitlines())
        assert [line[: line.index(", loss")] for line in lines] == ["first run: epoch 3/3", "second run: epoch 2/2"]


@pytest.fixture
def restless():
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_reports_of_runs_side_by_side_are_told_apart_and_come_one_at_a_time():
    data = Data()
    jobs = jobs_of(data) * 2
    inside, reports = threading.Lock(), []

    def report(progress) -> None:
        assert inside.acquire(blocking=False)
        reports.append(progress)
        sum(range(20_000))  # long enough for another to come in
        inside.release()

    with ThreadPoolExecutor(3) as pool:
        list(train_jobs(jobs, observers=[EpochReports(report, len(jobs))], executor=pool))
    epochs = {run: [one.epoch for one in reports if one.run == run] for run in range(1, 7)}
    assert sorted(map(len, epochs.values())) == [2, 2, 2, 2, 3, 3]
    for own in epochs.values():
        assert own == list(range(1, len(own) + 1))
    assert {one.runs for one in reports} == {6}
    np.testing.assert_array_equal(sorted(one.run for one in reports if one.running == 0), np.arange(1, 7))
