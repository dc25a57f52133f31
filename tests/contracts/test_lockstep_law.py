"""The law of lockstep, through the public door: a member is bit for bit the solo ``fit(X[train], y[train])``.

A seeded sample of odd sizes, cells, data and settings; every case trains up to ten members that differ in all they may
differ in, together and one by one.  ``THROUGHTIME_SOAK=1`` takes ten times as many cases, and fits all
members alone.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from throughtime.data import Sequences
from throughtime.estimators import SequenceClassifier, SequenceRegressor, fit_members, predict_members
from throughtime.kernels import native_available
from throughtime.nn import Scheme

# Checking shapes triples the time, and the packages' own tests do it.
pytestmark = pytest.mark.usefixtures("types_unchecked")

# The short sample holds cases that fail without padding to the lane, sums in order, streams of a member's own, masks of
# its own missing values, or weights of zero that outweigh an overflow: each was taken out once.
SOAK = os.environ.get("THROUGHTIME_SOAK", "") != ""
CASES = range(400) if SOAK else range(60, 100)
#: Members of a case that are fitted alone too; all train in company.
MOST_ALONE = 10 if SOAK else 4
# The plain-torch path takes longer: every third case, and all without the C++ kernels.
PATHS = ("reference", "native", "native") if native_available() else ("reference",)
LEARNED = ("random_state_", "masked_", "by_step_", "n_features_in_", "n_iter_", "best_epoch_")


@dataclass(frozen=True)
class Case:
    """Series, their targets, and members with the series each trains and is tested on."""

    arrays: list[np.ndarray]
    y: Any
    static: np.ndarray | None
    weights: np.ndarray | None
    groups: np.ndarray | None
    members: list[Any]
    train: list[np.ndarray]
    test: list[np.ndarray] = field(repr=False)

    def series(self, rows: np.ndarray | None = None) -> Sequences:
        """Some series in memory of their own, as a caller who knows of no others would have them."""
        rows = np.arange(len(self.arrays)) if rows is None else rows
        static = None if self.static is None else self.static[rows].copy()
        return Sequences.from_arrays([self.arrays[row].copy() for row in rows], static=static)

    def targets(self, rows: np.ndarray) -> Any:
        return [self.y[row] for row in rows] if isinstance(self.y, list) else self.y[rows]

    def take(self, places: list[int]) -> "Case":
        """The same with some of the members, in another order."""
        chosen = ([getattr(self, name)[m] for m in places] for name in ("members", "train", "test"))
        return replace(self, **dict(zip(("members", "train", "test"), chosen, strict=True)))


def one(rng: np.random.Generator, *choices: Any) -> Any:
    return choices[rng.integers(len(choices))]


def noise_rates(rng: np.random.Generator, cell: str) -> dict[str, float]:
    """Noise inside the layers, of the kinds that the cell has a place for; of each, some members have none."""
    names = ["variational_dropout", "recurrent_dropout", "zoneout"]
    names += {"rnn": [], "gru": ["candidate_dropout"], "lstm": ["candidate_dropout", "cell_zoneout"]}[cell]
    return {name: one(rng, 0.0, 0.0, 0.15, 0.4) for name in names}


def draw(number: int) -> Case:
    rng = np.random.default_rng(number)
    n, channels, classes = int(rng.integers(12, 45)), int(rng.integers(1, 8)), int(rng.integers(2, 5))
    lengths = rng.integers(1, one(rng, 3, 9, 20, 40), n)
    dtype = one(rng, np.float32, np.float64)
    arrays = [rng.normal(2, 3, size=(length, channels)).astype(dtype) for length in lengths]
    for array in arrays[: one(rng, 0, 2, n // 3)]:  # of two, some members see none
        array[rng.random(array.shape) < 0.3] = np.nan
    rng.shuffle(arrays)

    regression, by_step = rng.random() < 0.5, rng.random() < 0.35
    if by_step:
        y: Any = [rng.normal(size=len(a)) if regression else rng.integers(classes, size=len(a)) * 1.0 for a in arrays]
        for steps in y:
            steps[1:][rng.random(len(steps) - 1) < 0.2] = np.nan
    else:
        y = rng.gamma(2, size=n) if regression else np.array(list("abcd"))[rng.integers(classes, size=n)]

    shared = {
        "cell": one(rng, "rnn", "gru", "lstm"),
        "num_layers": one(rng, 1, 1, 2, 3),
        "bidirectional": one(rng, False, True),
        "pooling": one(rng, "last", "mean", "max"),
        "optimizer": one(rng, "adam", "adamw", "sgd"),
        "lr_schedule": one(rng, "constant", "cosine", "plateau"),
        "init": one(rng, "torch", "orthogonal", "he_normal"),
        "batch_size": one(rng, 1, 3, 7, 8, 11, 19, 40),
        "burn_in": one(rng, 0, 2) if lengths.max() > 2 else 0,
    }
    sizes = rng.integers(1, 36, 2)
    members, train, test = [], [], []
    of_noise = np.random.default_rng([number, 3])  # apart, so that the cases stay what they were without
    noisy = of_noise.random() < 0.5
    of_start = np.random.default_rng([number, 4])
    of_training = np.random.default_rng([number, 5])
    chrono = shared["cell"] != "rnn" and of_start.random() < 0.3
    shared |= {"init": "chrono"} if chrono else {}
    for _ in range(one(rng, 1, 2, 10)):
        own = {
            "hidden_size": int(sizes[int(rng.random() < 0.2)]),
            "random_state": int(rng.integers(2**32)),
            "lr": one(rng, 1e-3, 0.01, 0.1) if rng.random() < 0.95 else 1e30,
            "weight_decay": one(rng, 0.0, 0.1, 5.0),
            "dropout": one(rng, 0.0, 0.0, 0.1, 0.6),
            "clip_norm": one(rng, None, 0.1, 1.0),
            "momentum": one(rng, 0.0, 0.9),
            "max_epochs": int(rng.integers(1, 5)),
            "early_stopping": rng.random() < 0.4,
            "patience": one(rng, 1, 3),
            "normalize": one(rng, "standard", "standard", "none"),
        }
        if regression:
            own["target_transform"] = one(rng, "none", "none", "sqrt", "log1p")
        elif not by_step:
            own["class_weight"] = one(rng, None, "balanced", {"a": 2.0, "b": 0.25})
        own |= noise_rates(of_noise, shared["cell"]) if noisy else {}
        own |= {"input_noise": one(of_training, 0.0, 0.0, 0.3)}
        own |= {} if regression else {"label_smoothing": one(of_training, 0.0, 0.0, 0.2)}
        if chrono:
            own |= {"init_lag": one(of_start, None, 2, max(2, int(lengths.max()) // 2))}
        else:
            own |= {"init": one(of_start, shared["init"], Scheme("xavier_normal", gain=1.2))}
        members.append((SequenceRegressor if regression else SequenceClassifier)(**shared | own))
        order = rng.permutation(n)
        size = int(rng.integers(max(6, n // 4), n))
        train.append(order[:size])
        test.append(order[size:][: one(rng, 1, 3, n)])
    return Case(
        arrays=arrays,
        y=y,
        static=rng.normal(size=(n, 2)).astype(dtype) if rng.random() < 0.3 else None,
        weights=rng.uniform(0.1, 3, n) if rng.random() < 0.3 else None,
        groups=rng.integers(6, size=n) if rng.random() < 0.3 else None,
        members=members,
        train=train,
        test=test,
    )


def alone(case: Case, m: int) -> tuple[Any, np.ndarray | None]:
    """The oracle: one estimator fitted on its own series as anybody would, and its network's outputs."""
    rows = case.train[m]
    try:
        fitted = clone(case.members[m]).fit(
            case.series(rows),
            case.targets(rows),
            sample_weight=None if case.weights is None else case.weights[rows],
            groups=None if case.groups is None else case.groups[rows],
        )
    except ArithmeticError as error:
        return error, None
    except ValueError as error:
        return error, None
    return fitted, predict_members([fitted], case.series(case.test[m]), [np.arange(len(case.test[m]))])[0]


