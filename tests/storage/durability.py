"""What a power cut could undo: every change of names in a directory that has not been synced since."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class Unsynced:
    """Directories whose names have changed since they were last synced; filled while calls to the system are patched.

    ``at`` is called before a file is put in place, with its place.
    """

    def __init__(self, patch: pytest.MonkeyPatch, at: Callable[[Path], object] = lambda _: None) -> None:
        self.directories: set[Path] = set()
        self._at = at
        for name, targets in (("mkdir", 1), ("unlink", 1), ("rmdir", 1), ("rename", 2), ("replace", 2)):
            patch.setattr(os, name, self._noted(getattr(os, name), targets, name))
        fsync = os.fsync

        def synced(descriptor: int) -> None:
            fsync(descriptor)
            found = os.fstat(descriptor)
            self.directories -= {one for one in self.directories if os.path.samestat(found, one.stat())}

        patch.setattr(os, "fsync", synced)

    def _noted(self, call: Callable[..., Any], targets: int, name: str) -> Callable[..., Any]:
        def run(*paths: Any, **keywords: Any) -> Any:
            if name == "replace":
                self._at(Path(paths[1]))
            result = call(*paths, **keywords)
            if keywords.get("dir_fd") is None:
                self.directories |= {Path(path).parent for path in paths[:targets]}
            if name == "rename":  # what was in the directory is elsewhere now
                old, new = map(Path, paths)
                moved = {one for one in self.directories if one.is_relative_to(old)}
                self.directories = (self.directories - moved) | {new / one.relative_to(old) for one in moved}
            self.directories = {one for one in self.directories if one.exists()}
            return result

        return run

    def below(self, directory: Path) -> set[Path]:
        """Those in a directory, itself too."""
        return {one for one in self.directories if one.is_relative_to(directory)}
