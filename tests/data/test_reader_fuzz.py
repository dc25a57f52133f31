"""Files damaged at random: each is read right, or refused with a `DataError`, within bounds of memory and time.

``THROUGHTIME_SOAK=1`` damages 10,000 files of each form. ``reader_fuzz.py`` says how, and what right is.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from reader_fuzz import FORMS

COUNT = 10_000 if os.environ.get("THROUGHTIME_SOAK") else 60
SEED = 0


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_source_is_read_right_or_refused(form: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("reader_fuzz.py")
    command = [sys.executable, str(script), form, str(SEED), str(COUNT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert not found["wrong"], f"{len(found['wrong'])} of {COUNT}, such as {found['wrong'][:3]}; see {tmp_path}"
    assert found["refused"] + found["read"] == COUNT
    assert found["refused"] > 0
