from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from target_apollo.target.process import collect_rarely


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_what_is_loaded_already_is_not_looked_at() -> None:
    loaded = object_in_a_circle()

    collect_rarely()

    assert gc.get_freeze_count() > 0
    assert all(one is not loaded for one in gc.get_objects())


def test_the_collector_looks_more_seldom_and_is_not_off() -> None:
    usual = gc.get_threshold()[0]
    # As it is while the program is loaded.
    gc.disable()

    collect_rarely()

    assert gc.isenabled()
    assert gc.get_threshold()[0] > usual


def object_in_a_circle() -> list[object]:
    circle: list[object] = []
    circle.append(circle)
    return circle
