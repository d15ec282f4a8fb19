"""A dry run: what it predicts is what the run after it does, and it leaves no trace."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.apollo.endpoints import READING
from target_apollo.sandbox import Sandbox
from tests.promises.conftest import ACCOUNT_SCHEMA, Message, TargetRun, record, schema, state

Sync = Callable[..., TargetRun]
#: What only the transport itself asks, and what the plan alone looks up.
_NOT_COMPARED = {
    "POST /usage_stats/api_usage_stats",
    "POST /contacts/search",
    "POST /accounts/search",
    "GET /labels",
}


def contact(number: int, **values: Any) -> Message:
    return record(
        "contacts",
        **{"id": number, "email": f"p{number}@firm{number}.com", "title": "CTO"} | values,
    )


def account(number: int, **values: Any) -> Message:
    return record(
        "accounts",
        **{"id": number, "domain": f"firm{number}.com", "name": f"Firm {number}"} | values,
    )


def known_to_apollo(apollo: Sandbox) -> None:
    """What stood in Apollo before any run: equal, differing, a namesake, an account of a name."""
    store = apollo.store
    store.add_contact(email="p900@firm900.com", title="CTO")
    store.add_contact(email="p901@firm901.com", title="CEO")
    store.add_contact(email="john@namesake.com", first_name="John", last_name="Smith")
    store.add_account(domain="firm900.com", name="Firm 900")
    store.add_account(domain="firm901.com", name="Former name")
    store.add_account(domain="elsewhere.com", name="Firm 902")


def first_rows() -> list[Message]:
    return [
        schema("accounts"),
        *[account(number) for number in range(30)],
        schema("contacts"),
        *[contact(number, label_names=["Warm"]) for number in range(60)],
    ]


def later_rows(owner_id: str) -> list[Message]:
    """New, changed, unchanged, existing, clashing and bad rows of both objects."""
    return [
        schema("accounts"),
        *[account(number) for number in range(20)],
        *[account(number, phone_number="+1 555 0100") for number in range(20, 30)],
        *[account(number, owner_id=owner_id) for number in range(100, 140)],
        account(900),
        account(901),
        account(902),
        account(140, domain=None),
        account(141, domain="firm100.com", name="Firm 100 again"),
        schema("contacts"),
        *[contact(number, label_names=["Warm"]) for number in range(30)],
        *[contact(number, title="CFO", mobile_phone="+1 555 0101") for number in range(30, 60)],
        *[contact(number, owner_id=owner_id) for number in range(100, 150)],
        *[contact(number, label_names=["Warm", "Cold"]) for number in range(150, 260)],
        *[contact(number, mobile_phone="+1 555 0102") for number in range(260, 270)],
        contact(900),
        contact(901),
        contact(902, email="j.smith@namesake.com", first_name="John", last_name="Smith"),
        contact(270, email="no address"),
        contact(271, owner_email="nobody@nowhere.com"),
        contact(272, email="p100@firm100.com", title="Same address"),
        contact(100, title="Same key"),
        state({"bookmark": 7}),
    ]


def requests_of(summary: Message) -> dict[str, int]:
    requests: dict[str, int] = summary["api"]["requests"]
    return {name: count for name, count in requests.items() if name not in _NOT_COMPARED}


def predicted(summary: Message) -> dict[str, int]:
    requests: dict[str, int] = summary["estimate"]["requests"]
    return {name: count for name, count in requests.items() if name not in _NOT_COMPARED}


def written(apollo: Sandbox) -> set[str]:
    return set(apollo.log.counts()) - READING


def contents(folder: Path) -> dict[str, bytes]:
    names = ("rejects.singer", "ledger.db")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


@pytest.mark.parametrize("with_ledger", [True, False], ids=["ledger", "no ledger"])
@pytest.mark.parametrize("mode", ["upsert", "insert"])
@pytest.mark.parametrize("method", ["individual", "bulk"])
def test_a_run_does_what_its_dry_run_said(
    apollo: Sandbox, sync: Sync, mode: str, method: str, *, with_ledger: bool
) -> None:
    known_to_apollo(apollo)
    settings: dict[str, Any] = {"mode": mode, "update_method": method}
    if not with_ledger:
        settings["ledger_url"] = ""
    sync(first_rows(), **settings)
    rows = later_rows(apollo.store.admin_id)

    planned = sync(rows, **settings, dry_run=True).summary
    done = sync(rows, **settings).summary

    assert planned["streams"] == done["streams"]
    assert planned["records"] == done["records"]
    assert predicted(planned) == requests_of(done)


@pytest.mark.parametrize("with_ledger", [True, False], ids=["ledger", "no ledger"])
def test_a_run_of_mode_update_does_what_its_dry_run_said(
    apollo: Sandbox, sync: Sync, *, with_ledger: bool
) -> None:
    known_to_apollo(apollo)
    settings: dict[str, Any] = {"mode": "update"}
    if not with_ledger:
        settings["ledger_url"] = ""
    rows: list[Message] = [schema("contacts")]
    for number, known in enumerate(apollo.store.contacts()):
        rows.append(contact(number, email=known["email"], apollo_id=known["id"], title="CFO"))
    rows.append(contact(50, apollo_id="5" * 24))
    rows.append(contact(51))

    planned = sync(rows, **settings, dry_run=True).summary
    done = sync(rows, **settings).summary

    assert planned["streams"] == done["streams"]
    assert done["records"]["updated"] == 3
    assert done["streams"]["contacts"]["rejected_because"] == {
        "gone_from_apollo": 1,
        "update_needs_id": 1,
    }
    assert predicted(planned) == requests_of(done)


def test_a_dry_run_calls_no_endpoint_that_writes(apollo: Sandbox, sync: Sync) -> None:
    known_to_apollo(apollo)
    sync(first_rows())
    apollo.reset_log()
    before = (apollo.store.contacts(), apollo.store.accounts(), apollo.store.labels())

    sync(later_rows(apollo.store.admin_id), dry_run=True)

    assert written(apollo) == set()
    assert (apollo.store.contacts(), apollo.store.accounts(), apollo.store.labels()) == before


@pytest.mark.full
def test_a_dry_run_leaves_ledger_and_rejects_as_they_were(
    apollo: Sandbox, sync: Sync, tmp_path: Path, target_config: Callable[..., Path]
) -> None:
    known_to_apollo(apollo)
    sync([*first_rows(), contact(61, email="no address")])
    before = contents(tmp_path)
    assert set(before) == {"rejects.singer", "ledger.db"}
    kept = tmp_path / "kept.singer"
    (tmp_path / "rejects.singer").rename(kept)

    sync(later_rows(apollo.store.admin_id), dry_run=True, rejects_path=str(kept))

    assert kept.read_bytes() == before["rejects.singer"]
    assert (tmp_path / "ledger.db").read_bytes() == before["ledger.db"]


def test_a_dry_run_without_ledger_and_rejects_makes_none(
    apollo: Sandbox, sync: Sync, tmp_path: Path
) -> None:
    planned = sync(later_rows(apollo.store.admin_id), dry_run=True)

    assert contents(tmp_path) == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "summary.json"]
    assert planned.summary["records"]["rejected"] > 0


def test_a_dry_run_passes_no_state_and_says_what_it_is(apollo: Sandbox, sync: Sync) -> None:
    planned = sync([schema("contacts"), contact(1), state({"bookmark": 1})], dry_run=True)

    assert planned.states == []
    assert planned.summary["dry_run"] is True
    assert "writes nothing" in planned.log


def test_rejected_records_of_a_dry_run_are_named_by_key_only(apollo: Sandbox, sync: Sync) -> None:
    planned = sync([schema("contacts"), contact(1, email="no address")], dry_run=True)

    assert "Rejected contacts 1 (malformed_email)" in planned.log
    assert "no address" not in planned.log
    assert planned.summary["records"]["rejected"] == 1


def test_a_dry_run_beside_a_run_disturbs_neither(
    apollo: Sandbox, sync: Sync, tmp_path: Path
) -> None:
    from target_apollo.ledger import Ledger

    sync(first_rows())
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        ledger.lock(apollo.store.team_id, "contacts", "a run")
        planned = sync(first_rows(), dry_run=True)

    assert planned.exit_code == 0
    assert planned.summary["records"]["unchanged"] == 90


def test_a_dry_run_stops_at_max_creates_as_the_run_would(apollo: Sandbox, sync: Sync) -> None:
    rows = [schema("contacts"), *[contact(number) for number in range(8)]]

    planned = sync(rows, dry_run=True, max_creates=5)

    assert planned.exit_code == 1
    assert planned.summary["records"]["created"] == 5
    assert "max_creates" in planned.summary["ended_because"]


def test_later_rows_of_one_record_meet_what_the_earlier_ones_would_have_made(
    apollo: Sandbox, sync: Sync
) -> None:
    rows = [
        schema("contacts"),
        contact(1, email="one@firm.com", title="CTO"),
        contact(2, email="one@firm.com", title="CTO"),
        contact(3, email="one@firm.com", title="CEO"),
    ]

    planned = sync(rows, dry_run=True, batch_size=1, parallel_requests=1).summary
    done = sync(rows, batch_size=1, parallel_requests=1).summary

    assert planned["records"] == done["records"]
    assert (done["records"]["created"], done["records"]["unchanged"]) == (1, 1)
    assert predicted(planned) == requests_of(done)


def test_more_records_than_may_be_looked_up_are_counted_as_such(
    apollo: Sandbox, sync: Sync
) -> None:
    for number in range(250):
        apollo.store.add_contact(email=f"there{number}@firm.com")
    rows = [
        schema("contacts"),
        *[contact(number, email=f"there{number}@firm.com") for number in range(7)],
    ]

    planned = sync(rows, dry_run=True)

    assert apollo.log.count("POST /contacts/search") == 3, "250 contacts are three pages"
    assert planned.summary["records"]["updated"] == 7
    assert planned.summary["estimate"]["not_looked_up"] == {}


@pytest.mark.full
def test_two_processes_leave_no_temporary_files(
    apollo: Sandbox, run_target: Sync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setenv("TMPDIR", str(spare))

    planned = run_target(later_rows(apollo.store.admin_id), dry_run=True)

    assert planned.exit_code == 0, planned.log
    assert list(spare.iterdir()) == []


@pytest.mark.full
def test_the_plan_is_for_its_owner_only(apollo: Sandbox, run_target: Sync, tmp_path: Path) -> None:
    run_target([schema("accounts", ACCOUNT_SCHEMA), account(1)], dry_run=True)

    assert stat.S_IMODE((tmp_path / "summary.json").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "summary.json").read_text())["dry_run"] is True
