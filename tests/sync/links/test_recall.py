"""What the ledger remembers of the rows of a batch, and what is left to do about them."""

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
from target_apollo.sync.links.deleted_links import deleted_links, left_to_others
from target_apollo.sync.links.recall import (
    LinkSorter,
    RowHistory,
    deletion_mark,
    hash_of_kept_stage,
    key_of,
    new_history,
    payload_hash_of,
    shared_ids,
)
from target_apollo.sync.source_record import Former

ADA, BOB = "ada@example.com", "bob@example.com"
#: Of the row that `row` makes, in the ledgers of earlier releases.
PAYLOAD_HASH = "bfd6861c68847d70245d952faef90f11"
ADA_ID, BOB_ID = "a" * 24, "b" * 24
DAY = datetime(2026, 3, 1, tzinfo=timezone.utc)
FILLING = Policies(fields={"title": FieldPolicy.FILL_IF_EMPTY})
UPSERT = LinkSorter(Mode.UPSERT, full_resync=False, policies=None)
RUN_STARTS = {"run-1": DAY}


def test_the_payload_hash_of_a_row_is_what_earlier_releases_made_of_it() -> None:
    plain = row()
    assert payload_hash_of(plain, None) == PAYLOAD_HASH
    more = with_values(plain, more_emails=("lovelace@example.com",))
    assert payload_hash_of(more, None) != PAYLOAD_HASH


def row(number: int = 1, email: str | None = ADA, apollo_id: str | None = None) -> Row:
    return Row(number, (number,), email, {"email": email, "title": "A"}, apollo_id=apollo_id)


def link(of: Row, status: LinkStatus = LinkStatus.UPDATED, **known: object) -> Link:
    """The link of a row whose values Apollo holds."""
    found = Link(
        source_key(of.key), ADA_ID, payload_hash_of(of, None), status, DAY, DAY, None, "run-1"
    )
    return with_values(found, **known)


def new(of: Row, sorter: LinkSorter = UPSERT, former: Former | None = None) -> RowHistory:
    return new_history(key_of(of), payload_hash_of(of, sorter.policies), former, RUN_STARTS)


def known(of: Row, **remembered: object) -> RowHistory:
    """The history of a row with the link that `link` gives it."""
    return with_values(new(of), apollo_id=ADA_ID, **remembered)


def histories(
    rows: Sequence[Row],
    links: Sequence[Link | None],
    sorter: LinkSorter = UPSERT,
    formers: Mapping[int, Former] | None = None,
    shared: set[str] | None = None,
    held: set[int] | None = None,
    run_starts: Mapping[str, datetime] | None = None,
) -> list[RowHistory]:
    """The histories of rows, without the link that they came from."""
    whole = whole_histories(rows, links, sorter, formers, shared, held, run_starts)
    parts: dict[str, object] = {
        "link": None,
        "may_be_unchanged": False,
        "has_other_address": False,
        "names_record": False,
    }
    return [with_values(history, **parts) for history in whole]


def whole_histories(
    rows: Sequence[Row],
    links: Sequence[Link | None],
    sorter: LinkSorter = UPSERT,
    formers: Mapping[int, Former] | None = None,
    shared: set[str] | None = None,
    held: set[int] | None = None,
    run_starts: Mapping[str, datetime] | None = None,
) -> list[RowHistory]:
    formers = formers or {}
    hashes = [payload_hash_of(one, sorter.policies) for one in rows]
    return sorter.histories(
        rows,
        [new(one, sorter, formers.get(one.number)) for one in rows],
        links,
        sorter.outcomes(rows, links, hashes),
        formers=formers,
        shared=shared or set(),
        held=held or set(),
        run_starts=RUN_STARTS if run_starts is None else run_starts,
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
    LinkSorter,
    mode=st.sampled_from(Mode),
    full_resync=st.booleans(),
    policies=st.sampled_from([None, FILLING]),
)


@settings(deadline=None, max_examples=100)
@given(new_rows, formers_by_number, sorters)
def test_of_rows_that_the_ledger_does_not_know_nothing_is_remembered(
    rows: list[Row], formers: dict[int, Former], sorter: LinkSorter
) -> None:
    unknown = [None] * len(rows)

    assert histories(rows, unknown, sorter, formers) == [
        new(one, sorter, formers.get(one.number)) for one in rows
    ]
    # So nothing is looked up for them either.
    assert sorter.ids_to_write(unknown, unknown) == set()
    assert deleted_links(rows, unknown) == {}


