"""Rendered files, kept in a folder so that the next evaluation does not render them again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of files, or None: nothing is kept. Processes may share it."""

    folder: Path | None

    def content(self, name: str, render: Callable[[], bytes]) -> bytes:
        """The file of that name, rendered when it is not there."""
        if self.folder is None:
            return render()
        path = self.folder / name
        try:
            return path.read_bytes()
        except FileNotFoundError:
            pass
        content = render()
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and moved, so that nobody ever reads half a file.
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(aside).replace(path)
        return content

    def within(self, *names: str) -> Kept:
        """The folder inside this one."""
        return Kept(None if self.folder is None else self.folder.joinpath(*names))
