"""The table in the guide to windows is what the benchmark wrote."""

import csv
import re
from statistics import mean

from pages import GUIDES, ROOT

PAGE = next(page for page in GUIDES if page.stem == "windows")


def test_the_table_of_the_windows_guide_is_that_of_the_benchmark() -> None:
    with (ROOT / "benchmarks" / "results" / "windows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = []
    for folds in ("at random", "by person"):
        seeds = [row for row in rows if row["folds"] == folds]
        scores = [float(row["accuracy"]) for row in seeds]
        assert len(scores) == 3
        average, lowest, highest = (f"{score:.3f}".lstrip("0") for score in (mean(scores), min(scores), max(scores)))
        (found,) = {row["found"] for row in seeds}
        expected.append(f"| {folds} | {average} | {lowest} to {highest} | {found} |")
    assert re.findall(r"^\| (?:at random|by person) \|.*$", PAGE.read_text("utf-8"), re.MULTILINE) == expected
