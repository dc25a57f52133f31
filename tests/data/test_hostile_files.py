import io
import os
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from data_forms import write_all

from throughtime.data import Dataset, Sequences, load, read
from throughtime.errors import DataError, DataWarning

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
        warnings.simplefilter("ignore", DataWarning)  # damage may leave a series without its target
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


@pytest.mark.parametrize("role", ["id", "target", "group"])
@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("us", "UTC"), pa.timestamp("ms"), pa.date32()])
def test_dates_beyond_pythons_calendar_are_no_labels(role, kind):
    days = kind == pa.date32()
    far = pa.array([2**31 - 1 if days else 2**62, 0, 1], pa.int32() if days else pa.int64()).view(kind)
    table = pa.table({"id": ["a", "b", "c"], "far": far, "v": [1.0, 2.0, 3.0], "y": [1, 2, 3]})
    with pytest.raises(DataError, match="a date as a label needs a year from 1 to 9999"):
        read(table, **{"id": "id", "target": "y", "channels": ["v"], role: "far"})


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("damaged", [False, True])
def test_an_archive_packed_as_numpy_does_not_is_refused(kind, damaged, tmp_path):
    member = io.BytesIO()
    np.save(member, np.zeros((3, 2)))
    with zipfile.ZipFile(tmp_path / "x.npz", "w", kind) as archive:
        archive.writestr("X.npy", member.getvalue())
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[40:60] = b"\xff" * 20 if damaged else content[40:60]
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"X\.npy needs to be stored or deflated, got compression 1"):
        read(tmp_path / "x.npz", require_target=False)


@pytest.mark.parametrize("name", ["times", "y", "ids", "groups", "X", "static"])
@pytest.mark.parametrize("unit", ["<M8", "<m8", ">M8"])
def test_dates_without_a_unit_are_refused(name, unit, tmp_path):
    header = f"{{'descr': '{unit}', 'fortran_order': False, 'shape': (2, 1), }}\n".encode()
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\1" * 16)
    with pytest.raises(DataError, match="needs the header that numpy"):
        read(tmp_path / "x.npz", require_target=False)


@pytest.mark.parametrize("name", ["ids", "groups", "y", "channel_names"])
@pytest.mark.parametrize("letter", [0x110000, 0xFFFFFFFF, 0xD800, 0xDFFF])
@pytest.mark.parametrize("order", "<>")
def test_text_of_an_archive_that_is_no_unicode_is_refused(name, letter, order, tmp_path):
    words = np.array([97, letter], f"{order}u4").view(f"{order}U1")
    np.savez(tmp_path / "x.npz", X=np.zeros((2, 3, 2)), **{name: words})
    with pytest.raises(DataError, match=f"{name}.npy needs text of Unicode"):
        read(tmp_path / "x.npz", require_target=False)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".ts"])
def test_a_pipe_or_a_device_is_no_source(suffix, tmp_path):
    source = tmp_path / f"pipe{suffix}"
    os.mkfifo(source)
    device = tmp_path / f"device{suffix}"
    device.symlink_to("/dev/zero")
    for path in (source, device):
        with pytest.raises(DataError, match="a file or a directory, got a pipe, a socket or a device"):
            read(path, require_target=False)
    if suffix in (".csv", ".parquet"):
        device.unlink()
        with pytest.raises(DataError, match=f"pipe{suffix}: a source needs to be a file"):
            read(tmp_path, require_target=False)


@pytest.mark.parametrize("name", [os.fsdecode(b"a\xff"), "\ud800"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".ts", ""])
def test_a_name_that_is_not_utf_8_is_refused_in_words_that_can_be_printed(name, suffix, tmp_path):
    for source in (tmp_path / f"{name}{suffix}", f"{name}{suffix}"):
        with pytest.raises(DataError, match="needs a name in UTF-8") as caught:
            read(source, require_target=False)
        str(caught.value).encode()
    if name.startswith("a") and suffix in (".csv", ".parquet"):
        (tmp_path / f"{name}{suffix}").touch()
        with pytest.raises(DataError, match=rf"a\\udcff{suffix}: a source needs a name in UTF-8"):
            read(tmp_path, require_target=False)


def test_a_path_of_any_depth_or_length_is_read_or_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    deep = "/".join(["d"] * 1200)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    Path("x.csv").write_text("v\n1\n")
    os.chdir(tmp_path)
    assert read(deep, require_target=False).ids == ("x",)
    for absent in (f"{deep}/y.csv", "/".join(["e"] * 3000), "e" * 5000 + ".csv"):
        with pytest.raises(DataError):
            read(absent, id="id")
    os.chdir(deep)  # what removes the folder of the tests goes down by recursion
    os.unlink("x.csv")
    for _ in range(1200):
        os.chdir("..")
        os.rmdir("d")
