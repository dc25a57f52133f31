"""What torch's own test suite calls its recurrent layers with, its checks of derivatives batched and forward too."""

import subprocess
import sys
from pathlib import Path


def test_torchs_own_module_inputs_pass_with_batched_and_forward_derivatives():
    # in a process of its own: torch's test utilities change filters of warnings and flags as they are imported
    script = Path(__file__).with_name("torchs_inputs.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout.split()[-1]) >= 100
