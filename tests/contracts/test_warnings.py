"""A warning points at the line of the user's that led to it, however deep in the package its reason was found."""

import subprocess
import sys

import pytest

#: Each warns at its last line.
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


#: Runs all of them. In a process of their own: the type checks of the tests put frames of theirs between.
RUN = "import runpy, sys\nfor name in sys.argv[1:]: runpy.run_path(name)"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What all of the calls print, each from a file by its name."""
    place = tmp_path_factory.mktemp("scripts")
    for name, call in CALLS.items():
        (place / f"{name}.py").write_text(f"from pathlib import Path\nimport numpy as np{call}\n")
    scripts = [f"{name}.py" for name in CALLS]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *scripts], cwd=place, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("name", CALLS)
def test_a_warning_points_at_the_users_line(name: str, told: str) -> None:
    last = 2 + CALLS[name].count("\n")
    assert f"{name}.py:{last}: " in told, told
