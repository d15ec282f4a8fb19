"""Where a run's rows come from, unless the setting `source` says it."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

#: Meltano gives it to the loader and to the mapper of `meltano run`, `el` and `elt`.
_EXTRACTOR = "MELTANO_EXTRACTOR_NAME"


def source_by_default() -> str:
    """Meltano's name of the extractor; empty in a process that no pipeline of Meltano runs."""
    return os.environ.get(_EXTRACTOR, "")


def add_source(config: MutableMapping[str, Any]) -> None:
    """Adds the setting `source` to a target's settings where they have none.

    An empty source stays empty.
    """
    if config.get("source") is None:
        config["source"] = source_by_default()
