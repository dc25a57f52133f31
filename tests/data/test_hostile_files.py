import time
import warnings

import numpy as np
import pytest
from data_forms import write_all

from throughtime.data import Dataset, Sequences, load, read
from throughtime.errors import DataError

MUTATIONS = 150
SECONDS = 2.0  # the limit of the design for one file


def mutated(content, rng):
    """Bits flipped, bytes overwritten, pieces cut out, doubled, or cut off."""
    content = bytearray(content)
    kind, at, n = rng.integers(5), int(rng.integers(len(content))), int(rng.integers(1, 64))
    if kind == 0:
        for index in rng.integers(len(content), size=rng.integers(1, 9)):
            content[index] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        content[at : at + n] = rng.bytes(len(content[at : at + n]))
    elif kind == 2:
        del content[at : at + n]
    elif kind == 3:
        content[at:at] = content[at : at + n]
    else:
        del content[at:]
    return bytes(content)


def outcome(path, columns):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return read(path, **columns)
        except DataError as error:
            return str(error)


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    X, y = load("japanese-vowels", "train")
    rows = np.arange(0, 270, 45)
    return write_all(tmp_path_factory.mktemp("forms"), Sequences.from_arrays([X[i][:, :3] for i in rows]), y[rows])


@pytest.mark.parametrize("form", ["csv", "parquet", "npz", "ts"])
def test_a_damaged_file_is_a_data_error_or_a_sound_data_set_and_never_a_hang(form, forms, tmp_path):
    path, columns = forms[form]
    original = path.read_bytes()
    rng = np.random.default_rng(20)
    outcomes = []
    for _ in range(MUTATIONS):
        damaged = tmp_path / f"damaged{path.suffix}"
        damaged.write_bytes(mutated(original, rng))
        begun = time.perf_counter()
        outcomes.append(outcome(damaged, columns))
        assert time.perf_counter() - begun < SECONDS
    messages = [message for message in outcomes if isinstance(message, str)]
    assert len(messages) > 0.3 * MUTATIONS
    assert all(message.startswith(str(damaged)) and len(message) < 1500 for message in messages)
    for data in outcomes:
        if isinstance(data, Dataset):
            assert len(data.X) == len(data.y) == len(data.ids) > 0
            assert not np.isinf(data.X.values).any()


@pytest.mark.parametrize("form", ["csv", "parquet", "npz", "ts"])
def test_a_file_of_noise_or_of_another_kind_is_a_data_error(form, forms, tmp_path):
    path, columns = forms[form]
    rng = np.random.default_rng(0)
    others = [other.read_bytes() for kind, (other, _) in forms.items() if kind in ("csv", "parquet", "npz", "ts")]
    for content in [b"", b"\0" * 100, b"\xff" * 100, rng.bytes(1000), *others]:
        if content == path.read_bytes():
            continue
        damaged = tmp_path / f"noise{path.suffix}"
        damaged.write_bytes(content)
        with pytest.raises(DataError):
            read(damaged, **columns)