@pytest.mark.parametrize(
    ("first_run", "read_at"),
    [("run-1", DAY), ("forgotten", datetime(1970, 1, 1, tzinfo=timezone.utc))],
)
def test_a_replayed_row_is_as_old_as_the_run_that_read_it(
    first_run: str, read_at: datetime
) -> None:
    assert new(row(), former=Former(1, "run-2", first_run, None)).read_at == read_at
    assert new(row()).read_at is None


# --- whose record it is


def other_address() -> Link:
    """The link of a row that had another address, and other values, when it was last written."""
    return link(row(email=BOB), payload_hash="0" * 32, match_hash=match_hash(BOB))


@pytest.mark.parametrize("mode", Mode)
def test_a_row_with_another_address_than_its_record_was_given_is_told_apart(mode: Mode) -> None:
    sorter = LinkSorter(mode, full_resync=False, policies=None)

    (history,) = whole_histories([row()], [other_address()], sorter)

    assert history.has_other_address
    assert history.link == other_address()
    assert history.outcome is None


def test_a_row_that_names_its_record_by_id_is_believed() -> None:
    (history,) = whole_histories([row(apollo_id=ADA_ID)], [other_address()])

    assert not history.has_other_address


@pytest.mark.parametrize("address", [None, match_hash(ADA)])
def test_an_address_that_is_the_same_or_unknown_is_no_other(address: str | None) -> None:
    held = link(row(), payload_hash="0" * 32, match_hash=address)

    (history,) = whole_histories([row()], [held])

    assert not history.has_other_address


@pytest.mark.parametrize(
    ("sorter", "email", "outcome"),
    [
        (UPSERT, ADA, Outcome.SKIPPED),
        (LinkSorter(Mode.INSERT, full_resync=False, policies=None), ADA, Outcome.SKIPPED),
        (LinkSorter(Mode.UPDATE, full_resync=False, policies=None), ADA, Outcome.SKIPPED),
        (UPSERT, BOB, None),
        (LinkSorter(Mode.UPSERT, full_resync=False, policies=None, leaves_gone=False), ADA, None),
    ],
)
def test_a_row_whose_record_is_gone_is_skipped_until_its_address_or_the_policy_changes(
    sorter: LinkSorter, email: str, outcome: Outcome | None
) -> None:
    gone = link(row(), LinkStatus.GONE, match_hash=match_hash(ADA))

    (history,) = histories([row(email=email)], [gone], sorter)

    assert history.outcome is outcome
    if outcome is None:
        assert history == new(row(email=email), sorter)


@pytest.mark.parametrize(
    ("apollo_id", "outcome"), [(None, Outcome.SKIPPED), (ADA_ID, Outcome.SKIPPED), (BOB_ID, None)]
)
def test_a_row_whose_record_is_gone_gets_no_other_address_by_losing_its_own(
    apollo_id: str | None, outcome: Outcome | None
) -> None:
    profile = "linkedin_url:ada"
    without = with_values(row(email=None, apollo_id=apollo_id), match_key=profile)
    gone = link(row(), LinkStatus.GONE, match_hash=match_hash(ADA))

    (history,) = histories([without], [gone])

    assert history.outcome is outcome


def test_a_full_resync_asks_apollo_for_a_record_that_was_gone() -> None:
    sorter = LinkSorter(Mode.UPSERT, full_resync=True, policies=None)
    gone = link(row(), LinkStatus.GONE, match_hash=match_hash(ADA))

    (history,) = histories([row()], [gone], sorter)

    assert (history.outcome, history.apollo_id) == (None, ADA_ID)


# --- what needs no request


def test_a_row_whose_values_apollo_holds_is_unchanged() -> None:
    assert histories([row()], [link(row())]) == [known(row(), outcome=Outcome.UNCHANGED)]


def test_in_a_full_resync_no_row_is_taken_for_unchanged() -> None:
    sorter = LinkSorter(Mode.UPSERT, True, None)
    assert histories([row()], [link(row())], sorter) == [known(row())]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (LinkStatus.EXISTING, Outcome.EXISTING),
        (LinkStatus.CREATED, Outcome.EXISTING),
        (LinkStatus.ERROR, None),
    ],
)
def test_mode_insert_leaves_alone_what_is_known_to_exist(
    status: LinkStatus, outcome: Outcome | None
) -> None:
    changed = link(row(), status, payload_hash=None)
    found = histories([row()], [changed], LinkSorter(Mode.INSERT, False, None))
    assert found == [known(row(), outcome=outcome)]


