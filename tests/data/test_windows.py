"""Windows hold what their series hold, know where they are from, and cost the memory of the values once."""

import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data import Columns, Dataset, Sequences, concatenate, load, read
from throughtime.errors import DataError, DataWarning, ParameterError

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def recordings(lengths: list[int], target: str = "label", *, groups: bool = False) -> Dataset:
    """Series of distinct values, with all that a data set may bring."""
    n, rng = len(lengths), np.random.default_rng(0)
    flat = np.arange(2.0 * sum(lengths)).reshape(-1, 2)
    edges = np.cumsum([0, *lengths])
    times = np.concatenate([np.arange(length) + 1000.0 * k for k, length in enumerate(lengths)])
    labels = np.array([f"g{k % 2}" for k in range(n)]) if groups else None
    X = Sequences(flat, edges, times=times, groups=labels, static=rng.normal(size=(n, 3)), channel_names=["a", "b"])
    steps = Sequences(rng.normal(size=(sum(lengths), 1)), edges, times=times, groups=X.groups, channel_names=["y"])
    y = {"label": np.arange(n), "step": steps, "none": None}[target]
    return Dataset(X, y, tuple(f"r{k}" for k in range(n)), "made", "made", X.groups, "y")


def places(length_of_series: int, length: int, stride: int, *, by_step: bool) -> list[tuple[int, int]]:
    """Own steps of every window, by a plain loop."""
    found: list[tuple[int, int]] = []
    begin = 0
    while begin < length_of_series and (begin + length <= length_of_series or by_step):
        found.append((begin, min(begin + length, length_of_series)))
        if begin + length >= length_of_series:
            break
        begin += stride
    return found


@pytest.mark.filterwarnings("ignore::throughtime.errors.DataWarning")
@given(
    lengths=LENGTHS,
    length=st.integers(1, 8),
    stride=st.integers(1, 10),
    history=st.integers(0, 6),
    target=st.sampled_from(["label", "step", "none"]),
    groups=st.booleans(),
)
def test_windows_bring_all_that_their_series_have(
    lengths: list[int], length: int, stride: int, history: int, target: str, groups: bool
) -> None:
    whole = recordings(lengths, target, groups=groups)
    by_step = target == "step"
    history = history if by_step and stride >= length else 0
    if max(lengths) < length:
        with pytest.raises(DataError, match=rf"\(--window\) needs a series of at least {length} steps, the longest"):
            whole.windows(length, stride, history=history)
        return
    cut = whole.windows(length, stride, history=history)
    expected = [(k, *own) for k, n in enumerate(lengths) for own in places(n, length, stride, by_step=by_step)]
    assert len(cut.X) == len(expected) == len(cut.ids)
    assert cut.X.buffer is whole.X.buffer
    assert (cut.X.channel_names, cut.series_ids, cut.target) == (("a", "b"), whole.ids, "y")
    assert cut.columns == replace(whole.columns, window=length, stride=stride, history=history)
    source = cut.X.source
    assert source is not None
    assert whole.X.times is not None
    assert whole.X.static is not None
    assert cut.X.static is not None
    for row, (series, begin, end) in enumerate(expected):
        lead = max(0, begin - history)
        np.testing.assert_array_equal(cut.X[row], whole.X[series][lead:end])
        np.testing.assert_array_equal(cut.X.times_of(row), whole.X.times_of(series)[lead:end])  # type: ignore[index]
        np.testing.assert_array_equal(cut.X.static[row], whole.X.static[series])
        assert (source.series[row], source.begins[row], source.history[row]) == (series, lead, begin - lead)
        assert cut.ids[row] == f"r{series}[{begin}:{end}]"
        if cut.groups is None:
            assert len(lengths) == 1
            assert not groups
        else:
            assert cut.groups[row] == (f"g{series % 2}" if groups else f"r{series}")
        if isinstance(cut.y, Sequences):
            assert isinstance(whole.y, Sequences)
            own = np.concatenate([np.full((begin - lead, 1), np.nan), whole.y[series][begin:end]])
            np.testing.assert_array_equal(cut.y[row], own)
            np.testing.assert_array_equal(cut.y.times_of(row), cut.X.times_of(row))
        elif cut.y is not None:
            assert cut.y[row] == series
    assert (cut.X.groups is None) == (cut.groups is None)
    if cut.groups is not None:
        np.testing.assert_array_equal(cut.X.groups, cut.groups)
        if isinstance(cut.y, Sequences):
            np.testing.assert_array_equal(cut.y.groups, cut.groups)
    if by_step and stride <= length:  # every step is a target, with stride == length once
        assert isinstance(cut.y, Sequences)
        n_targets = np.count_nonzero(~np.isnan(cut.y.values))
        assert n_targets >= sum(lengths)
        assert n_targets == sum(lengths) or stride < length


