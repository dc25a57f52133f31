"""The code of the guide runs as it is printed."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GUIDE = Path(__file__).parents[1] / "docs" / "guide"


def test_the_forecasting_guide_runs_and_its_forecast_beats_the_season(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", (GUIDE / "forecasting.md").read_text(encoding="utf-8"), re.S):
        exec(block, names)
    assert names["ahead"].shape == (7,)
    assert np.isfinite(names["ahead"]).all()
    table = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(table) == ["mean", "seasonal naive, 7", "ridge on lags", "1-NN on lags"]
    # the naive forecast does not know the price, the network does
    assert names["scores"].mean() > float(table["seasonal naive, 7"])
