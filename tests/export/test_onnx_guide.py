"""The guide's code for where a model is deployed runs without this package and without torch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "export.md"
BLOCKED = "import sys\nfor name in ('throughtime', 'torch', 'sklearn', 'onnx'):\n    sys.modules[name] = None\n"


def test_the_guides_deployment_needs_onnxruntime_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [part.split("```")[0] for part in GUIDE.read_text(encoding="utf-8").split("```python\n")[1:]]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        if "export_torch(" in block or "export_onnx(" in block:
            exec("import numpy as np\n" + block, names)
    answers = []
    for block in blocks:
        if "import onnxruntime" in block:
            labels = "found['label']" if "found" in block else "label"
            code = f"{BLOCKED}{block}print({labels}.tolist())"
            answers.append(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True))
    whole, stream = (answer.stdout.splitlines()[-1] for answer in answers)
    expected = names["estimator"].predict(names["X"]).tolist()
    assert (whole, stream) == (str(expected), str(expected[:1]))
