"""Every record of a batch gets exactly one outcome."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.exceptions import InvalidRecord

from target_apollo.ledger import Ledger, LinkStatus, source_key
from target_apollo.model.objects import CONTACT
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch, flush_size
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.recall import RowHistory
from target_apollo.sync.rejects import Rejects
from target_apollo.sync.source_record import Former, SourceRecord
from target_apollo.sync.stream_links import StreamLinks
from tests.helpers.keys import settings_of

REFUSED = Rejection(Reason.REFUSED, "Apollo took it not")
APOLLO_ID = "a" * 24


def source(number: int, **own: Any) -> SourceRecord:
    return SourceRecord(number, **{"stream": "people", "record": {"id": 1}, **OTHERS, **own})


OTHERS: dict[str, Any] = {"schema": None, "key_properties": ("id",)}


def row(number: int, supersedes: tuple[int, ...] = (), *, deleted: bool = False) -> Row:
    return Row(number, (1,), "ada@example.com", {}, supersedes=supersedes, deleted=deleted)


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
    return Batch("contacts", [source(number) for number in (1, 2, 3)], counts, rejects)


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
    batch = Batch("contacts", records, counts, rejects_of(counts, Path()))
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
    batch = Batch("contacts", [source(1)], counts, rejects)
    with pytest.raises(InvalidRecord):
        batch.finish(row(1), Outcome.REJECTED, rejection=REFUSED)


def test_the_ledger_is_told_of_an_outcome_with_what_it_remembers(
    batch: Batch, links: StreamLinks
) -> None:
    history = RowHistory(source_key((1,)), "hash")
    batch.use_ledger(links, {1: history})
    batch.finish(row(1), Outcome.CREATED, APOLLO_ID, updated_at="2026-01-01")
    links.commit()
    link = next(links.all_links())
    assert (link.status, link.apollo_id) == (LinkStatus.CREATED, APOLLO_ID)
    assert (link.payload_hash, link.apollo_updated_at) == ("hash", "2026-01-01")


def test_a_row_that_needs_no_request_leaves_its_link_as_it_is(
    batch: Batch, links: StreamLinks
) -> None:
    history = RowHistory(source_key((1,)), "hash", outcome=Outcome.UNCHANGED)
    batch.use_ledger(links, {1: history})
    batch.finish(row(1), Outcome.UNCHANGED, APOLLO_ID)
    links.commit()
    assert list(links.all_links()) == []


@pytest.mark.parametrize("was_rejected_before", [False, True])
def test_the_ledger_learns_of_a_record_that_could_not_be_read_when_it_first_came(
    counts: RunCounts, rejects: Rejects, links: StreamLinks, was_rejected_before: bool
) -> None:
    former = Former(1, "run-0", "run-0", None) if was_rejected_before else None
    record = source(1, former=former)
    batch = Batch("contacts", [record], counts, rejects)
    batch.finish_unread(record, Outcome.REJECTED, REFUSED, [1])
    batch.use_ledger(links, {})
    links.commit()
    assert [link.status for link in links.all_links()] == (
        [] if was_rejected_before else [LinkStatus.ERROR]
    )


def test_full_requests_are_sent_four_times_over_before_the_disk_is_waited_for() -> None:
    assert flush_size(100, 4) == 1600


def test_whoever_asks_for_small_requests_gets_state_in_small_steps() -> None:
    assert flush_size(20, 4) == 80
