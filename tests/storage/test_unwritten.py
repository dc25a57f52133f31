"""A run in memory is read as the run on disk that it becomes."""

from pathlib import Path

import numpy as np
import pytest

from throughtime.errors import StorageError
from throughtime.storage import arrays_to_bytes, json_to_bytes, read_run, unwritten_run, write_run

FILES = {"facts.json": json_to_bytes({"a": 1}), "weights.safetensors": arrays_to_bytes({"w": np.arange(3.0)})}


def test_a_run_in_memory_gives_what_it_gives_when_it_is_written(tmp_path: Path) -> None:
    held = unwritten_run(tmp_path / "run", FILES, {"kind": "fit"})
    write_run(tmp_path / "run", FILES, {"kind": "fit"})
    written = read_run(tmp_path / "run")
    assert held.directory == written.directory
    assert (held.manifest.files, held.manifest.facts) == (written.manifest.files, written.manifest.facts)
    assert held.json("facts.json") == written.json("facts.json")
    np.testing.assert_array_equal(held.arrays("weights.safetensors")["w"], written.arrays("weights.safetensors")["w"])


def test_what_it_will_not_have_and_names_that_leave_it_are_refused() -> None:
    with pytest.raises(StorageError, match=r"will have no file 'other'; it has \['facts.json'"):
        unwritten_run(Path("run"), FILES, {}).bytes("other")
    with pytest.raises(StorageError, match="needs a relative name"):
        unwritten_run(Path("run"), {"../x": b""}, {})
