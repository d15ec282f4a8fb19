"""Records that rows have made by tries whose answers were lost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest

from target_apollo.apollo import ApolloClient, ObjectEndpoints
from target_apollo.ledger import Ledger, match_hash, source_key
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, Json
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.creates.recovery import (
    CLOCKS_DIFFER_BY,
    OwnRecordCheck,
    find_interrupted_creates,
)
from target_apollo.sync.links.recall import NO_HISTORY, RowHistory
from target_apollo.sync.links.stream_links import StreamLinks

DAY = datetime(2026, 3, 1, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
ADA, BOB = "ada@example.com", "bob@example.com"
APOLLO_ID = "a" * 24


class NewestRecords:
    """A client that shows the newest contacts, page by page, and counts the pages."""

    def __init__(self, *pages: list[Json]) -> None:
        self.pages = pages
        self.asked = 0

    def newest(self, _: ObjectEndpoints, page: int) -> list[Json]:
        self.asked += 1
        return self.pages[page - 1] if page <= len(self.pages) else []


def contact(email: str, created_at: datetime = DAY, **own: Any) -> Json:
    return {"id": APOLLO_ID, "email": email, "created_at": created_at.isoformat(), **own}


def sent(email: str) -> RowHistory:
    return RowHistory("1", sent_at=DAY, sent_under=match_hash(email))


def row(number: int, email: str = "new@example.com", **values: str) -> Row:
    return Row(number, (number,), email, {"email": email, **values})


def found_in(
    newest: NewestRecords, histories: dict[int, RowHistory], *rows: Row
) -> dict[int, Json]:
    rows = rows or tuple(row(number) for number in histories)
    return find_interrupted_creates(cast("ApolloClient", newest), CONTACT, rows, histories)


# --- under a former address


def test_a_record_whose_address_another_row_has_now_is_left_to_that_row() -> None:
    newest = NewestRecords([contact(ADA)])
    assert found_in(newest, {1: sent(ADA)}, row(1), row(2, ADA)) == {}
    assert newest.asked == 0


def test_a_record_of_another_name_is_not_that_of_the_row() -> None:
    newest = NewestRecords([contact(ADA, first_name="Ada")])
    assert found_in(newest, {1: sent(ADA)}, row(1, first_name="Bob")) == {}
    assert found_in(newest, {1: sent(ADA)}, row(1, first_name="Ada")) != {}


def test_the_record_that_was_made_under_a_former_address_is_found() -> None:
    newest = NewestRecords([contact(BOB), contact(ADA)])
    assert found_in(newest, {1: NO_HISTORY, 2: sent(ADA)}) == {2: contact(ADA)}


def test_of_rows_that_were_sent_under_one_address_the_first_gets_the_record() -> None:
    assert list(found_in(NewestRecords([contact(ADA)]), {1: sent(ADA), 2: sent(ADA)})) == [1]


def test_apollo_is_not_asked_where_no_create_was_interrupted() -> None:
    newest = NewestRecords([contact(ADA)])
    confirmed_under_its_address = RowHistory("1", sent_at=DAY)
    assert found_in(newest, {1: NO_HISTORY, 2: confirmed_under_its_address}) == {}
    assert newest.asked == 0


def test_no_page_is_read_past_what_the_interrupted_run_can_have_made() -> None:
    older = contact(BOB, DAY - CLOCKS_DIFFER_BY - SECOND)
    newest = NewestRecords([contact(BOB)], [older], [contact(ADA)])
    assert found_in(newest, {1: sent(ADA)}) == {}
    assert newest.asked == 2


# --- its own or another's


@pytest.fixture
def links() -> Iterator[StreamLinks]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger.open(f"sqlite:///{folder}/ledger.db") as ledger,
    ):
        yield StreamLinks(
            ledger,
            ACCOUNT,
            "accounts",
            connection="team",
            run_id="run-1",
            mode=Mode.UPSERT,
            full_resync=False,
        )


def check(mode: Mode = Mode.UPSERT, links: StreamLinks | None = None) -> OwnRecordCheck:
    return OwnRecordCheck(mode, DAY, links)


@pytest.mark.parametrize(
    ("late", "is_own"), [(-CLOCKS_DIFFER_BY, True), (-CLOCKS_DIFFER_BY - SECOND, False)]
)
def test_a_record_is_the_row_s_own_if_it_is_as_young_as_the_try(
    late: timedelta, is_own: bool
) -> None:
    record = contact(ADA, DAY + late)
    assert check().made(record, RowHistory("1", sent_at=DAY)) is is_own
    assert check().made(record, NO_HISTORY, sent_before=True) is is_own


def test_without_a_lost_answer_no_record_is_the_row_s_own() -> None:
    assert not check().made(contact(ADA), NO_HISTORY)


def test_a_record_without_a_time_is_nobody_s_own() -> None:
    record = {**contact(ADA), "created_at": None}
    assert not check().made(record, RowHistory("1", sent_at=DAY))


def test_mode_insert_completes_what_the_row_made_however_old_it_is() -> None:
    old, history = contact(ADA, DAY - timedelta(days=365)), RowHistory("1", made_record=True)
    assert check(Mode.INSERT).made(old, history)
    assert not check(Mode.UPSERT).made(old, history)


@pytest.mark.parametrize(("key", "is_own"), [(1, True), (2, False)])
def test_a_record_that_another_row_has_is_not_the_row_s_own(
    links: StreamLinks, key: int, is_own: bool
) -> None:
    first = Row(1, (1,), "example.com", {})
    links.add_outcome(first, links.reader.recall([first], {})[1], Outcome.CREATED, APOLLO_ID)
    links.commit()
    history = RowHistory(source_key((key,)), sent_at=DAY)
    assert check(links=links).made(contact(ADA), history) is is_own
