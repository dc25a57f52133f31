"""No digit of the data is lost before it is centered, whatever the network computes in."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from throughtime import SequenceClassifier, SequenceRegressor, fit_members
from throughtime.data import Sequences, describe, read
from throughtime.errors import DataError
from throughtime.estimators import Outputs, predict_requests
from throughtime.generalization import baselines_for, leakage_report

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(6, 12, 30)
#: sixteenths, so that an offset of 2**30 leaves each as it is in float64; float32 is then only right to 64
SIGNAL = [np.round(16 * RNG.normal(size=(length, 2))) / 16 for length in LENGTHS]
OFFSET = float(2**30)
Y = np.array([4 * x[:, 0].mean() for x in SIGNAL])
STEPS = [np.cumsum(x[:, 0]) for x in SIGNAL]
SMALL: dict[str, Any] = {"hidden_size": 6, "max_epochs": 4, "lr": 0.03, "random_state": 0}


def table(offset: float) -> pa.Table:
    values = np.concatenate(SIGNAL) + offset
    return pa.table(
        {
            "id": np.repeat([f"s{k}" for k in range(len(SIGNAL))], LENGTHS),
            "u": values[:, 0],
            "v": values[:, 1],
            "y": np.repeat(Y, LENGTHS),
        }
    )


def sources(folder: Path, offset: float) -> dict[str, tuple[Any, dict[str, Any]]]:
    """The same series in every form that holds float64, each with the arguments that read it."""
    whole, columns = table(offset), {"id": "id", "target": "y"}
    whole.to_pandas().to_csv(folder / "x.csv", index=False)
    pq.write_table(whole, folder / "x.parquet")
    (folder / "many").mkdir()
    for k, (begin, length) in enumerate(zip(np.cumsum(LENGTHS) - LENGTHS, LENGTHS, strict=True)):
        whole.slice(begin, length).drop_columns("id").to_pandas().to_csv(folder / f"many/s{k}.csv", index=False)
    moved = [x + offset for x in SIGNAL]
    np.savez(folder / "x.npz", values=np.concatenate(moved), offsets=np.r_[0, np.cumsum(LENGTHS)], y=Y)
    lines = ["@univariate false", "@dimensions 2", "@targetlabel true", "@data"]
    lines += [
        ":".join([*(",".join(map(repr, map(float, channel))) for channel in x.T), repr(float(y))])
        for x, y in zip(moved, Y, strict=True)
    ]
    (folder / "x.ts").write_text("\n".join(lines))
    return {
        "csv": (folder / "x.csv", columns),
        "parquet": (folder / "x.parquet", columns),
        "directory": (folder / "many", {"target": "y"}),
        "npz": (folder / "x.npz", {}),
        "ts": (folder / "x.ts", {}),
        "arrow": (whole, columns),
        "pandas": (whole.to_pandas(), columns),
    }


@pytest.mark.parametrize("form", ["csv", "parquet", "directory", "npz", "ts", "arrow", "pandas"])
def test_a_channel_far_from_zero_is_learned_from_every_source_as_one_near_it(form: str, tmp_path: Path) -> None:
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    near, far = (
        read(source, **columns)
        for source, columns in (sources(tmp_path / place, offset)[form] for place, offset in
                                (("near", 0.0), ("far", OFFSET)))
    )  # fmt: skip
    np.testing.assert_array_equal(far.X.values, np.concatenate(SIGNAL) + OFFSET)
    assert far.X.train_dtype == np.float32
    assert describe(far).duplicates == 0
    fitted = [SequenceRegressor(**SMALL).fit(data.X, data.y) for data in (near, far)]
    assert {weight.dtype for weight in fitted[1].module_.parameters()} == {torch.float32}
    # of the standardized inputs the mean alone is rounded otherwise, at 1e-7 of a deviation
    np.testing.assert_allclose(fitted[1].predict(far.X), fitted[0].predict(near.X), atol=1e-4)


def test_what_is_compared_with_the_network_and_what_looks_for_copies_see_every_digit() -> None:
    data = read(table(OFFSET), id="id", target="y")
    ridge = next(model for model in baselines_for(data.X, data.y, classifier=False) if model.name == "ridge")
    assert np.corrcoef(ridge.fit(data.X, data.y).predict(data.X), Y)[0, 1] > 0.999
    findings = {finding.code: finding for finding in leakage_report(data.X, data.y, cv=5)}
    assert findings["GEN001"].verdict == "clear"


@pytest.mark.parametrize("of_steps", [False, True])
def test_a_target_far_from_zero_is_predicted_as_finely_as_one_near_it(of_steps: bool) -> None:
    X = [x.astype("f4") for x in SIGNAL]
    model = SequenceRegressor(**SMALL)

    def predicted(offset: float) -> np.ndarray:
        y: Any = [y + offset for y in STEPS] if of_steps else Y + offset
        found = model.fit(X, y).predict(X)
        flat = found.values[:, 0] if of_steps else found
        assert flat.dtype == np.float64
        return np.r_[flat - offset, model.score(X, y)]

    near, far = predicted(0.0), predicted(1e8)
    assert len(np.unique(far)) == len(np.unique(near))
    np.testing.assert_allclose(far, near, atol=1e-4)  # what 1e8 leaves of float64 is 1.5e-8


def test_step_targets_come_from_files_in_float64() -> None:
    long = table(0.0).append_column("z", pa.array(np.concatenate(STEPS) + 1e12))
    data = read(long, id="id", target="z", channels=["u"])
    np.testing.assert_array_equal(data.y.values[:, 0], np.concatenate(STEPS) + 1e12)


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u8"])
def test_integers_keep_their_digits_and_train_in_float32(dtype: str) -> None:
    x = np.arange(12, dtype=dtype).reshape(2, 6, 1) + np.array(2**30, dtype)
    for X in (Sequences.from_arrays(list(x)), Sequences(x.reshape(12, 1), [0, 6, 12])):
        np.testing.assert_array_equal(X.values[:, 0], x.ravel())
        assert (X.dtype, X.train_dtype) == (np.float64, np.float32)
    fitted = SequenceRegressor(**SMALL).fit(np.tile(x, (5, 1, 1)), np.arange(10.0))
    assert next(fitted.module_.parameters()).dtype == torch.float32
    assert fitted.module_.scale > 0.5  # not the 1 of a column that does not vary, nor what float32 makes of it
    small = Sequences.from_arrays([np.array([2**24, -(2**24)] if dtype[0] == "i" else [2**24, 1], dtype)])
    assert (small.dtype, small.train_dtype) == (np.float32, np.float32)


def test_static_features_keep_their_digits_beside_float32_series() -> None:
    X = Sequences.from_arrays([x.astype("f4") for x in SIGNAL], static=np.c_[Y + 1e9, np.arange(30)])
    assert X.dtype == X.train_dtype == np.float32
    np.testing.assert_array_equal(X.static[:, 0], Y + 1e9)
    plain = X.replace(static=np.c_[Y, np.arange(30)])
    model = SequenceRegressor(**SMALL)
    far, near = (model.fit(own, Y).predict(own) for own in (X, plain))
    np.testing.assert_allclose(far, near, atol=1e-4)
    whole = Sequences.from_arrays([x.astype("f4") for x in SIGNAL], static=np.arange(30))
    assert whole.static is not None
    assert whole.static.dtype == np.float32


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "dropout": 0.2}], ids=str)
def test_members_held_in_float64_train_the_same_alone_or_in_company(options: dict[str, Any]) -> None:
    arrays = [x + OFFSET for x in SIGNAL]
    arrays[3][2, 1] = np.nan
    X = Sequences.from_arrays(arrays, static=Y + 1e9, train_dtype="f4")
    rows = [np.arange(20), np.arange(7, 30), np.array([3, 5, 8])]
    models = [SequenceRegressor(**SMALL | {"random_state": seed} | options) for seed in range(3)]
    models[1].set_params(dtype="float64")
    for model, own, together in zip(models, rows, fit_members(models, X, Y, train_indices=rows), strict=True):
        alone = model.fit(X[own], Y[own])
        assert alone.history_ == together.history_
        for name, value in alone.module_.state_dict().items():
            assert torch.equal(value, together.module_.state_dict()[name]), name
        np.testing.assert_array_equal(alone.predict(X[own]), together.predict(X[own]))


@pytest.mark.parametrize("held", ["f4", "f8"])
@pytest.mark.parametrize("asked", ["auto", "float32", "float64"])
def test_the_precision_to_train_in_can_be_said(held: str, asked: str) -> None:
    X = [x.astype(held) for x in SIGNAL]
    fitted = SequenceRegressor(**SMALL, dtype=asked).fit(X, Y)
    wanted = {"auto": {"f4": torch.float32, "f8": torch.float64}[held]}.get(asked) or getattr(torch, asked)
    assert {weight.dtype for weight in fitted.module_.parameters()} == {wanted}
    if wanted == torch.float64:
        exact = SequenceRegressor(**SMALL).fit([x.astype("f4").astype("f8") if held == "f4" else x for x in SIGNAL], Y)
        np.testing.assert_array_equal(fitted.predict(X), exact.predict([x.astype("f8") for x in X]))


@pytest.mark.parametrize("own", [False, True])
def test_the_module_of_a_fitted_estimator_centers_in_float64_whatever_it_is_cast_to(own: bool, tmp_path: Path) -> None:
    def factory(n: int, k: int) -> torch.nn.Module:
        class Net(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = torch.nn.Linear(n, k)

            def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
                return self.linear(x.sum(1))

        return Net()

    X = Sequences.from_arrays([x + OFFSET for x in SIGNAL], train_dtype="f4")
    how = {"module": factory, "max_epochs": 2, "random_state": 0} if own else SMALL
    fitted = SequenceRegressor(**how).fit(X, Y)
    fitted.save(tmp_path / "saved")
    loaded = SequenceRegressor.load(tmp_path / "saved", **({"module": factory} if own else {}))
    expected = fitted.predict(X)
    np.testing.assert_array_equal(loaded.predict(X), expected)
    x, lengths = torch.from_numpy(X.padded(fill=0.0)), torch.from_numpy(X.lengths.copy())
    for cast in (lambda m: m, lambda m: m.to(torch.float32), lambda m: m.float().to("cpu"), lambda m: m.double()):
        module = cast(SequenceRegressor(**how).fit(X, Y).module_)
        assert module.shift.dtype == module.scale.dtype == torch.float64
        with torch.no_grad():
            outputs = module(x, lengths)[:, 0].double().numpy()
        found = outputs * fitted.target_scale_ + fitted.target_mean_
        np.testing.assert_allclose(found, expected, atol=1e-5)  # float32 in another order of sums


def test_values_that_the_network_cannot_be_fed_are_refused_before_training_and_in_prediction() -> None:
    X = [x.copy() for x in SIGNAL]
    X[4][2, 1] = 1e200
    rows = [np.array([0, 1, 2]), np.array([3, 4, 5])]
    model = SequenceRegressor(**SMALL, dtype="float32", normalize="none")
    with pytest.raises(
        DataError, match=r"^X needs values that float32 holds once they are scaled, got 1e\+200 in chan"
    ):
        model.fit(X, Y)
    one, other = fit_members([model, model], X, Y, train_indices=rows)
    assert isinstance(one, SequenceRegressor)
    assert isinstance(other, DataError)
    clean = SequenceRegressor(**SMALL, dtype="float32").fit(SIGNAL, Y)
    found = predict_requests([Outputs(clean, Sequences.from_arrays(own)) for own in (SIGNAL, X)])
    assert isinstance(found[0], np.ndarray)
    assert isinstance(found[1], DataError)


@pytest.mark.parametrize("size", [1e39, 1e130, 1e-39, 1e-130])
def test_a_target_of_any_size_that_can_be_scored_is_learned_alike(size: float) -> None:
    size = float(2.0 ** np.round(np.log2(size)))  # a power of two changes no digit
    model = SequenceRegressor(**SMALL)
    plain = model.fit(SIGNAL, Y).predict(SIGNAL)
    np.testing.assert_array_equal(model.fit(SIGNAL, Y * size).predict(SIGNAL), plain * size)
    # sums of squares of another size
    assert model.score(SIGNAL, Y * size) == pytest.approx(
        SequenceRegressor(**SMALL).fit(SIGNAL, Y).score(SIGNAL, Y), rel=1e-12
    )


@pytest.mark.parametrize(
    ("size", "message"),
    [(1e160, r"^y needs targets of at most 1e\+140 in size, got .*; divide y"),
     (1e-160, "^y needs targets at least 1e-140 apart, got .*; multiply y")],
)  # fmt: skip
def test_a_target_whose_squares_float64_does_not_hold_is_refused(size: float, message: str) -> None:
    for y in (Y * size, [y * size for y in STEPS]):
        with pytest.raises(DataError, match=message):
            SequenceRegressor(**SMALL).fit(SIGNAL, y)


def test_a_channel_of_any_size_is_learned_alike() -> None:
    y = Y > 0
    model = SequenceClassifier(**SMALL, dtype="float32")
    plain = model.fit(SIGNAL, y).predict_proba(SIGNAL)
    for size in (2.0**-1000, 2.0**-600, 2.0**600, 2.0**1000):
        X = [x * size for x in SIGNAL]
        np.testing.assert_array_equal(model.fit(X, y).predict_proba(X), plain)


def test_tables_of_narrow_columns_are_held_in_float32() -> None:
    narrow = {"f4": np.arange(4, dtype="f4"), "i2": np.arange(4, dtype="i2"), "b": np.arange(4) > 1}
    for frame in (pa.table({"id": [1, 1, 2, 2], **narrow}), pd.DataFrame({"id": [1, 1, 2, 2], **narrow})):
        assert read(frame, id="id", require_target=False).X.dtype == np.float32
        wide = read(frame, id="id", require_target=False, dtype="float64").X
        assert wide.dtype == wide.train_dtype == np.float64
