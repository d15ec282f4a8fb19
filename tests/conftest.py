"""What all tests have in common: a log without handlers, and how many examples Hypothesis tries.

``make test`` chooses the profile ``fast``, ``make test-all`` and pytest by hand have ``thorough``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import settings

FAST, THOROUGH = "fast", "thorough"
_OWN = "_hypothesis_internal_use_settings"

settings.register_profile(THOROUGH, settings(deadline=None))
settings.register_profile(FAST, settings(deadline=None), max_examples=10)
settings.load_profile(THOROUGH)


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Hold tests with a number of examples of their own to that of the profile ``fast``."""
    if config.getoption("--hypothesis-profile") != FAST:
        return
    most = settings.get_profile(FAST).max_examples
    for item in items:
        function = getattr(item, "obj", None)
        function = getattr(function, "__func__", function)
        own = getattr(function, _OWN, None)
        if own is not None and own.max_examples > most:
            # Hypothesis offers no public way to change a test that has settings.
            setattr(function, _OWN, settings(own, max_examples=most))


@pytest.fixture(autouse=True)
def no_handler_stays() -> Iterator[None]:
    """Takes away the handlers of a command that ran inside the test: their streams are closed."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