def test_what_was_written_before_there_was_a_policy_is_unchanged() -> None:
    found = histories([row()], [link(row())], LinkSorter(Mode.UPSERT, False, FILLING))
    assert [history.outcome for history in found] == [Outcome.UNCHANGED]


@pytest.mark.parametrize(("days", "outcome"), [(1, Outcome.SKIPPED), (-1, None)])
def test_a_rejected_record_is_skipped_if_its_row_was_written_since(
    days: int, outcome: Outcome | None
) -> None:
    formers = {1: Former(1, "run-1", "run-1", DAY)}
    written = link(row(), payload_hash="other", last_synced_at=DAY + timedelta(days))
    (history,) = histories([row()], [written], formers=formers)
    assert history.outcome is outcome
    assert history.apollo_id == (None if outcome else ADA_ID)


def test_a_known_row_has_to_be_looked_at_after_another_row_of_its_record() -> None:
    rows = [row(1), with_values(row(2), values={"title": "B"})]
    links = [link(rows[0]), link(rows[1])]
    assert [h.outcome for h in histories(rows, links)] == [Outcome.UNCHANGED, Outcome.UNCHANGED]
    links[0] = with_values(links[0], payload_hash="other")
    assert [h.outcome for h in histories(rows, links)] == [None, None]


def test_a_deleted_row_whose_record_another_row_has_is_held() -> None:
    gone = with_values(row(), deleted=True)
    found = histories([gone], [link(row())], held={1})
    assert found == [known(gone, is_held=True)]


def test_a_deleted_row_is_held_by_a_row_that_comes_with_its_address() -> None:
    gone = with_values(row(1), deleted=True)
    deleted = deleted_links([gone], [link(row(1), match_hash=match_hash(ADA))])
    assert left_to_others([gone, row(2)], deleted, set()) == {1}
    assert left_to_others([gone, row(2, BOB)], deleted, set()) == set()


def test_a_record_is_shared_by_rows_that_are_still_there() -> None:
    one, two = link(row(1)), link(row(2))
    deleted = with_values(two, payload_hash="deleted:stage")
    assert shared_ids({ADA_ID: [one, two], BOB_ID: [one, deleted]}) == {ADA_ID}


@pytest.mark.parametrize("deleted", [False, True])
def test_a_row_keeps_no_record_that_another_row_has_too_unless_it_is_deleted(deleted: bool) -> None:
    one = with_values(row(), deleted=deleted)
    (history,) = histories([one], [link(one, payload_hash="other")], shared={ADA_ID})
    assert history.apollo_id == (ADA_ID if deleted else None)


# --- what the record was not given

KEEPING = Policies(fields={"email": FieldPolicy.CREATE_ONLY})
#: The record has Bob's address, and the row had Ada's when it was last written.
APART = {"match_hash": match_hash(BOB), "row_hash": match_hash(ADA), "payload_hash": "other"}


@pytest.mark.parametrize(
    ("policies", "mode", "email", "is_other"),
    [
        (None, Mode.UPSERT, ADA, True),
        (None, Mode.UPSERT, BOB, False),
        (KEEPING, Mode.UPSERT, ADA, False),
        (KEEPING, Mode.UPSERT, "carl@example.com", True),
        (Policies(otherwise=FieldPolicy.NEWEST), Mode.UPSERT, ADA, True),
        (None, Mode.INSERT, ADA, False),
    ],
)
def test_an_address_that_was_kept_from_a_record_is_decided_on_once_it_may_be_written(
    policies: Policies | None, mode: Mode, email: str, is_other: bool
) -> None:
    sorter = LinkSorter(mode, False, policies)
    (history,) = whole_histories([row(1, email)], [link(row(), **APART)], sorter)
    assert history.has_other_address is is_other
    assert history.keeps_match is (email == BOB and mode is not Mode.INSERT)


def test_a_key_whose_record_has_an_unknown_address_may_still_mean_somebody_else() -> None:
    unseen = {**APART, "match_hash": None}
    (history,) = whole_histories([row(1, "carl@example.com")], [link(row(), **unseen)])
    assert history.has_other_address