@given(lengths=LENGTHS, data=st.data())
def test_selections_casts_and_windows_of_windows_point_at_the_first_series(lengths: list[int], data: Any) -> None:
    X = Sequences(np.arange(2.0 * sum(lengths)).reshape(-1, 2), np.cumsum([0, *lengths]))
    assert X.source is None
    windows = X.windows(data.draw(st.integers(1, max(lengths))), data.draw(st.integers(1, 3)))
    rows = data.draw(st.lists(st.integers(0, len(windows) - 1), min_size=1, max_size=6))
    inner = windows[rows].windows(int(windows.lengths[0]) if windows.lengths[0] == 1 else 2, 1)
    variants = [windows[rows], windows[rows][::-1], inner, windows.astype(np.float32), windows.packed()]
    variants += [windows.take_channels([1]), windows.replace(groups=np.zeros(len(windows))), windows.to_train_in("f4")]
    variants += [pickle.loads(pickle.dumps(inner)), concatenate([windows[rows], inner])]
    for found in variants:
        assert found.source is not None
        for row, (series, begin) in enumerate(zip(found.source.series, found.source.begins, strict=True)):
            np.testing.assert_array_equal(found[row][:, -1], X[series][begin : begin + found.lengths[row], -1])
            assert found.source.history[row] == 0


def test_joined_windows_of_different_series_are_of_different_series() -> None:
    X, other = (Sequences(np.arange(k, k + 20.0)[:, None], [0, 10, 20]) for k in (0, 50))
    for parts, want in (
        ([X.windows(5, 5), other.windows(5, 5)], [0, 0, 1, 1, 2, 2, 3, 3]),
        ([X[:1].windows(5, 5), X[1:].windows(5, 5)], [0, 0, 1, 1]),
        ([X.windows(5, 5), X.windows(10)], [0, 0, 1, 1, 0, 1]),
    ):
        source = concatenate(parts).source
        assert source is not None
        assert source.series.tolist() == want
    assert concatenate([X.windows(5), X]).source is None


def test_history_that_a_window_has_is_history_in_its_windows() -> None:
    X = Sequences(np.arange(12.0)[:, None], [0, 12])
    outer = X.windows(4, 4, history=3)
    assert outer.source is not None
    assert outer.source.history.tolist() == [0, 3, 3]
    inner = outer[[1]].windows(2, 2, history=1)
    assert inner.source is not None
    own = inner.without_history()
    np.testing.assert_array_equal(inner.source.begins, [1, 2, 4])
    np.testing.assert_array_equal(own.values[:, 0], [np.nan, np.nan, np.nan, np.nan, 4, np.nan, 5, 6])


def test_a_million_windows_hold_the_values_once() -> None:
    n, length = 1_000_127, 128
    X = Sequences(np.zeros((n, 3), np.float32), [0, n], times=np.arange(n))
    tracemalloc.start()
    try:
        windows = X.windows(length)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(windows) == 1_000_000
    assert windows.buffer is X.buffer
    assert windows._times is X._times
    source = windows.source
    assert source is not None
    indices = [windows.starts, windows.lengths, source.series, source.begins, source.history]
    assert sum(part.nbytes for part in indices) == 40_000_000  # where 128 steps of 3 channels would be 1.5 GB
    assert held < 41_000_000


