"""One sandbox for many tests: each finds it new, and leaves it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from target_apollo.sandbox import Sandbox


@pytest.fixture
def apollo(served: Sandbox) -> Iterator[Sandbox]:
    """The sandbox with an empty log and its whole quota; options and faults end with the test."""
    options = served.options
    served.reset_log()
    served.reset_quota()
    yield served
    served.options = options
    served.clear_faults()
