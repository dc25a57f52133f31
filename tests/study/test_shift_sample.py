"""A run keeps its series as their fold members see them, and says why where it keeps none."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import arrays, classifier, data_of, labeled, rain, regressor

from throughtime import evaluate, storage
from throughtime.data import Dataset, Sequences
from throughtime.errors import DataError, StorageError
from throughtime.shift import Reference, correct, diagnose_shift, embed, reference_of
from throughtime.storage import MANIFEST, read_run
from throughtime.storage.manifest import manifest_bytes
from throughtime.study import Run, Study
from throughtime.study.shift_sample import SAMPLE, SAMPLE_FACTS, reference_from, sample_files, sampled_reference

X, Y = arrays()


def long_series() -> Dataset:
    values = np.random.default_rng(5).normal(size=(120, 1))
    X = Sequences.from_arrays([values])
    return Dataset(X, Sequences.from_arrays([values.cumsum(0)]), ("0",), "long", "y")


def studies(place: Path) -> dict[str, Callable[[], Study]]:
    forecast = data_of(rain(place), own_past=True)
    return {
        "classes": lambda: evaluate(classifier(), X, Y, cv=3, seeds=2, baselines=False),
        "groups": lambda: evaluate(classifier(), data_of(labeled(place)), cv="group:2", test=0.3, baselines=False),
        "numbers": lambda: evaluate(regressor(), X, X.sum((1, 2)), cv="kfold:4", baselines=False),
        "steps": lambda: evaluate(regressor(burn_in=2), data_of(rain(place)), cv="kfold:2", baselines=False),
        "forecast": lambda: evaluate(regressor(horizon=2), forecast, cv="kfold:2", baselines=False),
        "windows of one": lambda: evaluate(regressor(), long_series().windows(6, 6, history=2), cv=4, baselines=False),
        "windows of many": lambda: evaluate(
            regressor(), data_of(rain(place)).windows(4), cv=3, baselines=False, test=0.4
        ),
        "a fold failed": lambda: evaluate(
            classifier(), X, Y, cv=[(range(10), range(10, 20)), (range(5, 15), range(5))], baselines=False
        ),
    }  # fmt: skip


KINDS = ["classes", "groups", "numbers", "steps", "forecast", "windows of one", "windows of many", "a fold failed"]


def assert_equal(one: Reference, other: Reference) -> None:
    np.testing.assert_equal(asdict(one.embedding), asdict(other.embedding))
    np.testing.assert_equal(one.classes, other.classes)
    np.testing.assert_equal(one.indices, other.indices)
    assert (one.channel_names, one.in_sample, one.block) == (other.channel_names, other.in_sample, other.block)
    assert len(one.members) == len(other.members)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sampled")


@pytest.fixture(scope="module")
def saved(place: Path) -> tuple[Study, Path]:
    study = studies(place)["groups"]()
    study.save(place / "saved")
    return study, place / "saved"


@pytest.fixture
def copy(saved: tuple[Study, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved[1], tmp_path / "copy"))


def rewrite(run: Path, **changed: bytes | None) -> None:
    """Change or remove files, and make the manifest again."""
    files = {path.name: path.read_bytes() for path in run.iterdir() if path.name != MANIFEST}
    files |= {{"facts": SAMPLE_FACTS, "arrays": SAMPLE}[name]: content for name, content in changed.items()}
    left = {name: content for name, content in files.items() if content is not None}
    for name in files:
        (run / name).unlink(missing_ok=True)
    for name, content in left.items():
        (run / name).write_bytes(content)
    (run / MANIFEST).write_bytes(manifest_bytes(left, {}))


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_of_a_run_is_that_of_its_study_and_embeds_alike(kind: str, place: Path, tmp_path: Path) -> None:
    study = studies(place)[kind]()
    study.save(tmp_path / "run")
    run, made = Run.open(tmp_path / "run"), study.reference()
    kept = run.reference()
    assert_equal(kept, made)
    assert made.in_sample == 0
    assert len(kept.embedding) == len(np.unique(np.concatenate([test for _, test in study.splits])))
    unit = {"groups": "group", "windows of many": "group", "windows of one": "block"}.get(kind, "series")
    assert kept.embedding.unit == unit
    assert kept.block == (16 if kind == "windows of one" else None)  # twice 6 steps and their history of 2
    of_run, of_study = (embed(reference, study.train.X[:5], random_state=3) for reference in (kept, made))
    np.testing.assert_equal(asdict(of_run), asdict(of_study))


def test_a_reference_is_made_of_the_networks_of_the_first_seed_and_their_own_test_folds(place: Path) -> None:
    study = studies(place)["classes"]()
    expected = reference_of(study.assessment.folds[0], X, Y, list(study.splits), random_state=0)
    assert_equal(study.reference(), replace(expected, embedding=expected.embedding))
    failed = studies(place)["a fold failed"]()
    assert failed.fold_members[0] is not None


def test_a_run_is_compared_with_its_series_again_where_these_are_given(saved: tuple[Study, Path], place: Path) -> None:
    run, data = Run.open(saved[1]), data_of(labeled(place))
    assert_equal(run.reference(data), saved[0].reference())  # without those set aside for the test
    with pytest.raises(DataError, match=r"^t needs to hold what .*saved was trained on, got other series$"):
        run.reference(replace(data, X=Sequences(data.X.values + 1, data.X.offsets), source="t"))


def test_a_run_of_an_early_version_needs_its_series(saved: tuple[Study, Path], place: Path, copy: Path) -> None:
    rewrite(copy, facts=None, arrays=None)
    with pytest.raises(StorageError, match=r"needs shift.safetensors for shift tests, .*; fit it again, or give"):
        Run.open(copy).reference()
    assert_equal(Run.open(copy).reference(data_of(labeled(place))), saved[0].reference())


def test_a_run_whose_folds_do_not_know_the_same_classes_says_so(tmp_path: Path) -> None:
    labels = np.array(["a"] * 8 + ["b"] * 8 + ["c"] * 4)
    folds = [(range(16), range(16, 20)), (range(4, 20), range(4))]
    study = evaluate(classifier(), X, labels, cv=folds, scoring="accuracy", baselines=False)
    study.save(tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert SAMPLE not in run.names
    with pytest.raises(DataError, match="members need the same classes"):
        study.reference()
    with pytest.raises(DataError, match=r"shift\.json says that there is no sample .*: members need the same classes"):
        run.reference()


def test_of_many_series_a_random_sample_is_kept(place: Path) -> None:
    study = studies(place)["classes"]()
    drawn = [sampled_reference(study.fold_members, study.train, study.splits, seed, most=7) for seed in (0, 0, 1)]
    assert [len(reference.embedding) for reference in drawn] == [7, 7, 7]
    assert_equal(drawn[0], drawn[1])
    assert drawn[0].indices is not None
    assert drawn[2].indices is not None
    assert set(drawn[0].indices) != set(drawn[2].indices)
    whole = study.reference().embedding
    np.testing.assert_array_equal(drawn[0].embedding.outputs, whole.outputs[drawn[0].indices])


def test_a_kept_sample_of_some_series_corrects_as_the_one_that_was_drawn(place: Path) -> None:
    study = studies(place)["classes"]()
    drawn = sampled_reference(study.fold_members, study.train, study.splits, 0, most=12)
    files = sample_files(drawn, study.fold_members)
    arrays = storage.arrays_from_bytes(files[SAMPLE], SAMPLE)
    kept = reference_from(json.loads(files[SAMPLE_FACTS]), arrays, dict(enumerate(study.fold_members)), SAMPLE_FACTS)
    assert_equal(kept, drawn)
    found = []
    for reference in (kept, drawn):
        diagnosis = diagnose_shift(reference, X + 0.1, Y, permutations=99)
        found.append(correct(study.estimator, diagnosis, reference=(X, Y), deployed=(X + 0.1, Y)))
    assert found[0].reason == found[1].reason


def test_a_sample_that_does_not_say_which_series_it_is_of_is_of_the_first(copy: Path) -> None:
    kept = read_run(copy).arrays(SAMPLE)
    whole = Run.open(copy).reference()
    rewrite(copy, arrays=storage.arrays_to_bytes({name: kept[name] for name in kept if name != "indices"}))
    early = Run.open(copy).reference()
    assert early.indices is None
    assert_equal(replace(early, indices=whole.indices), whole)


def test_series_without_an_observed_target_are_not_kept(place: Path) -> None:
    data = data_of(rain(place))
    assert isinstance(data.y, Sequences)
    values = data.y.values.copy()
    values[data.y.offsets[3] + 2 : data.y.offsets[4]] = np.nan  # observed in the burn-in alone
    data = replace(data, y=Sequences(values, data.y.offsets))
    study = evaluate(regressor(burn_in=2), data, cv="kfold:2", baselines=False)
    assert study.reference().indices is not None
    assert set(study.reference().indices) == set(range(12)) - {3}  # type: ignore[arg-type]


def test_samples_of_another_content_are_named(copy: Path) -> None:
    facts = json.loads((copy / SAMPLE_FACTS).read_bytes())
    arrays = read_run(copy).arrays(SAMPLE)
    n = len(arrays["member"])
    for changed in (
        {"folds": [0, 7]}, {"folds": None}, {"folds": []}, {"groups": ["0"]}, {"summary_names": ["a"]}, {"unit": "day"},
        {"in_sample": -1},
    ):  # fmt: skip
        rewrite(copy, facts=json.dumps(facts | changed).encode())
        with pytest.raises(StorageError, match="shift"):
            Run.open(copy).reference()
    rewrite(copy, facts=json.dumps(facts).encode())
    others: list[dict[str, Any]] = [
        {"member": np.full(n, 2)}, {"member": np.zeros(n)}, {"member": np.zeros(0, int)}, {"extra": np.zeros(n)},
        {"states": np.zeros(n)}, {"outputs": np.zeros((n + 1, 2))}, {"summaries": np.full((n, 11), np.nan)},
        {"target": np.zeros(n - 1)}, {"stretches": np.zeros((n, 4, 3))}, {"stretches": np.zeros(n)},
        {"indices": np.arange(n - 1)}, {"indices": np.arange(n) - 1}, {"indices": np.arange(n)[::-1].copy()},
        {"indices": np.zeros(n, int)}, {"indices": np.arange(n) + 0.5}, {"indices": np.arange(n)[:, None]},
    ]  # fmt: skip
    for other in others:
        rewrite(copy, arrays=storage.arrays_to_bytes(arrays | other))
        with pytest.raises(StorageError, match="shift"):
            Run.open(copy).reference()
    rewrite(copy, arrays=None)
    with pytest.raises(StorageError, match=r"shift\.json needs to hold .* got less"):
        Run.open(copy).reference()


def test_a_test_without_the_groups_of_the_training_series_is_not_compared(saved: tuple[Study, Path]) -> None:
    study, _ = saved
    assert study.test is not None
    bare = replace(study, test=replace(study.test, groups=None))

    assert bare.shift_to_test == "its series have no groups, as the training series do"