CHANGING = st.lists(st.lists(st.sampled_from(["sit", "walk", None]), min_size=3, max_size=14), min_size=1, max_size=3)


@pytest.mark.filterwarnings("ignore::throughtime.errors.DataWarning")
@given(recorded=CHANGING, length=st.integers(1, 4), stride=st.integers(1, 5), kind=st.sampled_from([str, int]))
def test_a_window_has_the_label_that_all_of_its_steps_have(
    recorded: list[list[str | None]], length: int, stride: int, kind: type
) -> None:
    words = {"sit": "sit" if kind is str else 3, "walk": "walk" if kind is str else 8, None: None}
    rows = [(f"r{k}", words[label]) for k, labels in enumerate(recorded) for label in labels]
    table = pd.DataFrame(rows, columns=["id", "label"]).assign(x=np.arange(len(rows)))
    table["label"] = table["label"].astype("Int64" if kind is int else "str")
    expected = []
    changing = any(len({*labels} - {None}) > 1 for labels in recorded)
    for k, labels in enumerate(recorded):
        known = {*labels} - {None}
        if not known:
            continue  # a series without a target
        for begin in range(0, len(labels) - length + 1, stride):
            steps = known if len(known) == 1 else {*labels[begin : begin + length]}
            if len(steps) == 1 and None not in steps:
                expected.append((f"r{k}[{begin}:{begin + length}]", words[next(iter(steps))]))
    options: dict[str, Any] = {"id": "id", "target": "label", "channels": ["x"], "target_kind": "series"}
    options |= {"window": length, "stride": stride}
    if not expected:
        message = r"a value in some series|a series of at least|all have the same label, got none of \d+;"
        with pytest.raises(DataError, match=message):
            read(table, **options)
        return
    data = read(table, **options)
    assert [*zip(data.ids, data.y.tolist(), strict=True)] == expected  # type: ignore[union-attr]
    assert data.step_labels is None
    assert data.columns.target_kind == "series"
    assert all(np.diff(x[:, 0]).sum() == length - 1 for x in data.X)
    later = read(table, **options, require_target=False)  # what is to be predicted has all windows
    assert len(later.X) == sum(len(range(0, len(labels) - length + 1, stride)) for labels in recorded)
    assert changing <= (later.y is None)


