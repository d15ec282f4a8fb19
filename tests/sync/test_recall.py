"""What is left to do about the rows of a flush, by what the ledger knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_values

from target_apollo.ledger import Link, LinkStatus, match_hash, source_key
from target_apollo.model.outcomes import Outcome
from target_apollo.model.policies import FieldPolicy, Policies
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.recall import (
    CutOff,
    Memory,
    Sorted,
    Sorter,
    Strayed,
    all_open,
    deleted_links,
    left_to_others,
    payload_hash_of,
    shared_ids,
)
from target_apollo.sync.rejects_file import Former

ADA, BOB = "ada@example.com", "bob@example.com"
ADA_ID, BOB_ID = "a" * 24, "b" * 24
DAY = datetime(2026, 3, 1, tzinfo=timezone.utc)
FILLING = Policies(fields={"title": FieldPolicy.FILL_IF_EMPTY})
UPSERT = Sorter(Mode.UPSERT, full_resync=False, policies=None)


def row(number: int = 1, email: str | None = ADA, apollo_id: str | None = None) -> Row:
    return Row(number, (number,), email, {"email": email, "title": "A"}, apollo_id=apollo_id)


def link(of: Row, status: LinkStatus = LinkStatus.UPDATED, **known: object) -> Link:
    """The link of a row whose values Apollo holds."""
    found = Link(
        source_key(of.key), ADA_ID, payload_hash_of(of, None), status, DAY, DAY, None, "run-1"
    )
    return with_values(found, **known)


def sort(
    rows: Sequence[Row],
    links: Sequence[Link | None],
    sorter: Sorter = UPSERT,
    formers: Mapping[int, Former] | None = None,
    shared: set[str] | None = None,
    held: set[int] | None = None,
) -> Sorted:
    hashes = [payload_hash_of(one, sorter.policies) for one in rows]
    return sorter.sort(
        rows,
        links,
        sorter.outcomes(rows, links, hashes),
        formers=formers or {},
        shared=shared or set(),
        held=held or set(),
    )


# --- what the ledger knows nothing of

new_rows = st.lists(
    st.builds(
        Row,
        number=st.integers(1, 50),
        key=st.tuples(st.integers(1, 50)),
        match_key=st.sampled_from([None, ADA, BOB]),
        values=st.just({"title": "A"}),
        apollo_id=st.sampled_from([None, ADA_ID, BOB_ID]),
        deleted=st.booleans(),
    ),
    unique_by=lambda one: one.number,
    max_size=5,
)
formers_by_number = st.dictionaries(
    st.integers(1, 50),
    st.builds(Former, st.just(1), st.just("run-1"), st.just("run-1"), st.sampled_from([None, DAY])),
)
sorters = st.builds(
    Sorter,
    mode=st.sampled_from(Mode),
    full_resync=st.booleans(),
    policies=st.sampled_from([None, FILLING]),
)


@settings(deadline=None, max_examples=100)
@given(new_rows, formers_by_number, sorters)
def test_rows_that_the_ledger_does_not_know_need_no_sorting(
    rows: list[Row], formers: dict[int, Former], sorter: Sorter
) -> None:
    unknown = [None] * len(rows)

    assert sort(rows, unknown, sorter, formers) == Sorted(all_open(rows))
    # So nothing is looked up for them either.
    assert sorter.ids_to_write(unknown, unknown) == set()
    assert deleted_links(rows, unknown) == {}


# --- what needs no request


def test_a_row_whose_values_apollo_holds_is_settled() -> None:
    assert sort([row()], [link(row())]).memory == Memory(
        settled=[(row(), Outcome.UNCHANGED, ADA_ID)]
    )


def test_in_a_full_resync_no_row_is_taken_for_unchanged() -> None:
    found = sort([row()], [link(row())], Sorter(Mode.UPSERT, True, None))
    assert found.memory == Memory(open=[row(apollo_id=ADA_ID)])


@pytest.mark.parametrize(
    ("status", "is_settled"),
    [(LinkStatus.EXISTING, True), (LinkStatus.CREATED, True), (LinkStatus.ERROR, False)],
)
def test_mode_insert_leaves_alone_what_is_known_to_exist(
    status: LinkStatus, is_settled: bool
) -> None:
    changed = link(row(), status, payload_hash=None)
    found = sort([row()], [changed], Sorter(Mode.INSERT, False, None)).memory
    assert found.settled == ([(row(), Outcome.EXISTING, ADA_ID)] if is_settled else [])


def test_what_was_written_before_there_was_a_policy_is_unchanged() -> None:
    found = sort([row()], [link(row())], Sorter(Mode.UPSERT, False, FILLING)).memory
    assert [outcome for _, outcome, _ in found.settled] == [Outcome.UNCHANGED]


@pytest.mark.parametrize(("days", "is_outdated"), [(1, True), (-1, False)])
def test_a_rejected_record_is_skipped_if_its_row_was_written_since(
    days: int, is_outdated: bool
) -> None:
    formers = {1: Former(1, "run-1", "run-1", DAY)}
    written = link(row(), payload_hash="other", last_synced_at=DAY + timedelta(days))
    settled = sort([row()], [written], formers=formers).memory.settled
    assert settled == ([(row(), Outcome.SKIPPED, None)] if is_outdated else [])


def test_a_deleted_row_whose_record_another_row_has_is_skipped_and_told() -> None:
    gone = with_values(row(), deleted=True)
    found = sort([gone], [link(row())], held={1})
    assert found.memory.settled == [(gone, Outcome.SKIPPED, None)]
    assert found.held == [(gone, ADA_ID)]


def test_a_deleted_row_is_held_by_a_row_that_comes_with_its_address() -> None:
    gone = with_values(row(1), deleted=True)
    deleted = deleted_links([gone], [link(row(1), match_hash=match_hash(ADA))])
    assert left_to_others([gone, row(2)], deleted, set()) == {1}
    assert left_to_others([gone, row(2, BOB)], deleted, set()) == set()


def test_a_record_is_shared_by_rows_that_are_still_there() -> None:
    one, two = link(row(1)), link(row(2))
    deleted = with_values(two, payload_hash="deleted:stage")
    assert shared_ids({ADA_ID: [one, two], BOB_ID: [one, deleted]}) == {ADA_ID}


# --- what was cut off


def pending(of: Row, **known: object) -> Link:
    return link(of, LinkStatus.PENDING, payload_hash=None, **known)


def test_a_row_that_was_cut_off_is_dated_by_the_run_that_sent_it() -> None:
    found = sort([row()], [pending(row())])
    assert CutOff.by(found.cut_off, {"run-1": DAY}) == CutOff({1: "run-1"}, {1: DAY})


def test_of_a_run_that_nobody_remembers_no_row_is_taken_for_cut_off() -> None:
    found = sort([row()], [pending(row())])
    assert CutOff.by(found.cut_off, {"run-2": DAY}) == CutOff()


def test_a_create_that_was_not_confirmed_is_cut_off_but_left_by_nobody() -> None:
    rejected = link(
        row(), LinkStatus.ERROR, error="not_confirmed", apollo_id=None, match_hash=match_hash(ADA)
    )
    found = sort([row()], [rejected])
    assert CutOff.by(found.cut_off, {"run-1": DAY}) == CutOff(unfinished={1: DAY})


def test_a_create_under_a_former_address_has_strayed() -> None:
    sent = pending(row(), apollo_id=None, match_hash=match_hash(BOB))
    found = CutOff.by(sort([row()], [sent]).cut_off, {"run-1": DAY})
    assert found.strayed == {1: Strayed(match_hash(BOB), DAY)}
    assert CutOff.by(sort([row(1, BOB)], [sent]).cut_off, {"run-1": DAY}).strayed == {}


def test_a_row_that_was_written_is_not_cut_off() -> None:
    assert sort([row()], [link(row(), payload_hash="other")]).cut_off == []
