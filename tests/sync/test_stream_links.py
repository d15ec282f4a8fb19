from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from target_apollo.ledger import Ledger, Link, source_key
from target_apollo.model.objects import CONTACT
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.stream_links import StreamLinks

ADA = "ada@example.com"
ADA_ID = "a" * 24


def links_in(ledger: Ledger, mode: Mode = Mode.UPSERT) -> StreamLinks:
    return StreamLinks(
        ledger,
        CONTACT,
        "contacts",
        connection="team",
        run_id="run-1",
        mode=mode,
        full_resync=False,
    )


@pytest.fixture
def links(tmp_path: Path) -> Iterator[StreamLinks]:
    """The links of a stream in which the keys 1 and 2 are one contact, with their last titles."""
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    found = links_in(ledger)
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


def test_a_new_row_gets_its_link_with_its_outcome(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        links = links_in(ledger)
        links.intend(links.recall([row(1, key=1, title="A")], {}).open)
        assert list(links.gone.all()) == []

        links.note(row(1, key=1, title="A"), Outcome.CREATED, ADA_ID, None, None)
        links.commit()
        assert [link.apollo_id for link in links.gone.all()] == [ADA_ID]


new_rows = st.lists(
    st.builds(
        Row,
        number=st.integers(1, 9),
        key=st.tuples(st.integers(1, 9)),
        match_key=st.sampled_from(["bob@example.com", "eve@example.com"]),
        values=st.just({"title": "A"}),
        apollo_id=st.sampled_from([None, "b" * 24]),
        deleted=st.booleans(),
    ),
    unique_by=(lambda one: one.number, lambda one: one.key),
    max_size=4,
)


def left_behind(rows: list[Row], mode: Mode, *, beside: list[Row]) -> tuple[list[Row], list[Link]]:
    """Rows that a new ledger leaves open, and their links after a run that was cut off.

    Args:
        beside: Rows of the same flush that the ledger knows.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger.open(f"sqlite:///{folder}/ledger.db") as ledger,
    ):
        links = links_in(ledger, mode)
        for one in beside:
            links.note(one, Outcome.EXISTING, ADA_ID, None, None)
        links.commit()
        found = links.recall([*beside, *rows], {}).open
        open_rows = [one for one in found if one in rows]
        links.intend(open_rows)
        for one in open_rows[:1]:
            links.note(one, Outcome.CREATED, "c" * 24, None, None)
        links.commit()
        links.release()
        # The next run takes over what was noted and never settled.
        links_in(ledger, mode).release()
        known = {source_key(one.key) for one in beside}
        return open_rows, [link for link in links.gone.all() if link.source_key not in known]


def untimed(links: list[Link]) -> list[Link]:
    return [with_values(link, first_synced_at=None, last_synced_at=None) for link in links]


@settings(deadline=None, max_examples=25)
@given(new_rows, st.sampled_from(Mode))
def test_new_rows_fare_alike_whether_or_not_the_ledger_knows_another_of_the_flush(
    rows: list[Row], mode: Mode
) -> None:
    alone, links_alone = left_behind(rows, mode, beside=[])
    together, links_together = left_behind(rows, mode, beside=[row(10, key=10, title="A")])
    assert alone == together == rows
    assert untimed(links_alone) == untimed(links_together)
    assert len(links_alone) == len(rows)
