"""Every row is in Apollo exactly once with its last values, or rejected with its reason.

All faults at once on a tenth of the requests, kills at random moments, restarts from the last STATE
that was printed. The long form is ``python -m tests.helpers.chaos``.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.chaos import play
from tests.helpers.databases import shared_server
from tests.helpers.oracle import Expectations, Findings, judge
from tests.helpers.plot import Scenario
from tests.helpers.warehouse import OWNERS, Warehouse
from tests.ledger.conftest import own_schema
from tests.promises.conftest import TargetRun

CREATE = "POST /contacts/bulk_create"


@pytest.fixture
def postgresql() -> Iterator[str]:
    """URL of an empty schema on a real server."""
    with own_schema(shared_server().url) as url:
        yield url


@pytest.mark.full
def test_nothing_is_lost_and_nothing_is_twice_in_a_short_run(tmp_path: Path) -> None:
    scenario = Scenario(10, "upsert", "sqlite", rows=120, phases=2, kills=1)

    tally = play(scenario, tmp_path)

    assert tally.findings.problems == []
    assert tally.rows >= 120
    assert tally.faults > 0
    assert tally.kills > 0


@pytest.mark.full
@pytest.mark.parametrize(
    ("seed", "mode", "ledger"),
    [
        (11, "upsert", "sqlite"),
        (12, "upsert", "none"),
        (13, "insert", "sqlite"),
        (14, "update", "sqlite"),
    ],
)
def test_nothing_is_lost_and_nothing_is_twice(
    tmp_path: Path, seed: int, mode: str, ledger: str
) -> None:
    tally = play(Scenario(seed, mode, ledger, phases=2, kills=2), tmp_path)

    assert tally.findings.problems == []
    assert tally.rows >= 300
    assert tally.faults > 0


@pytest.mark.full
def test_nothing_is_lost_and_nothing_is_twice_with_a_ledger_in_postgresql_that_goes_away(
    tmp_path: Path, postgresql: str
) -> None:
    scenario = Scenario(17, "upsert", "postgresql", phases=2, kills=2)

    tally = play(scenario, tmp_path, postgresql=postgresql)

    assert tally.findings.problems == []
    assert tally.kills > 0
    assert tally.cuts > 0


# --- two targets at once


@pytest.fixture
def start(
    apollo: Sandbox, tmp_path: Path, target_config: Callable[..., Path]
) -> Iterator[Callable[[Path], subprocess.Popen[bytes]]]:
    config = target_config(apollo, batch_size=10, request_timeout_seconds=30)
    started: list[subprocess.Popen[bytes]] = []

    def start_one(messages: Path) -> subprocess.Popen[bytes]:
        with messages.open("rb") as sent:
            process = subprocess.Popen(
                [sys.executable, "-m", "target_apollo", "--config", str(config)],
                stdin=sent,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=tmp_path,
            )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def warehouse(apollo: Sandbox) -> Warehouse:
    made = Warehouse(random.Random(2))
    for email in OWNERS:
        apollo.store.add_user(email=email)
    apollo.store.add_custom_field("contact", "Lead Score", "number")
    for _ in range(60):
        made.add_account()
    for _ in range(120):
        made.add_contact()
    return made


def sent_by(warehouse: Warehouse, folder: Path) -> Path:
    messages = folder / "messages.singer"
    messages.write_bytes(b"".join(warehouse.messages(None, state_every=20)))
    return messages


@pytest.mark.full
def test_a_second_target_on_the_same_stream_ends_with_a_sentence(
    apollo: Sandbox,
    tmp_path: Path,
    start: Callable[[Path], subprocess.Popen[bytes]],
    warehouse: Warehouse,
    sync: Callable[..., TargetRun],
) -> None:
    messages = sent_by(warehouse, tmp_path)
    apollo.inject(Fault(endpoint="POST /accounts/bulk_create", kind=FaultKind.SLOW, seconds=10))
    first = start(messages)
    while apollo.count("POST /accounts/bulk_create") == 0:
        assert first.poll() is None
        time.sleep(0.01)

    second = start(messages)
    out, said = second.communicate(timeout=60)

    assert (second.returncode, out) == (2, b"")
    assert b"Two runs at once would make duplicates" in said
    assert b"Traceback" not in said
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert judge(warehouse, apollo.store, [], Expectations()).problems == []


@pytest.mark.full
def test_two_targets_started_at_the_same_time_make_nothing_twice(
    apollo: Sandbox,
    tmp_path: Path,
    start: Callable[[Path], subprocess.Popen[bytes]],
    warehouse: Warehouse,
    sync: Callable[..., TargetRun],
) -> None:
    messages = sent_by(warehouse, tmp_path)

    both = [start(messages), start(messages)]
    for process in both:
        process.communicate(timeout=60)

    # Where the one was done before the other met the lock, both are well.
    assert {process.returncode for process in both} <= {0, 2}
    assert sync(messages.read_bytes(), batch_size=10).exit_code == 0
    assert judge(warehouse, apollo.store, [], Expectations()).problems == []


# --- the oracle itself


@pytest.fixture
def synced(
    apollo: Sandbox, tmp_path: Path, warehouse: Warehouse, sync: Callable[..., TargetRun]
) -> Callable[..., Findings]:
    """Writes the warehouse to Apollo, and then tells what the oracle finds."""
    assert sync(sent_by(warehouse, tmp_path).read_bytes()).exit_code == 0

    def look(*rejects: dict[str, object]) -> Findings:
        return judge(warehouse, apollo.store, rejects, Expectations())

    return look


@pytest.mark.full
def test_the_oracle_is_content_with_what_is_right(synced: Callable[..., Findings]) -> None:
    assert synced().problems == []
    assert synced().rows == 180


def test_the_oracle_sees_a_lost_row(apollo: Sandbox, synced: Callable[..., Findings]) -> None:
    apollo.store.delete_contact(apollo.store.contacts()[5]["id"])

    assert len(synced().lost) == 1


def test_the_oracle_sees_a_duplicate(apollo: Sandbox, synced: Callable[..., Findings]) -> None:
    apollo.store.add_contact(email=apollo.store.contacts()[5]["email"])

    assert len(synced().duplicates) == 1


@pytest.mark.full
def test_the_oracle_sees_the_record_of_an_address_that_was_left_behind(
    apollo: Sandbox, synced: Callable[..., Findings]
) -> None:
    apollo.store.add_contact(email="gone@mail.example", first_name="F70")

    # A record without a row, and a person who is there twice.
    assert len(synced().duplicates) == 2


@pytest.mark.full
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "Another"),
        ("owner_id", ""),
        ("phone_numbers", []),
        ("label_ids", []),
        ("linkedin_url", "http://www.linkedin.com/in/another"),
        ("typed_custom_fields", {}),
        ("account_id", ""),
    ],
)
def test_the_oracle_sees_a_wrong_value(
    apollo: Sandbox, synced: Callable[..., Findings], field: str, value: object
) -> None:
    for contact in apollo.store.contact_by_id.values():
        contact.own[field] = value

    assert synced().wrong != []


@pytest.mark.full
def test_the_oracle_asks_for_the_reason_of_a_missing_row(
    apollo: Sandbox, warehouse: Warehouse, synced: Callable[..., Findings]
) -> None:
    contact = apollo.store.contacts()[5]
    apollo.store.delete_contact(contact["id"])
    row = next(r for r in warehouse.contacts.rows.values() if r["email"] == contact["email"])
    reject = {**row, "_reject": {"reason": "refused_by_apollo"}}

    found = synced({"type": "RECORD", "stream": "contacts", "record": reject})

    assert (found.lost, len(found.unexplained)) == ([], 1)


@pytest.mark.full
@pytest.mark.parametrize(("earlier", "unexplained"), [("not_confirmed", 0), ("missing_email", 1)])
def test_the_oracle_excuses_a_missing_id_only_after_a_fault(
    apollo: Sandbox,
    warehouse: Warehouse,
    synced: Callable[..., Findings],
    earlier: str,
    unexplained: int,
) -> None:
    contact = apollo.store.contacts()[5]
    apollo.store.delete_contact(contact["id"])
    row = next(r for r in warehouse.contacts.rows.values() if r["email"] == contact["email"])
    before = {**row, "updated_at": row["updated_at"] - 1, "_reject": {"reason": earlier}}
    now = {**row, "_reject": {"reason": "update_needs_id"}}

    found = synced(
        *({"type": "RECORD", "stream": "contacts", "record": one} for one in (before, now))
    )

    assert len(found.unexplained) == unexplained
