"""What all tests have in common: a log without handlers, and how many examples Hypothesis tries.

``make test`` chooses the profile ``fast``, ``make test-all`` and pytest by hand have ``thorough``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

FAST, THOROUGH = "fast", "thorough"
_OWN = "_hypothesis_internal_use_settings"

settings.register_profile(THOROUGH, settings(deadline=None))
settings.register_profile(FAST, settings(deadline=None), max_examples=10)
settings.load_profile(THOROUGH)


#: Folders whose tests start servers and processes.
_SLOW_FOLDERS = ("promises", "ledger")
#: In the profile ``fast``, of the parameters of one of their tests.
_MOST_PARAMETERS = 3


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Hold tests to fewer examples and parameters in the profile ``fast``."""
    if config.getoption("--hypothesis-profile") != FAST:
        return
    _leave_out_parameters(config, items)
    most = settings.get_profile(FAST).max_examples
    for item in items:
        function = getattr(item, "obj", None)
        function = getattr(function, "__func__", function)
        own = getattr(function, _OWN, None)
        if own is not None and own.max_examples > most:
            # Hypothesis offers no public way to change a test that has settings.
            setattr(function, _OWN, settings(own, max_examples=most))


def _leave_out_parameters(config: pytest.Config, items: list[pytest.Item]) -> None:
    seen: Counter[str] = Counter()
    kept, left_out = [], []
    for item in items:
        name, _, parameters = item.nodeid.partition("[")
        is_full = item.get_closest_marker("full") is not None
        is_slow = bool(parameters) and name.split("/")[1] in _SLOW_FOLDERS
        seen[name] += is_slow and not is_full
        (left_out if is_slow and seen[name] > _MOST_PARAMETERS else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def no_handler_stays() -> Iterator[None]:
    """Takes away the handlers of a command that ran inside the test: their streams are closed."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
