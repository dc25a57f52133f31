"""What is saved is loaded the same, or refused."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from estimator_data import N, classes, ragged, series, steps, values

from throughtime import storage
from throughtime.data import Sequences
from throughtime.errors import ParameterError, StorageError
from throughtime.estimators import SequenceClassifier, SequenceRegressor, load_estimator, to_plain
from throughtime.estimators.files import FACTS, FLOW, WEIGHTS
from throughtime.records import Records
from throughtime.stability import FlowRecord

SMALL = {"hidden_size": 5, "random_state": 3, "max_epochs": 3}
NAMES = np.array(["ebb", "flow", "slack tide"])


def gappy() -> list[np.ndarray]:
    X = ragged()
    X[2][0, 1] = np.nan
    return X


FITTED = {
    "class weights by number": lambda: SequenceClassifier(**SMALL, class_weight={0: 2.0, np.int64(1): 0.5, 2: 1}).fit(
        ragged(), classes()
    ),
    "class weights by name": lambda: SequenceClassifier(**SMALL, class_weight={"ebb": 2.0}).fit(
        ragged(), NAMES[classes()]
    ),
    "balanced": lambda: SequenceClassifier(**SMALL, class_weight="balanced").fit(ragged(), classes() > 0),
    "floats as classes": lambda: SequenceClassifier(**SMALL).fit(ragged(), classes() * 1.0),
    "classes at every step": lambda: SequenceClassifier(**SMALL, burn_in=1).fit(ragged(), steps(of_classes=True)),
    "numbers at every step": lambda: SequenceRegressor(**SMALL).fit(ragged(), steps()),
    "transformed": lambda: SequenceRegressor(**SMALL, target_transform="log1p").fit(ragged(), values()),
    "single precision": lambda: SequenceRegressor(**SMALL, cell="lstm").fit(ragged(np.float32), values()),
    "two dimensions": lambda: SequenceRegressor(**SMALL).fit(np.stack([x[:3, 0] for x in ragged()]), values()),
    "missing values": lambda: SequenceRegressor(**SMALL, clip_norm=None).fit(gappy(), values()),
    "static": lambda: SequenceRegressor(**SMALL).fit(series(static=np.ones((N, 2))), values()),
    "zoneout": lambda: SequenceRegressor(
        **SMALL, cell="lstm", zoneout=0.2, cell_zoneout=np.float64(0.5), recurrent_dropout=0.1
    ).fit(ragged(), values()),
    "noise and smoothing": lambda: SequenceClassifier(**SMALL, input_noise=0.2, label_smoothing=np.float64(0.1)).fit(
        ragged(), classes()
    ),
    "all at once": lambda: SequenceClassifier(
        **SMALL, num_layers=2, bidirectional=True, pooling="mean", dropout=0.25, early_stopping=True, optimizer="adamw"
    ).fit(ragged(), classes()),
}
INPUTS = {
    "two dimensions": lambda: np.stack([x[:3, 0] for x in ragged()]),
    "static": lambda: series(static=np.ones((N, 2))),
    "missing values": gappy,
}


def learned(estimator: object) -> dict[str, object]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in vars(estimator).items()
        if name.endswith("_") and name != "network_"
    }


def same(one: object, other: object) -> bool:
    return one == other if isinstance(one, Sequences) else np.array_equal(one, other)


@pytest.mark.parametrize("kind", FITTED)
def test_an_estimator_comes_back_as_it_was_saved(kind, tmp_path):
    fitted = FITTED[kind]()
    fitted.save(tmp_path / "model")
    loaded = type(fitted).load(tmp_path / "model")
    assert loaded.get_params() == fitted.get_params()
    assert learned(loaded) == learned(fitted)
    for name, weight in fitted.module_.state_dict().items():
        assert weight.dtype == loaded.module_.state_dict()[name].dtype
        assert torch.equal(weight, loaded.module_.state_dict()[name])
    X = INPUTS.get(kind, ragged)()
    assert same(loaded.predict(X), fitted.predict(X))
    if isinstance(fitted, SequenceClassifier):
        assert loaded.classes_.dtype == fitted.classes_.dtype
        assert same(loaded.predict_proba(X), fitted.predict_proba(X))
    assert not loaded.module_.training
    # and it can be trained and saved again
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again" / FACTS).read_bytes() == (tmp_path / "model" / FACTS).read_bytes()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    SequenceClassifier(**SMALL).fit(ragged(), classes()).save(tmp_path / "model")
    return tmp_path / "model"


def test_an_existing_directory_is_not_written_into(saved):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    fitted = SequenceRegressor(**SMALL).fit(ragged(), values())
    with pytest.raises(StorageError, match=f"^{saved} exists"):
        fitted.save(saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.parametrize("name", [FACTS, WEIGHTS, "manifest.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_file_is_named_and_refused(saved, name, damage):
    path = saved / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flipped" else content[:-20])
    with pytest.raises(StorageError, match=name):
        SequenceClassifier.load(saved)


def test_what_is_no_saved_estimator_is_refused(saved, tmp_path):
    with pytest.raises(
        ParameterError, match=r"^SequenceRegressor.load needs a saved SequenceRegressor, got a Sequence"
    ):
        SequenceRegressor.load(saved)
    with pytest.raises(StorageError, match="nowhere"):
        SequenceClassifier.load(tmp_path / "nowhere")
    assert isinstance(SequenceClassifier.load(str(saved)), SequenceClassifier)


def changed(facts: dict, *path: str, to: object) -> dict:
    inner = facts
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return facts


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("kind",), "os.system"),
        (("kind",), ["classifier"]),
        (("parameters",), {"hidden_size": 5}),
        (("parameters",), 7),
        (("parameters", "hidden_size"), "five"),
        (("parameters", "surprise"), 1),
        (("architecture", "hidden_size"), 6),
        (("architecture", "cell"), "mlp"),
        (("architecture", "surprise"), 1),
        (("noise", "surprise"), 0.5),
        (("noise", "zoneout"), "much"),
        (("noise",), None),
        (("learned",), {}),
        (("classes", "dtype"), "no dtype"),
        (("classes",), None),
        (("history",), [{"epoch": 1}]),
        (("history",), None),
    ],
    ids=str,
)
def test_facts_that_are_no_estimators_are_refused_though_their_checksums_hold(saved, tmp_path, path, to):
    facts = changed(json.loads((saved / FACTS).read_text()), *path, to=to)
    files = {FACTS: storage.json_to_bytes(facts), WEIGHTS: (saved / WEIGHTS).read_bytes()}
    storage.write_run(tmp_path / "forged", files, {})
    with pytest.raises(StorageError, match="forged needs to hold a saved estimator, got "):
        SequenceClassifier.load(tmp_path / "forged")


@pytest.mark.parametrize("spoil", ["missing", "more", "shape"])
def test_arrays_that_do_not_fit_the_network_are_refused(saved, tmp_path, spoil):
    arrays = storage.read_run(saved).arrays(WEIGHTS)
    if spoil == "missing":
        del arrays["readout.bias"]
    elif spoil == "more":
        arrays["surprise"] = np.zeros(3)
    else:
        arrays["readout.weight"] = arrays["readout.weight"].T.copy()
    files = {FACTS: (saved / FACTS).read_bytes(), WEIGHTS: storage.arrays_to_bytes(arrays)}
    storage.write_run(tmp_path / "forged", files, {})
    with pytest.raises(StorageError, match="forged needs to hold a saved estimator, got "):
        SequenceClassifier.load(tmp_path / "forged")


def test_an_unfitted_estimator_cannot_be_saved(tmp_path):
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        SequenceClassifier().save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def monitored(**settings: object) -> SequenceClassifier:
    own = {"monitor": "flow-every-step", "init": "orthogonal", "num_layers": 2, "bidirectional": True}
    return SequenceClassifier(**SMALL | own | settings).fit(ragged(), classes())


def assert_same_records(one: Sequence[FlowRecord], other: Sequence[FlowRecord]) -> None:
    assert type(one) is type(other)
    assert len(one) == len(other)
    for before, after in zip(one, other, strict=True):
        for field in fields(FlowRecord):
            np.testing.assert_array_equal(getattr(before, field.name), getattr(after, field.name))


@pytest.mark.filterwarnings("ignore::throughtime.errors.FlowWarning")
def test_the_monitors_records_come_back_to_the_bit_and_go_with_the_next_fit(tmp_path):
    fitted = monitored()
    assert {record.kind for record in fitted.flow_} == {"probe", "step", "kept"}
    fitted.save(tmp_path / "model")
    loaded = SequenceClassifier.load(tmp_path / "model")
    assert_same_records(fitted.flow_, loaded.flow_)
    loaded.save(tmp_path / "again")
    assert_same_records(fitted.flow_, load_estimator(tmp_path / "again").flow_)
    for name in (FACTS, WEIGHTS, FLOW):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    assert not hasattr(loaded.set_params(monitor=None).fit(ragged(), classes()), "flow_")


def test_an_estimator_without_records_has_no_file_of_them(saved):
    assert not (saved / FLOW).exists()
    assert not hasattr(SequenceClassifier.load(saved), "flow_")


def test_records_that_are_none_are_saved_as_none(tmp_path):
    fitted = SequenceClassifier(**SMALL).fit(ragged(), classes())
    fitted.flow_ = Records()
    fitted.save(tmp_path / "model")
    assert SequenceClassifier.load(tmp_path / "model").flow_ == Records()


@pytest.mark.filterwarnings("ignore::throughtime.errors.FlowWarning")
def test_arrays_that_are_no_records_of_the_network_are_refused(tmp_path):
    fitted = monitored()
    fitted.save(tmp_path / "model")
    run = storage.read_run(tmp_path / "model")
    arrays, files = run.arrays(FLOW), {name: run.bytes(name) for name in (FACTS, WEIGHTS, FLOW)}
    n = len(arrays["kind"])
    spoiled = {
        "another kind": arrays | {"kind": np.full(n, 3, np.uint8)},
        "epochs below zero": arrays | {"epoch": -arrays["epoch"] - 1},
        "steps that are no whole numbers": arrays | {"step": arrays["step"] * 0.5},
        "lags out of order": arrays | {"lags": arrays["lags"][::-1]},
        "no lags": arrays | {"lags": arrays["lags"][:0], "log_norms": arrays["log_norms"][..., :0]},
        "words of bits": arrays | {"log_norms": arrays["log_norms"].astype(bool)},
        "a layer less": arrays
        | {"reverse": arrays["reverse"][:2], "log_norms": arrays["log_norms"][:, :2],
           "horizons": arrays["horizons"][:, :2]},
        "no reverse ones": arrays | {"reverse": 0 * arrays["reverse"]},
        "a horizon less": arrays | {"horizons": arrays["horizons"][1:]},
        "under a prefix": {f"seed0.refit.{name}": array for name, array in arrays.items()},
        **{f"without {name}": {key: value for key, value in arrays.items() if key != name} for name in arrays},
    }  # fmt: skip
    for number, (what, other) in enumerate(spoiled.items()):
        place = tmp_path / str(number)
        storage.write_run(place, files | {FLOW: storage.arrays_to_bytes(other)}, {"kind": "estimator"})
        with pytest.raises(StorageError, match=rf"{FLOW} needs (to hold )?records of "):
            raise AssertionError(f"{what}: {SequenceClassifier.load(place).flow_}")
    storage.write_run(tmp_path / "bytes", files | {FLOW: b"no safetensors"}, {"kind": "estimator"})
    with pytest.raises(StorageError, match=f"{FLOW} needs to be a safetensors file"):
        load_estimator(tmp_path / "bytes")
    plain = SequenceClassifier(**SMALL).fit(ragged(), classes())
    facts, weights = to_plain(plain)
    files = {FACTS: storage.json_to_bytes(facts), WEIGHTS: storage.arrays_to_bytes(weights), FLOW: files[FLOW]}
    storage.write_run(tmp_path / "another", files, {"kind": "estimator"})
    with pytest.raises(StorageError, match=r"needs records of layer 0, got some of layer 0, layer 0 rev"):
        load_estimator(tmp_path / "another")
