"""The command line: ``throughtime fit``, ``search``, ``compare``, ``predict``, ``flow``, ``data``, ``demo``.

What a command needs is imported when it runs: ``--help`` answers without torch.
"""

from throughtime.cli.app import main

__all__ = ["main"]
