"""What is no file of a run is kept out of its directory, where its manifest would not list it."""

import json
import os
import random
from pathlib import Path

import pytest

from throughtime import storage
from throughtime.errors import StorageError
from throughtime.storage import claim, claim_file, has_traces, write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run, in a folder of a project that has a manifest.json of its own."""
    (tmp_path / "manifest.json").write_text('{"name": "web page", "manifest_version": 3}')
    write_run(tmp_path / "runs" / "it", {"config.json": b'{"source": "a.csv", "parameters": {}}'}, {})
    return tmp_path / "runs" / "it"


MAKE = {"claim": claim, "file": claim_file, "run": lambda path: write_run(path, {}, {})}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
@pytest.mark.parametrize("state", ["finished", "in progress", "damaged"])
def test_nothing_new_is_put_into_a_run(make, state, run):
    if state == "in progress":
        (run / "manifest.json").unlink()
        (run / "request.json").write_text('{"format": "throughtime request"}')
    elif state == "damaged":
        (run / "manifest.json").write_bytes(b"\x00" * 40)
    before = sorted(os.listdir(run))
    for place in (run / "x", run / "sub" / "x", run / ".." / "it" / "x"):
        with pytest.raises(StorageError, match=r"needs a place outside of the run .*it, whose manifest lists"):
            make(place)
    assert sorted(os.listdir(run)) == before
    make(run.parent / "beside")


def test_a_link_into_a_run_is_a_place_in_it(run):
    (run.parent / "link").symlink_to(run, target_is_directory=True)
    with pytest.raises(StorageError, match="outside of the run"):
        claim_file(run.parent / "link" / "page.html")


@pytest.mark.parametrize("name", ["manifest.json", "config.json"])
def test_a_file_with_any_bit_turned_is_still_known_for_one_of_a_run(name, run):
    other = "config.json" if name == "manifest.json" else "manifest.json"
    (run / other).unlink()
    content, draw = (run / name).read_bytes(), random.Random(0)
    for _ in range(200):
        at = draw.randrange(len(content))
        (run / name).write_bytes(content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :])
        assert has_traces(run), at


@pytest.mark.parametrize("name", ["manifest.json", "config.json", "model.json"])
def test_files_that_say_that_they_are_of_others_are_no_trace(name, tmp_path):
    (tmp_path / name).write_text(json.dumps({"model_type": "bert", "hidden_size": 768, "files": {"a.js": 1}}))
    assert not has_traces(tmp_path)
    (tmp_path / name).write_text("")
    assert has_traces(tmp_path)
    assert not storage.is_unfinished(tmp_path)
