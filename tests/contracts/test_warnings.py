"""A warning points at the line of the user's that led to it, however deep in the package its reason was found."""

import subprocess
import sys
from pathlib import Path

import pytest

#: Each warns at its last line. In a process of its own: the type checks of the tests put frames of theirs between.
CALLS = {
    "flow": """
from throughtime import SequenceClassifier
model = SequenceClassifier(max_epochs=1, monitor="flow")
model.fit(np.zeros((8, 60, 2)), np.arange(8) % 2)""",
    "frames": """
import pandas as pd
from throughtime import Sequences
frames = [pd.DataFrame({"Unnamed: 0": range(9), "a": 1.5}) for _ in range(3)]
Sequences.from_arrays(frames)""",
    "layout": """
from throughtime import SequenceClassifier
model = SequenceClassifier(max_epochs=1)
model.fit(np.zeros((8, 1, 60)), np.arange(8) % 2)""",
    "untargeted": """
from throughtime import read
rows = [f"{i},{k},{'' if i == 2 else i % 2}" for i in range(9) for k in (2, 1)]
Path("t.csv").write_text("\\n".join(["id,x,y", *rows]))
read("t.csv", id="id", target="y")""",
    "groups": """
from sklearn.model_selection import KFold
from throughtime import SequenceClassifier, Sequences, cross_validate
X = Sequences.from_arrays(list(np.random.default_rng(0).normal(size=(8, 9, 2))), groups=[0, 0, 1, 1, 2, 2, 3, 3])
cross_validate(SequenceClassifier(max_epochs=1), X, np.arange(8) % 2, cv=KFold(2))""",
    "convert": """
import torch
from throughtime.nn import convert
class Own(torch.nn.LSTM): pass
convert(torch.nn.Sequential(Own(2, 3)))""",
}


@pytest.mark.parametrize("name", CALLS)
def test_a_warning_points_at_the_users_line(name: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"from pathlib import Path\nimport numpy as np{CALLS[name]}\n")
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    last = len(script.read_text().splitlines())
    assert f"script.py:{last}: " in done.stderr, done.stderr
