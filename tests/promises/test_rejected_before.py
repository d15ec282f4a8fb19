"""What was rejected and has not changed is neither sent, nor counted, nor kept once more."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.helpers.commands import apollo_sync
from tests.ledger.conftest import (  # noqa: F401 - fixtures
    ledger_url,
    postgresql_server,
    postgresql_url,
    sqlite_url,
)
from tests.promises.conftest import Run, contact, record, schema, state

UPDATE = "PATCH /contacts/{id}"
WRITES = ("POST /contacts/bulk_create", "POST /contacts/bulk_update", UPDATE)
#: An id that no owner has, which Apollo refuses.
NOBODY = "f" * 24


@pytest.fixture
def ledger(ledger_url: str) -> str:  # noqa: F811
    return ledger_url


def rows(count: int, **values: Any) -> list[Any]:
    found = [contact(n, last_name=f"L{n}", **values) for n in range(1, count + 1)]
    return [schema("contacts"), *found, state({"at": count})]


def writes(apollo: Sandbox) -> int:
    return sum(one.endpoint in WRITES for one in apollo.requests)


@pytest.mark.full
def test_150_refused_updates_cost_no_request_in_the_next_run(
    free: Sandbox, sync: Run, ledger: str
) -> None:
    own = {"sandbox": free, "ledger_url": ledger, "update_method": "individual"}
    sync(rows(150), **own)
    first = sync(rows(150, owner_id=NOBODY), **own)
    assert len(first.rejects) == 150
    before = writes(free)

    done = sync(rows(150, owner_id=NOBODY), max_rejected_percent=0, **own)

    assert writes(free) - before == 0
    assert done.exit_code == 0, done.log
    assert done.rejects == []
    assert done.summary["records"]["rejected"] == 150
    assert done.summary["rejected_before"] == {"contacts": 150}
    assert "rejected 150 (refused_by_apollo 150), 150 of these as before" in done.log
    assert done.last_state == {"at": 150}


def test_a_refused_new_row_is_not_sent_again(free: Sandbox, sync: Run, ledger: str) -> None:
    own = {"sandbox": free, "ledger_url": ledger}
    sync(rows(5, owner_id=NOBODY), **own)
    before = writes(free)

    done = sync(rows(5, owner_id=NOBODY), **own)

    assert writes(free) == before
    assert done.summary["rejected_before"] == {"contacts": 5}


def test_a_refused_row_that_changes_is_sent_again(free: Sandbox, sync: Run) -> None:
    sync(rows(5, owner_id=NOBODY), sandbox=free)

    changed = sync(rows(5, owner_id=NOBODY, title="CEO"), sandbox=free)
    assert len(changed.rejects) == 5
    mended = sync(rows(5), sandbox=free)

    assert mended.records == {"received": 5, "created": 5}


def test_full_resync_sends_refused_rows_again(free: Sandbox, sync: Run) -> None:
    sync(rows(5, owner_id=NOBODY), sandbox=free)
    before = writes(free)

    done = sync(rows(5, owner_id=NOBODY), sandbox=free, full_resync=True)

    assert writes(free) > before
    assert len(done.rejects) == 5


def test_refused_rows_are_sent_again_after_a_week(free: Sandbox, sync: Run, tmp_path: Path) -> None:
    sync(rows(5, owner_id=NOBODY), sandbox=free)
    today, week_ago = date.today(), date.today() - timedelta(days=7)
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        for near in (today, today - timedelta(days=1)):
            database.execute(
                "UPDATE apollo_row_links SET payload_hash = "
                "CAST(replace(CAST(payload_hash AS TEXT), ?, ?) AS BLOB)",
                (near.isoformat(), week_ago.isoformat()),
            )
    before = writes(free)

    done = sync(rows(5, owner_id=NOBODY), sandbox=free)

    assert writes(free) > before
    assert len(done.rejects) == 5


def test_without_a_ledger_refused_rows_are_sent_in_each_run(free: Sandbox, sync: Run) -> None:
    own = {"sandbox": free, "ledger_url": ""}
    sync(rows(3, owner_id=NOBODY), **own)

    done = sync(rows(3, owner_id=NOBODY), **own)

    assert len(done.rejects) == 3
    assert done.summary["rejected_before"] == {}


def test_a_malformed_row_that_a_bookmark_reads_again_is_kept_once_and_fails_no_run(
    apollo: Sandbox, sync: Run, ledger: str
) -> None:
    newest = [schema("contacts"), contact(1, email="not an address"), state({"at": 1})]
    assert sync(newest, ledger_url=ledger, max_rejected_percent=5).exit_code == 0

    done = sync(newest, ledger_url=ledger, max_rejected_percent=0)

    assert done.exit_code == 0, done.log
    assert done.rejects == []
    assert done.summary["rejected_before"] == {"contacts": 1}
    assert done.summary["records"]["rejected"] == 1


def test_a_row_against_its_schema_is_kept_once_too(apollo: Sandbox, sync: Run) -> None:
    newest = [schema("contacts"), contact(1, title=17), contact(2), state({"at": 2})]
    first = sync(newest)

    done = sync(newest)

    assert (first.reasons, done.rejects) == (["schema_mismatch"], [])
    assert done.summary["rejected_before"] == {"contacts": 1}
    assert done.records == {"received": 2, "unchanged": 1, "rejected": 1}
    assert done.last_state == {"at": 2}


def test_a_malformed_row_that_changes_is_rejected_anew(apollo: Sandbox, sync: Run) -> None:
    sync([schema("contacts"), contact(1, email="not an address")])

    done = sync([schema("contacts"), contact(1, email="not one either")])

    assert len(done.rejects) == 1


def test_the_time_of_extraction_makes_no_record_another_one(apollo: Sandbox, sync: Run) -> None:
    def sent(at: str) -> list[Any]:
        return [schema("contacts"), contact(1, email="nobody", _sdc_extracted_at=at)]

    sync(sent("2026-01-01"))

    assert sync(sent("2026-01-02")).rejects == []


def test_a_name_that_apollo_does_not_know_is_looked_up_again_and_kept_once(
    apollo: Sandbox, sync: Run
) -> None:
    messages = rows(2, owner_email="nobody@team.example")
    first = sync(messages)
    assert len(first.rejects) == 2

    again = sync(messages)
    assert again.rejects == []
    assert again.summary["rejected_before"] == {"contacts": 2}


def test_accounts_that_were_refused_are_left_alone_too(
    free: Sandbox, sync: Run, ledger: str
) -> None:
    messages = [
        schema("accounts"),
        *(
            record("accounts", id=n, domain=f"firm{n}.example", name=f"F{n}", owner_id=NOBODY)
            for n in range(1, 4)
        ),
    ]
    own = {"sandbox": free, "ledger_url": ledger}
    first = sync(messages, **own)
    count = sum(one.method != "GET" and "accounts" in one.path for one in free.requests)

    done = sync(messages, **own)

    assert len(first.rejects) == 3
    assert sum(one.method != "GET" and "accounts" in one.path for one in free.requests) == count
    assert done.summary["rejected_before"] == {"accounts": 3}


def test_the_report_says_how_many_rejected_rows_are_as_before(
    free: Sandbox, sync: Run, tmp_path: Path
) -> None:
    sync(rows(3, owner_id=NOBODY), sandbox=free)
    sync(rows(3, owner_id=NOBODY), sandbox=free)
    page = tmp_path / "page.html"

    config = ("--config", str(tmp_path / "config.json"))
    _, report = apollo_sync("report", *config, "--html", str(page))
    _, report = apollo_sync("report", *config)

    assert "3 rejected records, 3 of them as before, kept in" in report
    assert "3 were put into the file by an earlier run, or left it" in report
    assert "3 of them were rejected before as they are." in page.read_text()
    assert "any more" not in report
