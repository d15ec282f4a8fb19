from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from target_apollo.ledger import Ledger, Link, source_key
from target_apollo.model.objects.registry import CONTACT
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.links.stream_links import StreamLinks

ADA = "ada@example.com"
ADA_ID = "a" * 24


def links_in(ledger: Ledger, mode: Mode = Mode.UPSERT, run_id: str = "run-1") -> StreamLinks:
    return StreamLinks(
        ledger,
        CONTACT,
        "contacts",
        connection="team",
        run_id=run_id,
        mode=mode,
        full_resync=False,
    )


@pytest.fixture
def links(tmp_path: Path) -> Iterator[StreamLinks]:
    """The links of a stream in which the keys 1 and 2 are one contact, with their last titles.

    An earlier run has written them.
    """
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    with_written(links_in(ledger)).release()
    found = links_in(ledger, run_id="run-2")
    yield found
    found.release()
    ledger.close()


def with_written(links: StreamLinks) -> StreamLinks:
    """The links after the keys 1 and 2 were written to one contact."""
    rows = [row(1, key=1, title="first"), row(2, key=2, title="second")]
    histories = links.reader.recall(rows, {})
    for one in rows:
        links.add_outcome(one, histories[one.number], Outcome.UPDATED, ADA_ID)
    links.commit()
    return links


def row(number: int, *, key: int, title: str) -> Row:
    return Row(number, (key,), ADA, {"email": ADA, "title": title})


def outcomes(links: StreamLinks, rows: list[Row]) -> list[Outcome | None]:
    return [history.outcome for history in links.reader.recall(rows, {}).values()]


def test_rows_that_the_ledger_knows_need_no_request(links: StreamLinks) -> None:
    known = [row(3, key=1, title="first"), row(4, key=2, title="second")]
    found = links.reader.recall(known, {})
    assert list(found) == [3, 4]
    assert {history.outcome for history in found.values()} == {Outcome.UNCHANGED}
    assert {history.apollo_id for history in found.values()} == {ADA_ID}


def test_a_row_that_comes_twice_in_a_run_is_written_again_if_another_has_its_record(
    tmp_path: Path,
) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        links = with_written(links_in(ledger))
        assert outcomes(links, [row(3, key=1, title="first")]) == [None]
        links.release()


def test_a_known_row_is_written_again_after_another_row_of_its_record(links: StreamLinks) -> None:
    changed, known = row(3, key=1, title="new"), row(4, key=2, title="second")
    assert outcomes(links, [changed, known]) == [None, None]


def test_rows_that_share_a_record_find_it_by_their_address(links: StreamLinks) -> None:
    (history,) = links.reader.recall([row(3, key=1, title="new")], {}).values()
    assert (history.outcome, history.apollo_id) == (None, None)


def test_a_known_row_of_another_record_is_left_alone(links: StreamLinks) -> None:
    other = Row(3, (3,), "bob@example.com", {"email": "bob@example.com"})
    known = row(4, key=2, title="second")
    assert outcomes(links, [other, known]) == [None, Outcome.UNCHANGED]


def test_a_record_of_another_source_key_is_told_from_the_row_s_own(links: StreamLinks) -> None:
    links.drop(ADA_ID)
    one = row(5, key=1, title="first")
    links.add_outcome(one, links.reader.recall([one], {})[5], Outcome.CREATED, ADA_ID)
    links.commit()
    assert links.reader.is_of_another_row(ADA_ID, source_key((2,)))
    assert not links.reader.is_of_another_row(ADA_ID, source_key((1,)))
    assert not links.reader.is_of_another_row("b" * 24, source_key((2,)))


def test_a_new_row_gets_its_link_with_its_outcome(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        links, one = links_in(ledger), row(1, key=1, title="A")
        histories = links.reader.recall([one], {})
        links.intend([one], histories)
        assert [link.apollo_id for link in links.all_links()] == [None]

        links.add_outcome(one, histories[1], Outcome.CREATED, ADA_ID)
        links.commit()
        assert [link.apollo_id for link in links.all_links()] == [ADA_ID]


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
    """Rows that a new ledger leaves open, and their links after a run that was interrupted.

    Args:
        beside: Rows of the same batch that the ledger knows.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger.open(f"sqlite:///{folder}/ledger.db") as ledger,
    ):
        links = links_in(ledger, mode)
        for number, history in links.reader.recall(beside, {}).items():
            one = next(one for one in beside if one.number == number)
            links.add_outcome(one, history, Outcome.EXISTING, ADA_ID)
        links.commit()
        histories = links.reader.recall([*beside, *rows], {})
        open_rows = [one for one in rows if histories[one.number].outcome is None]
        links.intend(open_rows, histories)
        for one in open_rows[:1]:
            links.add_outcome(one, histories[one.number], Outcome.CREATED, "c" * 24)
        links.commit()
        links.release()
        # The next run takes over what was sent and never confirmed.
        links_in(ledger, mode).release()
        known = {source_key(one.key) for one in beside}
        return open_rows, [link for link in links.all_links() if link.source_key not in known]


def untimed(links: list[Link]) -> list[Link]:
    return [with_values(link, first_synced_at=None, last_synced_at=None) for link in links]


@pytest.mark.full
@settings(deadline=None, max_examples=25)
@given(new_rows, st.sampled_from(Mode))
def test_new_rows_fare_alike_whether_or_not_the_ledger_knows_another_of_the_batch(
    rows: list[Row], mode: Mode
) -> None:
    alone, links_alone = left_behind(rows, mode, beside=[])
    together, links_together = left_behind(rows, mode, beside=[row(10, key=10, title="A")])
    assert alone == together == rows
    assert untimed(links_alone) == untimed(links_together)
    assert len(links_alone) == len(rows)