@pytest.mark.parametrize("policies", [None, KEEPING])
@pytest.mark.parametrize("named", [False, True])
def test_a_row_whose_record_stayed_in_a_protected_stage_is_unchanged_until_the_setting_changes(
    policies: Policies | None, named: bool
) -> None:
    value = {"contact_stage_id": "c" * 24}
    staged = (
        with_values(row(), names={"contact_stage_id": ("contact_stage", "New")})
        if named
        else with_values(row(), values={**row().values, **value})
    )
    kept = hash_of_kept_stage(payload_hash_of(staged, policies), ["Do Not Contact"])
    held = link(row(), payload_hash=kept)

    def outcome(*protected: str) -> Outcome | None:
        sorter = LinkSorter(Mode.UPSERT, False, policies, protected=protected)
        (found,) = sorter.outcomes([staged], [held], [payload_hash_of(staged, policies)])
        return found

    assert outcome("Do Not Contact") is Outcome.UNCHANGED
    assert (outcome(), outcome("Cold")) == (None, None)


def test_the_note_on_a_deleted_row_says_itself_that_its_record_stayed() -> None:
    mark = deletion_mark({"contact_stage_id": "c" * 24}, ())
    assert hash_of_kept_stage(mark, ["Do Not Contact"]) == mark


# --- what the last write left


@pytest.mark.parametrize(("email", "keeps"), [(ADA, True), (BOB, False), (None, False)])
def test_it_is_known_whether_a_row_still_has_the_address_of_its_record(
    email: str | None, keeps: bool
) -> None:
    written = link(row(), payload_hash="other", match_hash=match_hash(ADA))
    (history,) = histories([row(1, email)], [written])
    assert history.keeps_match is keeps


def test_a_full_resync_writes_the_address_once_more() -> None:
    written = link(row(), match_hash=match_hash(ADA))
    (history,) = histories([row()], [written], LinkSorter(Mode.UPSERT, True, None))
    assert not history.keeps_match


def test_apollo_s_time_of_the_last_write_is_remembered() -> None:
    written = link(row(), payload_hash="other", apollo_updated_at="2026-01-01")
    assert histories([row()], [written]) == [known(row(), updated_at="2026-01-01")]


def test_a_row_that_was_rejected_after_its_creation_made_its_record() -> None:
    rejected = link(row(), LinkStatus.ERROR, payload_hash=None, first_synced_at=None)
    assert histories([row()], [rejected]) == [known(row(), made_record=True)]


# --- what was interrupted


def pending(of: Row, **own: object) -> Link:
    return link(of, LinkStatus.PENDING, **{"payload_hash": None, "first_synced_at": None, **own})


def test_a_record_that_was_confirmed_before_was_not_made_by_the_interrupted_run() -> None:
    (history,) = histories([row()], [pending(row(), first_synced_at=DAY)])
    assert (history.sent_at, history.sent_by) == (None, None)


def test_an_interrupted_row_is_dated_by_the_run_that_sent_it() -> None:
    found = histories([row()], [pending(row())])
    assert found == [known(row(), sent_at=DAY, sent_by="run-1")]


def test_of_a_run_that_nobody_remembers_no_row_is_taken_for_interrupted() -> None:
    found = histories([row()], [pending(row())], run_starts={"run-2": DAY})
    assert found == [known(row())]


def test_a_create_that_was_not_confirmed_is_interrupted_but_its_run_has_finished_it() -> None:
    rejected = with_values(
        pending(row(), error="not_confirmed", apollo_id=None, match_hash=match_hash(ADA)),
        status=LinkStatus.ERROR,
    )
    found = histories([row()], [rejected])
    assert found == [with_values(known(row(), sent_at=DAY), apollo_id=None)]


def test_a_create_under_a_former_address_is_looked_for_there() -> None:
    sent = pending(row(), apollo_id=None, match_hash=match_hash(BOB))
    (moved,) = histories([row()], [sent])
    assert (moved.sent_under, moved.sent_at) == (match_hash(BOB), DAY)
    (stayed,) = histories([row(1, BOB)], [sent])
    assert (stayed.sent_under, stayed.sent_at) == (None, DAY)


def test_a_row_that_was_written_is_not_interrupted() -> None:
    assert histories([row()], [link(row(), payload_hash="other")]) == [known(row())]