def test_windows_across_a_change_are_counted_and_labels_need_windows(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": np.arange(12.0), "label": ["a"] * 5 + ["b"] * 7})
    with pytest.warns(
        DataWarning, match=r"^1 of 4 windows has steps of several labels, or without one, and is left out$"
    ):
        assert read(table, target="label", window=3).y.tolist() == ["a", "b", "b"]  # type: ignore[union-attr]
    with pytest.raises(
        DataError, match=r"got a and b in series 's'; text .*; a window \(--window\) has the label of its"
    ):
        read(table.assign(s="s"), id="s", target="label")
    with pytest.raises(DataError, match=r"^table: history \(--history 2\) needs a target at each step, got labels$"):
        read(table, target="label", window=3, history=2)
    with pytest.raises(DataError, match=r"^own_past needs a target at each step"):
        read(table, target="label", channels=["x"], window=3, own_past=True)
    for name in ("one", "two"):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    with pytest.warns(DataWarning, match="^2 of 8 windows have steps"):
        assert len(read(tmp_path, target="label", window=3).X) == 6


@pytest.mark.parametrize("touching", [False, True])
@pytest.mark.filterwarnings("ignore::throughtime.errors.DataWarning")
@given(
    lengths=LENGTHS, length=st.integers(1, 8), stride=st.integers(1, 10),
    chosen=st.sets(st.integers(0, 30), min_size=1), again=st.booleans(),
)  # fmt: skip
def test_stretches_hold_each_step_of_the_windows_once(
    touching: bool, lengths: list[int], length: int, stride: int, chosen: set[int], again: bool
) -> None:
    whole = recordings(lengths, groups=True).X
    if max(lengths) < length:
        return
    windows = whole.windows(length, stride)
    some = windows[[at % len(windows) for at in sorted(chosen, reverse=True)]]
    if again:
        some = concatenate([some, windows[:1]])
    source = some.source
    assert source is not None
    steps: dict[int, set[int]] = {}
    joined: set[tuple[int, int]] = set()  # steps that a stretch holds together with the one before
    for series, begin, n in zip(source.series.tolist(), source.begins.tolist(), some.lengths.tolist(), strict=True):
        steps.setdefault(series, set()).update(range(begin, begin + n))
        joined |= {(series, step) for step in range(begin + 1, begin + n)}
    expected = []
    for series in sorted(steps):
        for step in sorted(steps[series]):
            if (series, step) in joined or (touching and step - 1 in steps[series]):
                expected[-1][2] += 1
            else:
                expected.append([series, step, 1])
    found = some.stretches(touching=touching)
    assert found.source is not None
    assert np.column_stack([found.source.series, found.source.begins, found.lengths]).tolist() == expected
    assert found.buffer is whole.buffer
    assert (found.groups, found.static) == (None, None)
    for row, (series, begin, n) in enumerate(expected):
        np.testing.assert_array_equal(found[row], whole[series][begin : begin + n])
        np.testing.assert_array_equal(found.times_of(row), whole.times_of(series)[begin : begin + n])  # type: ignore[index]
    assert whole.stretches() is whole


def test_windows_that_were_copied_one_by_one_are_their_own_stretches() -> None:
    windows = recordings([12]).X.windows(4, 2)
    assert windows.packed().stretches().lengths.tolist() == [4] * 5
    assert len(windows[[]].stretches()) == 0


def test_targets_of_history_alone_are_copied() -> None:
    data = recordings([12, 7], "step")
    plain, with_history = data.windows(4), data.windows(4, history=3)
    assert isinstance(data.y, Sequences)
    assert isinstance(plain.y, Sequences)
    assert isinstance(with_history.y, Sequences)
    assert plain.y.buffer is data.y.buffer
    assert with_history.X.buffer is data.X.buffer
    assert with_history.y.buffer.shape == (with_history.X.n_steps, 1)
    assert not np.isnan(data.y.values).any()


def test_the_steps_that_fill_no_window_are_said_once() -> None:
    with pytest.warns(DataWarning, match=r"^1 of 3 series is shorter than a window of 5 steps and left out; with the "):
        recordings([11, 3, 6]).windows(5)
    with pytest.warns(DataWarning, match=r"^2 steps at the ends of series are too few for a window of 5 and left out$"):
        recordings([11, 6]).windows(5)
    recordings([9, 5]).windows(5, 10)  # what lies between windows was left out on purpose
    recordings([11, 3, 6], "step").windows(5)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"window": 0}, r"a window \(--window\) needs at least 1 step, got 0"),
        ({"window": -3}, r"a window \(--window\) needs at least 1 step, got -3"),
        ({"window": "12"}, r"a window \(--window\) needs a whole number of steps, got '12'"),
        ({"window": True}, r"a window \(--window\) needs a whole number of steps, got True"),
        ({"window": 2.0}, r"a window \(--window\) needs a whole number of steps, got 2.0"),
        ({"window": 4, "stride": 0}, r"stride \(--stride\) needs at least 1 step, got 0"),
        ({"window": 4, "stride": "x"}, r"stride \(--stride\) needs a whole number of steps, got 'x'"),
        ({"window": 4, "history": -1}, r"history \(--history\) needs at least 0 steps, got -1"),
        ({"window": 4, "history": None}, r"history \(--history\) needs a whole number of steps, got None"),
        ({"stride": 4}, r"stride \(--stride\) needs a window \(--window\), got none"),
        ({"history": 4}, r"history \(--history\) needs a window \(--window\), got none"),
        (
            {"window": 4, "stride": 3, "history": 1},
            r"needs a stride \(--stride\) of at least the window's 4 steps, .* 3",
        ),
    ],
)
def test_a_window_that_is_none_is_refused_by_name(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        read("gunpoint", **asked)
    data = recordings([12], "step")
    if "window" in asked:
        with pytest.raises(ParameterError, match=message):
            data.windows(asked["window"], asked.get("stride"), history=asked.get("history", 0))
        if isinstance(asked.get("stride"), int):
            with pytest.raises(ParameterError, match=message):
                data.X.windows(asked["window"], asked["stride"], history=asked.get("history", 0))


@pytest.mark.parametrize(("target", "got"), [("label", "one per series"), ("none", "none")])
def test_history_needs_a_target_at_each_step(target: str, got: str) -> None:
    with pytest.raises(DataError, match=rf"history \(--history 2\) needs a target at each step, got {got}"):
        recordings([9], target).windows(3, history=2)


def test_windows_are_cut_once() -> None:
    with pytest.raises(DataError, match="windows needs whole series, got windows of 4 steps of made"):
        recordings([8]).windows(4).windows(2)


def test_cut_refuses_a_history_that_leaves_no_step() -> None:
    X = recordings([8]).X
    for history in ([3], [-1]):
        with pytest.raises(ParameterError, match="cut needs a history shorter than each piece"):
            X.cut([0], [2], [5], history=history)
    with pytest.raises(ParameterError, match="cut needs parts of one length"):
        X.cut([0], [2], [5], history=[1, 1])


def table(n: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"t": np.arange(n), "x": rng.normal(size=n), "y": rng.normal(size=n)})


