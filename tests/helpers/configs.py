"""Right settings with all their defaults, for tests that change one of them."""

from __future__ import annotations

from typing import Any

from target_apollo.config.schema import SCHEMA
from target_apollo.config.validation import with_defaults

SECRET = "s3cr3t-that-must-not-be-seen"


def config(**own: Any) -> dict[str, Any]:
    """A config with its defaults filled in, as the target hands it over."""
    return {**with_defaults({"api_key": SECRET}, SCHEMA), **own}
