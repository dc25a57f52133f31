"""The code of README and guide runs as it is printed."""

import os
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from pages import GUIDES, PAGES, README, blocks

# As a reader runs them; what their calls are made of has its types checked by its own tests.
pytestmark = pytest.mark.usefixtures("types_unchecked")


def run(page: Path) -> dict[str, Any]:
    """The names that a page's blocks leave behind, run one after the other as in a notebook."""
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks(page, "python")):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = {*sys.modules}
    mpl.use("Agg")
    yield
    plt.close("all")
    for name in {*sys.modules} - modules:  # what a page has written and imported
        if getattr(sys.modules[name], "__file__", None) and str(sys.modules[name].__file__).startswith(str(tmp_path)):
            del sys.modules[name]


#: Pages that take long: `make docs` runs them whenever it builds the site, and so they are run here only when asked.
LONG = {"augmentation", "features", "generalization", "shift", "verdict", "windows"}
only_when_asked = pytest.mark.skipif(
    "THROUGHTIME_SOAK" not in os.environ, reason="a long page, which `make docs` runs; here with THROUGHTIME_SOAK=1"
)

FORECASTING = next(page for page in GUIDES if page.stem == "forecasting")
TRACKING = next(page for page in GUIDES if page.stem == "tracking")
WINDOWS = next(page for page in GUIDES if page.stem == "windows")
SHIFT = next(page for page in GUIDES if page.stem == "shift")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=only_when_asked if page.stem in LONG else ())
        for page in (README, *GUIDES)
        if page not in (FORECASTING, SHIFT, TRACKING, WINDOWS)
    ],
)
def test_every_block_of_python_runs_in_the_order_of_the_page(page: Path) -> None:
    assert run(page)


def test_blocks_are_of_a_language_that_is_run_or_parsed() -> None:
    for page in PAGES:
        fences = page.read_text(encoding="utf-8").count("```")
        assert fences == 2 * len(blocks(page, "python", "sh", "toml")), page


def test_the_tracking_guide_runs_and_every_tracker_has_every_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
    names = run(TRACKING)
    logged = [call.args[1:3] for call in names["client"].log_metric.call_args_list]
    losses = [value for name, value in logged if name == "train_loss"]
    fitted = names["fitted"]
    assert losses == [net.history_[epoch].train_loss for epoch in range(3) for net in fitted]
    assert names["client"].set_terminated.call_count == len(fitted)
    assert [line["train_loss"] for line in names["read_metric_log"]("metrics.jsonl")] == losses
    assert len(list(Path("board").iterdir())) == len(fitted)
    assert "21 lines" in capsys.readouterr().out


def test_the_forecasting_guide_runs_and_its_forecast_beats_the_season(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(FORECASTING)
    assert names["ahead"].shape == (7,)
    assert np.isfinite(names["ahead"]).all()
    table = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:])
    assert list(table) == ["mean", "seasonal naive, 7", "ridge on lags", "1-NN on lags"]
    # the naive forecast does not know the price, the network does
    assert names["scores"].mean() > float(table["seasonal naive, 7"])


@only_when_asked
def test_the_windows_guide_runs_and_random_folds_are_flagged_and_score_above_folds_by_person() -> None:
    names = run(WINDOWS)
    at_random, by_person = (
        (study.scores[0].validation, {finding.code for finding in study.findings if finding.verdict == "found"})
        for study in (names["at_random"], names["by_person"])
    )
    assert {"GEN002", "GEN004"} <= at_random[1]
    assert not {"GEN002", "GEN003", "GEN004"} & by_person[1]
    assert 0.80 <= by_person[0] <= 0.87 < at_random[0]


@only_when_asked
def test_the_shift_guide_runs_and_names_what_it_planted() -> None:
    planted = {"none": "none detected", "covariate": "covariate", "label": "label", "concept": "concept"}
    assert run(SHIFT)["named"] == planted
