"""Which parameters of a test belong to `make test`, and which only to `make chaos`."""

from __future__ import annotations

import functools
import random
import subprocess
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest


def sampled(values: Iterable[Any] | Mapping[str, Any], few: int = 1) -> list[Any]:
    """Parameters of a test, of which all but the first few are left to `make test-all`.

    Args:
        values: The values, or a name -> value for a test whose names are to be seen; tuples for
            several parameters.
    """
    named = values.items() if isinstance(values, Mapping) else ((None, one) for one in values)
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            id=name,
            marks=[pytest.mark.full] if number >= few else [],
        )
        for number, (name, value) in enumerate(named)
    ]


def mostly_chaos(values: Iterable[Any], few: int = 1) -> list[Any]:
    """Parameters of which all but the first few are left to `make chaos`.

    For seeds and other parameters of which one finds what another does.
    """
    return [
        pytest.param(value, marks=[pytest.mark.full, pytest.mark.chaos] if number >= few else [])
        for number, value in enumerate(values)
    ]


#: Folders whose tests start servers and processes.
_SLOW_FOLDERS = ("promises", "ledger", "tap")
#: In the profile ``fast``, of the parameters of one of their tests.
_MOST_PARAMETERS = 2
#: Folders whose tests mean the same on both databases; in `ledger` the database is what is tested.
_OF_ANY_DATABASE = ("promises", "tap")
#: One in so many of their tests is also run on PostgreSQL.
_POSTGRESQL_SHARE = 4
#: Tests whose parameters are crossed with ledgers, methods of updates and each other, so that one
#: combination finds what another does; the whole suite tries so many of those marked ``full``.
_CROSSED = ("tests/promises/identity/", "tests/promises/test_open_questions.py")
_MOST_COMBINATIONS = 4
#: Tests that kill, signal or answer amiss at many moments; the whole suite tries half of these.
_SWEEPS = (
    "tests/promises/test_border.py",
    "tests/promises/test_chaos.py",
    "tests/promises/test_identity_law.py",
    "tests/promises/test_kill_sweep.py",
    "tests/promises/test_signals_at_any_time.py",
    "tests/promises/test_world.py",
    "tests/promises/objects/test_deals_killed.py",
    "tests/promises/objects/test_interrupted_lists.py",
    "tests/promises/objects/test_killed_enrolments.py",
    "tests/promises/objects/test_tasks_killed.py",
)


def left_to_the_whole_suite(tests: Collection[str], sample: str) -> frozenset[str]:
    """Parameters of tests of slow folders that `make test` leaves out.

    Args:
        tests: The ids of the tests without the mark ``full``, in order.
        sample: Of which tests the second database is tried; another text, other tests.
    """
    seen: Counter[str] = Counter()
    left = set()
    for test in tests:
        name, _, parameters = test.partition("[")
        folder = name.split("/")[1]
        if not parameters or folder not in _SLOW_FOLDERS:
            continue
        seen[name] += 1
        is_second_database = (
            folder in _OF_ANY_DATABASE
            and test.replace("postgresql", "sqlite") in tests
            and "postgresql" in parameters
            and random.Random(f"{sample} {name}").randrange(_POSTGRESQL_SHARE)
        )
        if seen[name] > _MOST_PARAMETERS or is_second_database:
            left.add(test)
    return frozenset(left)


def left_to_chaos(tests: Iterable[str], sample: str) -> frozenset[str]:
    """Parameters of tests that `make test-all` leaves to `make chaos`.

    Args:
        tests: The ids of the tests with the mark ``full`` and without ``chaos``.
        sample: Which parameters are tried; another text, other ones.
    """
    parameters: dict[str, list[str]] = {}
    for test in tests:
        if test.startswith((*_CROSSED, *_SWEEPS)):
            parameters.setdefault(test.partition("[")[0], []).append(test)
    left = set[str]()
    for name, found in parameters.items():
        random.Random(f"{sample} {name}").shuffle(found)
        half = (len(found) + 1) // 2
        left.update(found[half if name.startswith(_SWEEPS) else _MOST_COMBINATIONS :])
    return frozenset(left)


@functools.cache
def present_commit() -> str:
    """The hash of the commit that is tested, or the date where there is no repository."""
    asked = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or datetime.now(timezone.utc).date().isoformat()