def together(case: Case, **options: Any) -> list[tuple[Any, np.ndarray | None]]:
    X = case.series()
    fitted = fit_members(
        case.members,
        X,
        case.y,
        train_indices=case.train,
        sample_weight=case.weights,
        groups=case.groups,
        **options,
    )
    alive = [m for m, member in enumerate(fitted) if not isinstance(member, Exception)]
    outputs = predict_members([fitted[m] for m in alive], X, [case.test[m] for m in alive])
    by_member = dict(zip(alive, outputs, strict=True))
    return [(member, by_member.get(m)) for m, member in enumerate(fitted)]


def bits(fitted: Any, outputs: np.ndarray | None) -> dict[str, Any]:
    """Everything that a member has learned, to the bit."""
    if isinstance(fitted, Exception):
        return {"failure": (type(fitted), str(fitted))}
    found = {name: weight.numpy().tobytes() for name, weight in fitted.module_.state_dict().items()}
    found |= {name: getattr(fitted, name) for name in LEARNED}
    if hasattr(fitted, "classes_"):
        found["classes"] = fitted.classes_.tolist()
    else:
        found["scale"] = fitted.target_mean_, fitted.target_scale_
    return found | {"history": repr(fitted.history_), "outputs": outputs.tobytes()}


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@pytest.mark.filterwarnings("ignore:X misses values")  # drawn series may miss what a member's own did not
@pytest.mark.parametrize("number", CASES)
def test_a_member_trains_the_same_alone_or_in_company(number, threads, monkeypatch):
    monkeypatch.setenv("THROUGHTIME_ISA", "" if PATHS[number % len(PATHS)] == "native" else "reference")
    hold_to_the_law(draw(number), number, threads)