@pytest.mark.parametrize("kind", ["frame", "csv", "parquet"])
def test_a_table_without_an_id_is_one_series_of_windows(kind: str, tmp_path: Path) -> None:
    rows, path = table(), tmp_path / f"river.{kind}"
    if kind == "csv":
        rows.to_csv(path, index=False)
    if kind == "parquet":
        rows.to_parquet(path)
    source: Any = rows if kind == "frame" else path
    name = "table" if kind == "frame" else "river"
    data = read(source, time="t", target="y", window=6, history=3)
    assert data.ids == tuple(f"{name}[{begin}:{min(begin + 6, 20)}]" for begin in (0, 6, 12, 18))
    assert data.series_ids == (name,)
    assert data.groups is None
    assert isinstance(data.y, Sequences)
    np.testing.assert_array_equal(data.y.values[~np.isnan(data.y.values)], rows["y"])
    with pytest.raises(DataError, match=r"needs the column that tells series apart.*window= \(--window\) cuts a table"):
        read(source, time="t", target="y")
    with pytest.raises(DataError, match=rf"{name}.*needs a series of at least 21 steps, the longest has 20"):
        read(source, time="t", target="y", window=21)


def test_every_kind_of_source_is_read_as_windows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", X=rng.normal(size=(3, 10, 2)), y=[0, 1, 1], ids=["p", "q", "r"])
    (tmp_path / "files").mkdir()
    for name in ("p", "q"):
        table(10).to_csv(tmp_path / "files" / f"{name}.csv", index=False)
    archive = read(tmp_path / "a.npz", window=5)
    assert isinstance(archive.y, np.ndarray)
    assert archive.y.tolist() == [0, 0, 1, 1, 1, 1]
    assert archive.ids[:2] == ("p[0:5]", "p[5:10]")
    directory = read(tmp_path / "files", time="t", target="y", own_past=True, window=5, history=2)
    assert directory.series_ids == ("p", "q")
    assert directory.X.lengths.tolist() == [5, 7, 5, 7]
    assert not np.isnan(directory.X.values).any()  # the target's own past is an input in the history too
    built_in = read("gunpoint:train", window=50, stride=50)
    assert built_in.X.shape == (3 * 50, 50, 1)
    assert built_in.columns == Columns(window=50, stride=50)


@pytest.mark.parametrize("history", [0, 90, 365])
def test_the_river_has_its_history_as_any_windows_do(history: int) -> None:
    X, y = load("fulda", "train", history=history)
    assert X.source is not None
    assert isinstance(y, Sequences)
    assert (X.source.history == history).all()
    own = np.concatenate([np.arange(n) >= history for n in X.lengths])
    np.testing.assert_array_equal(np.isnan(y.values[:, 0]), ~own)
