"""Which pages of a search are read, and which records on them are believed."""

from __future__ import annotations

import logging
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.apollo import ApolloClient, Quota, RecordPage
from target_apollo.ledger import Link, LinkStatus
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, Json
from target_apollo.sync.concurrency import RequestPool
from target_apollo.sync.counts import RequestCounter
from target_apollo.sync.updates import record_pages
from target_apollo.sync.updates.bulk_requests import UpdateRoutes
from target_apollo.sync.updates.record_pages import (
    FEW,
    Age,
    RecordPages,
    age_of,
    most_pages,
    searches_to_spend,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
counts = st.integers(min_value=0, max_value=5_000)


@dataclass
class Team:
    """A team's records in the order in which they were last changed, and the pages asked for."""

    ids: list[str]
    asked: list[int] = field(default_factory=list)

    def last_changed(self, _of: object, page: int) -> RecordPage:
        self.asked.append(page)
        shown = self.ids[(page - 1) * 100 : page * 100]
        records: list[dict[str, Any]] = [{"id": one, "title": f"title of {one}"} for one in shown]
        return RecordPage(records, -(-len(self.ids) // 100))


@pytest.fixture
def pool() -> Iterator[RequestPool]:
    made = RequestPool(4, threading.Event())
    yield made
    made.close()


Opened = Callable[[Team], RecordPages]


@pytest.fixture
def opened(pool: RequestPool) -> Opened:
    logger = logging.getLogger("test")

    def open_pages(team: Team) -> RecordPages:
        return RecordPages(
            cast("ApolloClient", team),
            CONTACT,
            pool,
            UpdateRoutes(Quota(), 1.0, logger),
            RequestCounter(lambda _endpoint: (), None),
            4,
        )

    return open_pages


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds = [1_000.0]
    monkeypatch.setattr(record_pages.time, "monotonic", lambda: seconds[0])
    return seconds


def ids(first: int, count: int) -> list[str]:
    return [f"{n:024x}" for n in range(first, first + count)]


# --- how many pages are worth it


@given(counts, counts, st.one_of(st.none(), st.integers(1, 500)))
def test_pages_cost_at_most_a_tenth_more_than_single_reads(
    wanted: int, found: int, pages: int | None
) -> None:
    found = min(found, wanted)
    most = most_pages(wanted, found, pages, None)
    # All pages together show all records.
    reads_all = pages is not None and most == pages < wanted
    assert reads_all or most + wanted - found <= wanted + wanted // 10


@given(counts, counts, st.one_of(st.none(), st.integers(1, 500)), st.integers(0, 400))
def test_more_pages_are_read_where_the_single_reads_do_not_fit(
    wanted: int, found: int, pages: int | None, left: int
) -> None:
    assert most_pages(wanted, found, pages, left) >= most_pages(wanted, found, pages, None)


# --- which pages are read


def test_pages_are_read_until_all_records_are_found(opened: Opened) -> None:
    team = Team(ids(0, 5_000))
    wanted = ids(0, 300)

    found = opened(team).find(wanted)

    assert sorted(found) == wanted
    assert sorted(team.asked) == [1, 2, 3]


def test_no_page_is_read_for_few_records(opened: Opened) -> None:
    team = Team(ids(0, 100))
    assert opened(team).find(ids(0, FEW)) == {}
    assert not team.asked


def test_pages_that_show_nothing_needed_end_the_reading(opened: Opened) -> None:
    team = Team(ids(0, 60_000))

    assert opened(team).find(ids(90_000, 400)) == {}

    assert len(team.asked) == 40


def test_what_earlier_pages_showed_is_known_to_the_next_batch(opened: Opened) -> None:
    team = Team(ids(0, 1_000))
    pages = opened(team)
    # The rows come in the order in which an earlier run wrote them, which is that of the oldest.
    pages.find(ids(800, 200))
    team.asked.clear()

    found = pages.find(ids(600, 200))

    assert len(found) == 200
    assert found[ids(600, 1)[0]]["title"] == f"title of {ids(600, 1)[0]}"
    assert not team.asked


def test_the_next_batch_reads_on_behind_the_pages_that_are_known(opened: Opened) -> None:
    team = Team(ids(0, 1_000))
    pages = opened(team)
    pages.find(ids(0, 200))
    team.asked.clear()

    assert len(pages.find(ids(200, 200))) == 200
    assert sorted(team.asked) == [3, 4]


def test_a_page_is_believed_for_two_minutes(opened: Opened, clock: list[float]) -> None:
    team = Team(ids(0, 300))
    pages = opened(team)
    pages.find(ids(200, 100))
    team.asked.clear()
    clock[0] += 120

    pages.find(ids(0, 100))

    assert team.asked == [1]


def test_a_record_that_this_run_wrote_is_not_taken_from_a_page(
    opened: Opened, clock: list[float]
) -> None:
    pages = opened(Team(ids(0, 300)))
    pages.find(ids(200, 100))
    pages.note_written(ids(0, 50))
    assert set(pages.find(ids(0, 100))) == set(ids(50, 50))

    # Neither from one that is read after the write, until the search surely shows it.
    clock[0] += 119
    pages.note_written(ids(60, 1))
    clock[0] += 1
    assert set(pages.find(ids(0, 100))) == set(ids(0, 100)) - set(ids(60, 1))


def test_a_record_is_given_once(opened: Opened) -> None:
    pages = opened(Team(ids(0, 300)))
    pages.find(ids(200, 100))
    assert set(pages.find(ids(0, 10))) == set(ids(0, 10))
    assert pages.find(ids(0, 10)) == {}


def test_all_that_apollo_shows_is_kept_in_little_memory(opened: Opened) -> None:
    pages = opened(Team(ids(0, 60_000)))
    tracemalloc.start()

    pages.find(ids(49_000, 1_000))

    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pages) == 49_000
    assert kept < 20_000_000
    assert len(pages.find(ids(0, 100))) == 100


@given(st.one_of(st.none(), st.integers(0, 2_000)), st.booleans())
def test_some_searches_are_left_for_what_nothing_else_can_find(
    left: int | None, is_short: bool
) -> None:
    spent = searches_to_spend(left, is_short=is_short)
    assert spent <= 500 if left is None else spent < left or left == 0


def test_a_search_that_was_found_behind_is_not_used_again(opened: Opened) -> None:
    team = Team(ids(0, 300))
    pages = opened(team)
    pages.find(ids(200, 100))
    pages.close()
    team.asked.clear()

    assert pages.find(ids(0, 100)) == {}
    assert not team.asked


# --- which records are believed


def link(apollo_updated_at: str | None, minutes_ago: int, apollo_id: str = "a") -> Link:
    at = NOW - timedelta(minutes=minutes_ago)
    return Link(
        source_key="1",
        apollo_id=apollo_id,
        match_hash=None,
        payload_hash=None,
        status=LinkStatus.UPDATED,
        first_synced_at=at,
        last_synced_at=at,
        error=None,
        run_id=None,
        apollo_updated_at=apollo_updated_at,
    )


EARLY, LATE = "2026-01-01T11:00:00.000Z", "2026-01-01T11:59:59.000Z"


@pytest.mark.parametrize(
    ("shown", "before", "known", "expected"),
    [
        ({"updated_at": LATE}, None, link(LATE, 0), Age.PRESENT),
        ({"updated_at": LATE}, None, link(EARLY, 0), Age.PRESENT),
        ({"updated_at": EARLY}, None, link(LATE, 0), Age.BEHIND),
        ({"updated_at": EARLY}, None, link(LATE, 0, "other"), Age.PRESENT),
        ({"updated_at": EARLY}, {"updated_at": LATE}, None, Age.BEHIND),
        ({"updated_at": LATE}, {"updated_at": LATE}, link(EARLY, 0), Age.PRESENT),
        ({"updated_at": EARLY}, None, link(None, 1), Age.UNKNOWN),
        ({"updated_at": EARLY}, None, link(None, 2), Age.PRESENT),
        ({"updated_at": EARLY, "title": "A"}, {"title": "B"}, None, Age.UNKNOWN),
        ({"updated_at": EARLY, "title": "A"}, {"title": "A"}, None, Age.PRESENT),
        ({"updated_at": EARLY}, None, None, Age.PRESENT),
    ],
)
def test_the_age_of_a_contact_on_a_page(
    shown: Json, before: Json | None, known: Link | None, expected: Age
) -> None:
    assert age_of(CONTACT, {"id": "a", **shown}, before, known, NOW) is expected


@pytest.mark.parametrize(
    ("shown", "before", "known", "expected"),
    [
        ({}, None, link(EARLY, 1), Age.UNKNOWN),
        ({}, None, link(EARLY, 2), Age.PRESENT),
        ({"name": "A"}, {"name": "B", "updated_at": LATE}, None, Age.UNKNOWN),
        ({"name": "A"}, {"name": "A", "updated_at": LATE}, None, Age.PRESENT),
    ],
)
def test_the_age_of_an_account_on_a_page(
    shown: Json, before: Json | None, known: Link | None, expected: Age
) -> None:
    assert age_of(ACCOUNT, {"id": "a", **shown}, before, known, NOW) is expected
