"""What all tests have in common: folders, a log without handlers, how many examples are tried.

``make test`` chooses the profile ``fast``, ``make test-all`` and pytest by hand have ``thorough``.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers.databases import stop_server
from tests.helpers.tiers import left_to_chaos, left_to_the_whole_suite, present_commit

FAST, THOROUGH = "fast", "thorough"
_OWN = "_hypothesis_internal_use_settings"

settings.register_profile(THOROUGH, settings(deadline=None))
settings.register_profile(FAST, settings(deadline=None), max_examples=10)
settings.load_profile(THOROUGH)

#: A folder in memory, and the free bytes with which it has room for the files of all tests.
_IN_MEMORY = Path("/dev/shm")
_ROOM = 2 * 1024**3
if _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free > _ROOM:
    # On a disk a quarter of a test's time is waiting until SQLite and PostgreSQL have written.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))

# By default Python looks through all objects at each 700 new ones, and a tenth of a test goes by.
gc.set_threshold(20_000, 20, 20)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave combinations to `make chaos`; hold the profile ``fast`` to fewer examples as well."""
    _leave_out_combinations(items)
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


def _leave_out_combinations(items: list[pytest.Item]) -> None:
    full = [one for one in items if one.get_closest_marker("full") is not None]
    left = left_to_chaos(
        [one.nodeid for one in full if one.get_closest_marker("chaos") is None], present_commit()
    )
    for item in full:
        if item.nodeid in left:
            item.add_marker(pytest.mark.chaos)


def _leave_out_parameters(config: pytest.Config, items: list[pytest.Item]) -> None:
    first = {item.nodeid: None for item in items if item.get_closest_marker("full") is None}
    left = left_to_the_whole_suite(first.keys(), present_commit())
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left])
    items[:] = [item for item in items if item.nodeid not in left]


@pytest.fixture(scope="session", autouse=True)
def no_server_stays() -> Iterator[None]:
    """Stops the PostgreSQL that tests share."""
    yield
    stop_server()


@pytest.fixture(autouse=True)
def no_handler_stays() -> Iterator[None]:
    """Takes away the handlers of a command that ran inside the test: their streams are closed."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