#: Cells in the place of those of a case: two without a kernel in C++, and the one whose state has no bound.
OTHER_CELLS = ({"cell": "linear"}, {"cell": "peephole_lstm"}, {"cell": "rnn", "nonlinearity": "relu"})


@pytest.mark.filterwarnings("ignore:X misses values")
@pytest.mark.parametrize("number", CASES[:: 1 if SOAK else 8])
def test_a_member_of_another_cell_trains_the_same_alone_or_in_company(number, threads, monkeypatch):
    cell = OTHER_CELLS[number // 4 % len(OTHER_CELLS)]
    monkeypatch.setenv("THROUGHTIME_ISA", "reference" if cell["cell"] == "rnn" else "")
    case = draw(number)
    rates = {} if cell["cell"] == "peephole_lstm" else {"candidate_dropout": 0.0, "cell_zoneout": 0.0}
    hold_to_the_law(
        replace(case, members=[clone(m).set_params(**cell, **rates) for m in case.members]), number, threads
    )


@pytest.mark.filterwarnings("ignore:X misses values")
@pytest.mark.parametrize("number", CASES[:: 1 if SOAK else 8])
def test_a_member_of_less_than_full_bptt_trains_the_same_alone_or_in_company(number, threads, monkeypatch):
    monkeypatch.setenv("THROUGHTIME_ISA", "reference" if number % 3 == 0 else "")
    case, k1 = draw(number), 1 + number % 3
    own = {"k1": k1, "k2": k1 + number % 2} if isinstance(case.y, list) else {"k2": k1}
    ways = ({"bptt": "truncated", "bidirectional": False} | own, {"bptt": "checkpointed"}, {})
    members = [clone(member).set_params(**ways[m % 3]) for m, member in enumerate(case.members)]
    hold_to_the_law(replace(case, members=members), number, threads)


#: Of members in turn; two of them change lengths, two the targets each step.
AUGMENTS = (
    "jitter:0.3,scaling@0.5",
    None,
    "mixup:0.5,window_slice:0.6@0.7",
    "time_warp:0.5,channel_dropout:0.3",
    "permutation,magnitude_warp",
)


@pytest.mark.filterwarnings("ignore:X misses values")
@pytest.mark.parametrize("number", CASES[:: 1 if SOAK else 4])
def test_a_member_on_augmented_series_trains_the_same_alone_or_in_company(number, threads, monkeypatch):
    monkeypatch.setenv("THROUGHTIME_ISA", "reference" if number % 3 == 0 else "")
    case = draw(number)
    members = [
        clone(member).set_params(augment=AUGMENTS[(number + m) % len(AUGMENTS)], burn_in=0)
        for m, member in enumerate(case.members)
    ]
    hold_to_the_law(replace(case, members=members), number, threads)


def hold_to_the_law(case: Case, number: int, threads: Callable[[int], None]) -> None:
    rng = np.random.default_rng([number, 1])
    everybody = [int(m) for m in rng.permutation(len(case.members))]
    threads(1 + number % 2)
    solo = {m: bits(*alone(case, m)) for m in everybody[:MOST_ALONE]}
    threads(1 + (number // 2) % 2)

    for places in (everybody, everybody[1::-1]) if len(everybody) > 2 else (everybody,):
        found = dict(zip(places, together(case.take(places)), strict=True))
        for m in solo.keys() & found.keys():
            assert differing(bits(*found[m]), solo[m]) == [], f"member {m} of {places}"


def ahead(number: int) -> Case | None:
    """The same case as a forecast, its series longer by the horizon; ``None`` for what cannot be one."""
    case, rng = draw(number), np.random.default_rng([number, 2])
    if not isinstance(case.y, list) or isinstance(case.members[0], SequenceClassifier):
        return None
    horizon, channels = int(rng.integers(1, 5)), case.arrays[0].shape[1]
    sight = {"horizon": horizon, "known": one(rng, None, [0], list(range(channels))), "bidirectional": False}
    before = [rng.normal(2, 3, size=(horizon, channels)).astype(array.dtype) for array in case.arrays]
    return replace(
        case,
        arrays=[np.concatenate(parts) for parts in zip(before, case.arrays, strict=True)],
        y=[np.concatenate([np.full(horizon, np.nan), steps]) for steps in case.y],
        members=[clone(member).set_params(**sight) for member in case.members],
    )


AHEAD = [number for number in CASES if ahead(number) is not None]


@pytest.mark.parametrize("number", AHEAD)
def test_a_member_that_forecasts_trains_the_same_alone_or_in_company(number, threads):
    case = ahead(number)
    assert case is not None
    hold_to_the_law(case, number, threads)


def test_the_sample_covers_what_the_law_speaks_of():
    cases = [draw(number) for number in CASES]
    members = [member.get_params() for case in cases for member in case.members]
    for name in ("cell", "bidirectional", "pooling", "num_layers", "optimizer", "lr_schedule", "early_stopping"):
        counts = np.unique([member[name] for member in members], return_counts=True)[1]
        assert len(counts) > 1
        assert counts.min() >= len(members) / 20
    assert {len(case.members) for case in cases} == {1, 2, 10}
    assert {case.arrays[0].dtype.name for case in cases} == {"float32", "float64"}
    for what in ("static", "weights", "groups"):
        assert {getattr(case, what) is None for case in cases} == {True, False}
    assert {isinstance(case.y, list) for case in cases} == {True, False}
    assert {any(np.isnan(array).any() for array in case.arrays) for case in cases} == {True, False}
    for name in ("variational_dropout", "recurrent_dropout", "candidate_dropout", "zoneout", "cell_zoneout"):
        assert any(len({member.get_params()[name] for member in case.members}) > 2 for case in cases)
    forecasts = [ahead(number).members for number in AHEAD]
    assert {len(own) for own in forecasts} == {1, 2, 10}
    assert {own[0].known is None for own in forecasts} == {True, False}


LARGE = 150  # more test series than a batch of evaluation holds


def test_a_prediction_has_the_same_bits_alone_in_company_and_among_other_series():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(length, 3)).astype(np.float32) for length in rng.integers(1, 40, LARGE)]
    y = rng.integers(3, size=LARGE)
    X = Sequences.from_arrays(arrays)
    members = [SequenceClassifier(hidden_size=11, max_epochs=1, random_state=seed) for seed in range(3)]
    fitted = fit_members(members, X, y)
    whole = predict_members(fitted, X, [np.arange(LARGE)] * 3)
    backwards = predict_members(fitted[::-1], X, [np.arange(LARGE)[::-1], np.array([7]), np.arange(0, LARGE, 2)])
    assert np.array_equal(backwards[0][::-1], whole[2])
    assert np.array_equal(backwards[1], whole[1][[7]])
    assert np.array_equal(backwards[2], whole[0][::2])
    for row in (0, 7, LARGE - 1):
        assert np.array_equal(fitted[0].predict_proba(arrays[row][None]), fitted[0].predict_proba(X)[[row]])


SOME = 30


def some_series() -> tuple[Sequences, np.ndarray]:
    rng = np.random.default_rng(0)
    return Sequences.from_arrays([rng.normal(size=(n, 3)) for n in rng.integers(2, 9, SOME)]), np.arange(SOME) % 3


def test_watched_series_progress_reports_and_the_memory_budget_change_no_bit():
    X, y = some_series()
    train = [np.arange(20), np.arange(5, SOME), np.arange(0, SOME, 2)]
    rest = [np.setdiff1d(np.arange(SOME), rows) for rows in train]
    members = [SequenceClassifier(hidden_size=7, max_epochs=3, random_state=seed) for seed in range(3)]
    told = []
    plain = fit_members(members, X, y, train_indices=train)
    evaluated = fit_members(
        members, X, y, train_indices=train, eval_indices=[rest[0], None, rest[2]], on_epoch=told.append
    )
    one_by_one = fit_members(members, X, y, train_indices=train, memory_budget=1)
    assert told
    for m, (one, other, frugal) in enumerate(zip(plain, evaluated, one_by_one, strict=True)):
        for name, weight in one.module_.state_dict().items():
            assert torch.equal(weight, other.module_.state_dict()[name])
            assert torch.equal(weight, frugal.module_.state_dict()[name])
        assert [replace(record, eval_loss=None) for record in other.history_] == one.history_ == frugal.history_
        assert all((record.eval_loss is None) == (m == 1) for record in other.history_)


def test_the_same_random_state_gives_the_same_network_and_none_gives_new_ones():
    X, y = some_series()
    seeds = [5, 5, None, None]
    fitted = fit_members([SequenceClassifier(hidden_size=7, max_epochs=2, random_state=seed) for seed in seeds], X, y)
    weights = [member.module_.readout.weight for member in fitted]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[2], weights[3])
    assert [member.random_state for member in fitted] == seeds
    again = SequenceClassifier(hidden_size=7, max_epochs=2, random_state=fitted[2].random_state_).fit(X, y)
    assert torch.equal(again.module_.readout.weight, weights[2])
