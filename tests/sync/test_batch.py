"""Every record of a batch gets exactly one outcome."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.exceptions import InvalidRecord

from target_apollo.ledger import Ledger, LedgerError, LinkStatus, source_key
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch, PendingFlush, RecordCache, flush_size
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.exit import RunError
from target_apollo.sync.links.recall import RowHistory
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.rejects.rejects import Rejects
from target_apollo.sync.source_record import Former, SourceRecord
from target_apollo.sync.team.companies import Companies
from tests.helpers.keys import settings_of
from tests.helpers.single_record import contact

REFUSED = Rejection(Reason.REFUSED, "Apollo took it not")
APOLLO_ID = "a" * 24


def source(number: int, **own: Any) -> SourceRecord:
    return SourceRecord(number, **{"stream": "people", "record": {"id": 1}, **OTHERS, **own})


OTHERS: dict[str, Any] = {"schema": None, "key_properties": ("id",)}


def row(number: int, supersedes: tuple[int, ...] = (), *, deleted: bool = False) -> Row:
    return Row(number, (1,), "ada@example.com", {}, supersedes=supersedes, deleted=deleted)


ADA = Row(1, (1,), "ada@example.com", {})


class LearntAccounts(dict[str, str]):
    """Companies that keep what they learn."""

    def learn(self, domain: str, account_id: str) -> None:
        self[domain] = account_id


def cache_of(object_type: ObjectType, accounts: LearntAccounts | None = None) -> RecordCache:
    return RecordCache(
        object_type, cast("Companies", LearntAccounts() if accounts is None else accounts)
    )


@pytest.fixture
def counts() -> RunCounts:
    return RunCounts("run-1")


@pytest.fixture
def rejects(counts: RunCounts, tmp_path: Path) -> Rejects:
    return rejects_of(counts, tmp_path)


def rejects_of(counts: RunCounts, folder: Path, **own: object) -> Rejects:
    path = str(folder / "rejects.jsonl")
    settings = settings_of("https://api.example/v1", rejects_path=path, **own)
    return Rejects(settings, "run-1", counts, logging.getLogger("test"))


@pytest.fixture
def batch(counts: RunCounts, rejects: Rejects) -> Batch:
    return Batch(
        "contacts", [source(number) for number in (1, 2, 3)], counts, rejects, cache_of(CONTACT)
    )


@pytest.fixture
def links(tmp_path: Path) -> Iterator[StreamLinks]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        yield StreamLinks(
            ledger,
            CONTACT,
            "contacts",
            connection="team",
            run_id="run-1",
            mode=Mode.UPSERT,
            full_resync=False,
        )


def test_records_count_by_their_outcome_once_the_batch_is_over(
    batch: Batch, counts: RunCounts
) -> None:
    batch.finish(row(2), Outcome.CREATED)
    assert counts.settled == 0
    batch.count()
    batch.count()
    assert counts.outcomes == {"people": {Outcome.CREATED: 1}}


def test_earlier_records_of_a_row_were_skipped(batch: Batch, counts: RunCounts) -> None:
    batch.finish(row(3, supersedes=(1, 2)), Outcome.UPDATED)
    batch.check_complete()
    batch.count()
    assert counts.outcomes == {"people": {Outcome.SKIPPED: 2, Outcome.UPDATED: 1}}


def test_earlier_records_of_a_rejected_row_are_rejected_with_it(
    batch: Batch, counts: RunCounts, rejects: Rejects
) -> None:
    batch.finish(row(3, supersedes=(1, 2)), Outcome.REJECTED, rejection=REFUSED)
    rejects.keep()
    assert counts.rejected == {"people": {Reason.REFUSED: 3}}
    assert rejects.file.path.read_text().count('"RECORD"') == 3


@pytest.mark.parametrize("first", [Outcome.CREATED, Outcome.REJECTED])
@pytest.mark.parametrize("second", [Outcome.UPDATED, Outcome.REJECTED])
def test_no_row_is_finished_twice(batch: Batch, first: Outcome, second: Outcome) -> None:
    def why(outcome: Outcome) -> Rejection | None:
        return REFUSED if outcome is Outcome.REJECTED else None

    batch.finish(row(1), first, rejection=why(first))
    with pytest.raises(LookupError, match="1"):
        batch.finish(row(1), second, rejection=why(second))


def test_no_row_is_finished_with_a_record_that_has_its_outcome(batch: Batch) -> None:
    batch.finish_unread(source(1), Outcome.SKIPPED)
    with pytest.raises(LookupError):
        batch.finish(row(2, supersedes=(1,)), Outcome.UPDATED)


def test_no_row_is_forgotten(batch: Batch) -> None:
    batch.finish(row(2), Outcome.CREATED)
    with pytest.raises(LookupError, match="1, 3"):
        batch.check_complete()


@given(st.lists(st.sampled_from([o for o in Outcome if o is not Outcome.REJECTED]), max_size=9))
def test_as_many_records_count_as_came(outcomes: list[Outcome]) -> None:
    counts = RunCounts("run-1")
    records = [source(number) for number, _ in enumerate(outcomes)]
    batch = Batch("contacts", records, counts, rejects_of(counts, Path()), cache_of(CONTACT))
    for number, outcome in enumerate(outcomes):
        batch.finish(row(number), outcome)
    batch.check_complete()
    batch.count()
    assert counts.settled == len(outcomes)


def test_a_deleted_row_counts_where_its_record_is_moved(batch: Batch, counts: RunCounts) -> None:
    batch.finish(row(1, deleted=True), Outcome.UPDATED)
    batch.finish(row(2, deleted=True), Outcome.SKIPPED)
    assert counts.deleted == {"contacts": 1}


def test_whoever_wants_no_bad_record_is_told_of_the_first(
    counts: RunCounts, tmp_path: Path
) -> None:
    rejects = rejects_of(counts, tmp_path, on_record_error="fail")
    batch = Batch("contacts", [source(1)], counts, rejects, cache_of(CONTACT))
    with pytest.raises(InvalidRecord):
        batch.finish(row(1), Outcome.REJECTED, rejection=REFUSED)


def test_the_ledger_is_told_of_an_outcome_with_what_it_remembers(
    batch: Batch, links: StreamLinks
) -> None:
    history = RowHistory(source_key((1,)), "hash")
    batch.use_ledger(links, {1: history}, [])
    batch.finish(row(1), Outcome.CREATED, APOLLO_ID, updated_at="2026-01-01")
    links.commit()
    link = next(links.all_links())
    assert (link.status, link.apollo_id) == (LinkStatus.CREATED, APOLLO_ID)
    assert (link.payload_hash, link.apollo_updated_at) == ("hash", "2026-01-01")


def test_a_row_that_needs_no_request_leaves_its_link_as_it_is(
    batch: Batch, links: StreamLinks
) -> None:
    history = RowHistory(source_key((1,)), "hash", outcome=Outcome.UNCHANGED)
    batch.use_ledger(links, {1: history}, [])
    batch.settle(row(1), Outcome.UNCHANGED)
    assert not links.has_unsaved
    links.commit()
    assert list(links.all_links()) == []


@pytest.mark.parametrize("was_rejected_before", [False, True])
def test_the_ledger_learns_of_a_record_that_could_not_be_read_when_it_first_came(
    counts: RunCounts, rejects: Rejects, links: StreamLinks, was_rejected_before: bool
) -> None:
    former = Former(1, "run-0", "run-0", None) if was_rejected_before else None
    record = source(1, former=former)
    batch = Batch("contacts", [record], counts, rejects, cache_of(CONTACT))
    batch.finish_unread(record, Outcome.REJECTED, REFUSED, [1])
    batch.use_ledger(links, {}, [])
    batch.reject_unread()
    links.commit()
    assert [link.status for link in links.all_links()] == (
        [] if was_rejected_before else [LinkStatus.ERROR]
    )


def test_full_requests_are_sent_four_times_over_before_the_disk_is_waited_for() -> None:
    assert flush_size(100, 4) == 1600
    assert flush_size(100, 1) == 400
    assert flush_size(100, 16) == 1600


def test_whoever_asks_for_small_requests_gets_state_in_small_steps() -> None:
    assert flush_size(20, 4) == 80


# --- the rejects file


def test_what_was_rejected_is_unsaved_until_it_is_kept(rejects: Rejects) -> None:
    assert not rejects.has_unsaved
    rejects.reject(source(1), REFUSED)
    assert rejects.has_unsaved
    rejects.keep()
    assert not rejects.has_unsaved


def test_what_could_not_be_written_stays_unsaved(counts: RunCounts, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    rejects = rejects_of(counts, tmp_path / "file")
    with pytest.raises(RunError):
        rejects.reject(source(1), REFUSED)
    with pytest.raises(RunError):
        rejects.keep()
    assert rejects.has_unsaved


# --- records as Apollo last answered them


def test_a_record_is_found_by_its_id_and_by_its_row_s_address() -> None:
    cache, answer = cache_of(CONTACT), contact(id=APOLLO_ID)
    cache.remember(ADA, answer)
    assert cache.find(APOLLO_ID) is cache.find("ada@example.com") is answer
    assert cache.find(None) is None


def test_a_record_of_which_only_the_id_was_answered_is_not_taken_for_known() -> None:
    cache = cache_of(CONTACT)
    cache.remember(ADA, {"id": APOLLO_ID})
    assert cache.find("ada@example.com") is None


def test_what_may_have_been_written_in_part_is_not_taken_for_known() -> None:
    cache = cache_of(CONTACT)
    cache.remember(ADA, contact(id=APOLLO_ID))
    cache.invalidate({"b" * 24})
    assert cache.find(APOLLO_ID)
    cache.invalidate({APOLLO_ID})
    assert cache.find(APOLLO_ID) is cache.find("ada@example.com") is None


def test_contacts_find_the_accounts_that_were_written() -> None:
    accounts = LearntAccounts()
    company = Row(1, (1,), "example.com", {})
    cache_of(CONTACT, accounts).remember(ADA, contact(id=APOLLO_ID))
    assert not accounts
    cache_of(ACCOUNT, accounts).remember(company, {"id": APOLLO_ID})
    assert accounts == {"example.com": APOLLO_ID}


# --- how far STATE may pass


@given(
    order=st.permutations(range(1, 9)),
    kept=st.sets(st.integers(1, 8)),
    saves=st.sets(st.integers(1, 8)),
)
def test_state_may_pass_up_to_the_oldest_record_without_an_outcome_on_disk(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], kept: set[int], saves: set[int]
) -> None:
    counts = RunCounts("run-1")
    rejects = rejects_of(counts, tmp_path_factory.getbasetemp())
    batch = Batch("contacts", map(source, range(1, 9)), counts, rejects, cache_of(CONTACT))
    on_disk: set[int] = set()
    finished: set[int] = set()
    for number in order:
        if number not in kept:
            rejection = REFUSED if number % 3 == 0 else None
            outcome = Outcome.REJECTED if rejection else Outcome.CREATED
            batch.finish(row(number), outcome, rejection=rejection)
            finished.add(number)
        if number in saves:
            batch.note_saved()
            on_disk |= finished
        left = set(range(1, 9)) - on_disk
        assert batch.oldest_unsaved == min(left, default=None)


def test_a_merged_row_holds_state_back_from_its_first_record_on(batch: Batch) -> None:
    batch.finish(row(2), Outcome.CREATED)
    batch.note_saved()
    assert batch.oldest_unsaved == 1
    batch.finish(row(3, supersedes=(1,)), Outcome.UPDATED)
    batch.note_saved()
    assert batch.oldest_unsaved is None


def test_a_record_that_was_not_kept_as_rejected_holds_state_back(
    counts: RunCounts, tmp_path: Path
) -> None:
    rejects = rejects_of(counts, tmp_path, on_record_error="fail")
    batch = Batch("contacts", map(source, (1, 2)), counts, rejects, cache_of(CONTACT))
    with pytest.raises(InvalidRecord):
        batch.finish(row(1), Outcome.REJECTED, rejection=REFUSED)
    batch.finish(row(2), Outcome.CREATED)
    batch.note_saved()
    assert batch.oldest_unsaved == 1


class LostLedger:
    """Links of a ledger that is lost while an outcome is noted."""

    def add_outcome(self, *_: object, **__: object) -> None:
        raise LedgerError("the ledger is gone")


def test_a_row_whose_outcome_the_ledger_did_not_take_holds_state_back(
    counts: RunCounts, tmp_path: Path
) -> None:
    rejects = rejects_of(counts, tmp_path)
    batch = Batch("contacts", map(source, (1, 2)), counts, rejects, cache_of(CONTACT))
    links = cast("StreamLinks", LostLedger())
    batch.use_ledger(links, {1: RowHistory("1"), 2: RowHistory("2")}, [row(1), row(2)])
    with pytest.raises(LedgerError):
        batch.finish(row(1), Outcome.REJECTED, rejection=REFUSED)
    batch.note_saved()
    assert batch.oldest_unsaved == 1


# --- the flush that waits for answers

SINK, OTHER_SINK = object(), object()


def batch_from(number: int, tmp_path: Path) -> Batch:
    counts = RunCounts("run-1")
    records = [source(number), source(number + 1)]
    return Batch("contacts", records, counts, rejects_of(counts, tmp_path), cache_of(CONTACT))


def flush(done: list[str], name: str, *, pauses: int = 1, fails: bool = False) -> Steps[None]:
    for number in range(pauses):
        done.append(f"{name} pauses {number}")
        yield
    if fails:
        raise ConnectionError(name)
    done.append(f"{name} ends")


@pytest.fixture
def pending() -> PendingFlush:
    return PendingFlush()


def test_a_flush_goes_as_far_as_its_first_pause(pending: PendingFlush, tmp_path: Path) -> None:
    done: list[str] = []
    pending.start(SINK, batch_from(5, tmp_path), flush(done, "a", pauses=2))
    assert done == ["a pauses 0"]
    assert pending.oldest == 5


def test_a_flush_that_is_finished_holds_no_state_back(
    pending: PendingFlush, tmp_path: Path
) -> None:
    done: list[str] = []
    pending.start(SINK, batch_from(5, tmp_path), flush(done, "a", pauses=2))
    pending.finish()
    assert done == ["a pauses 0", "a pauses 1", "a ends"]
    assert pending.oldest is None


def test_a_flush_without_a_pause_is_over_at_once(pending: PendingFlush, tmp_path: Path) -> None:
    done: list[str] = []
    pending.start(SINK, batch_from(5, tmp_path), flush(done, "a", pauses=0))
    assert done == ["a ends"]
    assert pending.oldest is None
    pending.finish()


def test_a_flush_ends_before_the_next_begins(pending: PendingFlush, tmp_path: Path) -> None:
    done: list[str] = []
    pending.start(SINK, batch_from(1, tmp_path), flush(done, "a"))
    pending.start(SINK, batch_from(2, tmp_path), flush(done, "b"))
    assert done == ["a pauses 0", "a ends", "b pauses 0"]
    assert pending.oldest == 2


def test_a_flush_that_failed_goes_on_holding_state_back(
    pending: PendingFlush, tmp_path: Path
) -> None:
    done: list[str] = []
    pending.start(SINK, batch_from(5, tmp_path), flush(done, "a", fails=True))
    with pytest.raises(ConnectionError):
        pending.finish()
    pending.finish()
    assert pending.oldest == 5


def test_a_flush_that_fails_before_its_first_pause_holds_state_back(
    pending: PendingFlush, tmp_path: Path
) -> None:
    with pytest.raises(ConnectionError):
        pending.start(SINK, batch_from(5, tmp_path), flush([], "a", pauses=0, fails=True))
    assert pending.oldest == 5


def test_the_next_flush_does_not_begin_after_one_that_failed(
    pending: PendingFlush, tmp_path: Path
) -> None:
    done: list[str] = []
    pending.start(SINK, batch_from(1, tmp_path), flush(done, "a", fails=True))
    with pytest.raises(ConnectionError):
        pending.start(SINK, batch_from(2, tmp_path), flush(done, "b"))
    assert done == ["a pauses 0"]
    assert pending.oldest == 1


def test_it_knows_whose_flush_is_pending(pending: PendingFlush, tmp_path: Path) -> None:
    assert pending.is_only_of(SINK)
    pending.start(SINK, batch_from(5, tmp_path), flush([], "a"))
    assert pending.is_only_of(SINK)
    assert not pending.is_only_of(OTHER_SINK)
    pending.finish()
    assert pending.is_only_of(OTHER_SINK)
