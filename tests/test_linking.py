from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from target_apollo.ledger import Ledger
from target_apollo.linking import StreamLinks
from target_apollo.objects import CONTACT
from target_apollo.outcomes import Outcome
from target_apollo.rows import Mode, Row

ADA = "ada@example.com"
ADA_ID = "a" * 24


@pytest.fixture
def links(tmp_path: Path) -> Iterator[StreamLinks]:
    """The links of a stream in which the keys 1 and 2 are one contact, with their last titles."""
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    found = StreamLinks(
        ledger,
        CONTACT,
        "contacts",
        connection="team",
        run_id="run-1",
        mode=Mode.UPSERT,
        full_resync=False,
    )
    rows = [row(1, key=1, title="first"), row(2, key=2, title="second")]
    found.recall(rows, {})
    for one in rows:
        found.note(one, Outcome.UPDATED, ADA_ID, None, None)
    found.commit()
    yield found
    found.release()
    ledger.close()


def row(number: int, *, key: int, title: str) -> Row:
    return Row(number, (key,), ADA, {"email": ADA, "title": title})


def test_rows_that_the_ledger_knows_need_no_request(links: StreamLinks) -> None:
    known = [row(3, key=1, title="first"), row(4, key=2, title="second")]
    assert links.recall(known, {}).settled == [(one, Outcome.UNCHANGED, ADA_ID) for one in known]


def test_a_known_row_is_written_again_after_another_row_of_its_record(links: StreamLinks) -> None:
    changed, known = row(3, key=1, title="new"), row(4, key=2, title="second")
    found = links.recall([changed, known], {})
    assert [one.number for one in found.open] == [3, 4]


def test_rows_that_share_a_record_find_it_by_their_address(links: StreamLinks) -> None:
    found = links.recall([row(3, key=1, title="new")], {})
    assert [one.apollo_id for one in found.open] == [None]


def test_a_known_row_of_another_record_is_left_alone(links: StreamLinks) -> None:
    other = Row(3, (3,), "bob@example.com", {"email": "bob@example.com"})
    known = row(4, key=2, title="second")
    assert links.recall([other, known], {}).settled == [(known, Outcome.UNCHANGED, ADA_ID)]
