"""A changed row costs requests for its changed values: what did not change is not sent again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.options import BulkAnswers
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.tiers import sampled
from tests.ledger.conftest import ledger_url, postgresql_server, postgresql_url, sqlite_url
from tests.promises.conftest import Message, Run, record, schema

__all__ = ["ledger_url", "postgresql_server", "postgresql_url", "sqlite_url"]

ROWS = 250
UPDATE = {"contacts": "PATCH /contacts/{id}", "accounts": ("PUT /accounts/{id}", "PATCH /accounts")}


@pytest.fixture
def ledger(ledger_url: str) -> str:
    return ledger_url


@pytest.fixture(params=sampled([BulkAnswers.DOCUMENTED, BulkAnswers.FULL]))
def team(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    options = SandboxOptions(strict=True, plan=Plan.UNLIMITED, bulk_answers=request.param)
    with new_sandbox(options) as sandbox:
        yield sandbox


def contacts(title: str = "CEO", **values: Any) -> list[Message]:
    described = {
        name: {"type": ["string", "null"]}
        for name in ("email", "first_name", "last_name", "title", "updated_at", *values)
    }
    return [
        schema("contacts", {"properties": {"id": {"type": "integer"}, **described}}),
        *(
            record(
                "contacts",
                id=n,
                email=f"p{n}@firm{n}.example",
                first_name=f"Ann{n}",
                last_name=f"Lee{n}",
                title=title,
                **values,
            )
            for n in range(ROWS)
        ),
    ]


def accounts(name: str = "Firm", **values: Any) -> list[Message]:
    described = {one: {"type": ["string", "null"]} for one in ("domain", "name", *values)}
    return [
        schema("accounts", {"properties": {"id": {"type": "integer"}, **described}}),
        *(
            record("accounts", id=n, domain=f"firm{n}.example", name=f"{name} {n}", **values)
            for n in range(ROWS)
        ),
    ]


def single(apollo: Sandbox) -> int:
    """Requests for one record each."""
    found = Counter(one.endpoint for one in apollo.requests)
    return sum(number for endpoint, number in found.items() if "{" in endpoint)


def requests_for_records(apollo: Sandbox) -> int:
    return sum("/contacts" in one.path or "/accounts" in one.path for one in apollo.requests)


def edit(apollo: Sandbox, contact_id: str, values: dict[str, str]) -> None:
    """Somebody changes a contact in Apollo."""
    answer = requests.patch(
        f"{apollo.url}/contacts/{contact_id}",
        json=values,
        headers={"x-api-key": apollo.api_key},
        timeout=10,
    )
    answer.raise_for_status()


PHONE, MOBILE, SITE = "+1 415 555 0100", "+1 415 555 0101", "https://firm.example/about"


@pytest.mark.full
@pytest.mark.parametrize(
    "values",
    [
        {"phone_number": PHONE},
        {"mobile_phone": MOBILE, "website_url": SITE},
        {"website_url": SITE},
    ],
    ids=lambda values: "+".join(values),
)
def test_contacts_with_a_changed_title_cost_no_request_each(
    team: Sandbox,
    sync: Run,
    ledger: str,
    values: dict[str, Any],
) -> None:
    own = {"sandbox": team, "ledger_url": ledger}
    sync(contacts(**values), **own)
    team.reset_log()

    done = sync(contacts(title="CFO", **values), **own)

    assert done.records == {"received": ROWS, "updated": ROWS}
    assert {one["title"] for one in team.store.contacts()} == {"CFO"}
    assert single(team) == 0
    assert requests_for_records(team) <= 6


def test_accounts_with_a_changed_name_cost_no_request_each(
    team: Sandbox,
    sync: Run,
    ledger: str,
) -> None:
    own = {"sandbox": team, "ledger_url": ledger}
    values = {"phone": PHONE, "raw_address": "1 Main Street, Springfield"}
    sync(accounts(**values), **own)
    team.reset_log()

    done = sync(accounts("Company", **values), **own)

    assert done.records == {"received": ROWS, "updated": ROWS}
    assert all(str(one["name"]).startswith("Company") for one in team.store.accounts())
    assert single(team) == 0
    assert requests_for_records(team) <= 6


@pytest.mark.full
@pytest.mark.parametrize("policy", ["fill_if_empty", "newest"])
def test_a_policy_on_a_value_that_did_not_change_reads_no_record(
    team: Sandbox,
    sync: Run,
    ledger: str,
    policy: str,
) -> None:
    own = {"sandbox": team, "ledger_url": ledger, "field_policy": {"last_name": policy}}
    sync(contacts(updated_at="2026-01-01T00:00:00Z"), **own)
    team.reset_log()

    done = sync(contacts(title="CFO", updated_at="2026-01-02T00:00:00Z"), **own)

    assert done.records == {"received": ROWS, "updated": ROWS}
    assert single(team) == 0


def test_a_number_that_changes_is_sent_and_the_site_beside_it_is_not(
    free: Sandbox, sync: Run
) -> None:
    sync(contacts(mobile_phone=MOBILE, website_url=SITE)[:2], sandbox=free)
    free.reset_log()

    changed = contacts(mobile_phone="+1 415 555 0199", website_url=SITE)[:2]
    done = sync(changed, sandbox=free)

    assert done.records == {"received": 1, "updated": 1}
    (sent,) = [one.body for one in free.requests if one.endpoint == UPDATE["contacts"]]
    assert sent["mobile_phone"] == "+1 415 555 0199"
    assert "website_url" not in sent


def test_a_value_that_somebody_changed_in_apollo_stays_while_its_row_has_the_same(
    free: Sandbox, sync: Run
) -> None:
    sync(contacts(website_url=SITE)[:2], sandbox=free)
    (contact,) = free.store.contacts()
    edit(free, contact["id"], {"website_url": "https://sales.example"})

    sync(contacts(title="CFO", website_url=SITE)[:2], sandbox=free)

    (contact,) = free.store.contacts()
    assert (contact["title"], contact["website_url"]) == ("CFO", "https://sales.example")


def test_a_direct_number_is_not_replaced_by_a_plain_one_that_changes(
    free: Sandbox, sync: Run
) -> None:
    both = {"direct_phone": PHONE, "phone_number": MOBILE}
    sync(contacts(**both)[:2], sandbox=free)
    sync(contacts(**{**both, "direct_phone": "+1 415 555 0111"})[:2], sandbox=free)

    sync(contacts(direct_phone="+1 415 555 0111", phone_number="+1 415 555 0122")[:2], sandbox=free)

    (contact,) = free.store.contacts()
    numbers = {one["type"]: one["raw_number"] for one in contact["phone_numbers"]}
    assert numbers["work_direct"] == "+1 415 555 0111"


def test_a_policy_that_changes_decides_anew(free: Sandbox, sync: Run) -> None:
    own = {"sandbox": free, "field_policy": {"last_name": "fill_if_empty"}}
    sync(contacts()[:2], **own)
    (contact,) = free.store.contacts()
    edit(free, contact["id"], {"last_name": "Kay"})
    sync(contacts(title="CFO")[:2], **own)
    assert free.store.contacts()[0]["last_name"] == "Kay"

    sync(contacts(title="CFO")[:2], sandbox=free)

    assert free.store.contacts()[0]["last_name"] == "Lee0"


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE_WRITE, FaultKind.RESET_AFTER_WRITE])
def test_a_number_whose_update_was_cut_off_is_sent_again(
    free: Sandbox,
    sync: Run,
    ledger: str,
    kind: FaultKind,
) -> None:
    own = {"sandbox": free, "ledger_url": ledger, "max_retries": 0}
    sync(contacts(mobile_phone=MOBILE)[:2], **own)
    free.inject(Fault(endpoint=UPDATE["contacts"], kind=kind, times=None))
    sync(contacts(mobile_phone="+1 415 555 0133")[:2], **own)
    free.clear_faults()

    sync(contacts(title="CFO", mobile_phone=MOBILE)[:2], **own)

    (contact,) = free.store.contacts()
    numbers = {one["type"]: one["raw_number"] for one in contact["phone_numbers"]}
    assert (contact["title"], numbers["mobile"]) == ("CFO", MOBILE)


@pytest.mark.full
def test_a_record_that_another_table_has_written_gets_all_values_of_its_row(
    free: Sandbox,
    sync: Run,
    ledger: str,
) -> None:
    own = {"sandbox": free, "ledger_url": ledger}
    sync(contacts(mobile_phone=MOBILE)[:2], source="one", **own)
    sync(contacts(mobile_phone="+1 415 555 0144")[:2], source="two", **own)

    sync(contacts(title="CFO", mobile_phone=MOBILE)[:2], source="one", **own)

    (contact,) = free.store.contacts()
    numbers = {one["type"]: one["raw_number"] for one in contact["phone_numbers"]}
    assert numbers["mobile"] == MOBILE


def test_a_full_resync_sends_all_values(free: Sandbox, sync: Run) -> None:
    sync(contacts(mobile_phone=MOBILE)[:2], sandbox=free)
    (contact,) = free.store.contacts()
    edit(free, contact["id"], {"mobile_phone": "+1 415 555 0155"})

    sync(contacts(mobile_phone=MOBILE)[:2], sandbox=free, full_resync=True)

    (contact,) = free.store.contacts()
    numbers = {one["type"]: one["raw_number"] for one in contact["phone_numbers"]}
    assert numbers["mobile"] == MOBILE


def test_two_rows_of_one_person_leave_the_values_of_the_last_one(
    free: Sandbox, sync: Run, ledger: str
) -> None:
    own = {"sandbox": free, "ledger_url": ledger}
    (described, row) = contacts(mobile_phone=MOBILE)[:2]
    other = {**row, "record": {**row["record"], "id": "other", "mobile_phone": "+1 415 555 0166"}}
    described["schema"]["properties"]["id"] = {}
    sync([described, row, other], **own)
    sync([described, {**row, "record": {**row["record"], "title": "CFO"}}], **own)

    (contact,) = free.store.contacts()
    numbers = {one["type"]: one["raw_number"] for one in contact["phone_numbers"]}
    assert (contact["title"], numbers["mobile"]) == ("CFO", MOBILE)


def test_a_number_that_a_second_row_of_a_new_person_brought_is_written_over_by_the_first(
    free: Sandbox, sync: Run, ledger: str
) -> None:
    own = {"sandbox": free, "ledger_url": ledger, "null_policy": "clear", "mode": "upsert"}
    (described, row) = contacts(mobile_phone=None)[:2]
    described["schema"]["properties"]["id"] = {}
    other = {**row, "record": {**row["record"], "id": "other", "mobile_phone": MOBILE}}
    sync([described, row, other], batch_size=1, parallel_requests=1, **own)
    sync([described, {**row, "record": {**row["record"], "title": "CFO"}}], **own)

    (contact,) = free.store.contacts()
    assert (contact["title"], contact["phone_numbers"]) == ("CFO", [])
