"""Puts the page on disk: whole or not at all, and for its owner alone, since it names records."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from target_apollo.files import sync_folder


def write_page(path: Path, text: str) -> None:
    """Writes a file in one step over the one that may be there, with mode 0600.

    Raises:
        OSError: It can't be written; a file that was there is as it was.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made with mode 0600.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)
