"""``fit`` and ``search`` killed by SIGKILL at random instants, and gone on with: the bytes of an unbroken run.

20 kills; ``THROUGHTIME_SOAK=1`` has 200, and all that a run holds. ``benchmarks/kills.py`` has 1,000.
"""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = os.environ.get("THROUGHTIME_SOAK", "") != ""
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kills.py"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_run_killed_at_any_instant_is_gone_on_with_to_the_unbroken_one(tmp_path: Path) -> None:
    kills = 200 if SOAK else 20
    results = tmp_path / "kills.csv"
    settings = ["--kills", str(kills), "--results", str(results), "--every", "0.02"]
    quick = [] if SOAK else ["--quick", "--epochs", "30"]
    subprocess.run([sys.executable, SCRIPT, *settings, *quick], check=True, timeout=3600, stdout=subprocess.DEVNULL)
    with results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["command"] for row in rows] == ["fit", "search"]
    assert sum(int(row["strikes"]) for row in rows) > kills / 4
    for row in rows:
        assert row["identical"] == row["kills"] == str(kills // 2)
        assert (row["unreadable"], row["leftovers"]) == ("0", "0")
