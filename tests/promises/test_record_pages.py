"""Records that must be seen before they are written are read a hundred at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.options import BulkAnswers
from target_apollo.sandbox.serving.rate_windows import Plan
from target_apollo.sync.updates.record_pages import FEW
from tests.helpers.new_sandbox import new_sandbox
from tests.promises.conftest import Message, Run, TargetRun, record, schema

ROWS = 40
SEARCH, READ = "POST /contacts/search", "GET /contacts/{id}"
OLD, LATER = "2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
PHONE = "+1 415 555 0100"
FILL = {"title": "fill_if_empty"}


@pytest.fixture
def team() -> Iterator[Sandbox]:
    """No limits, and bulk answers as short as Apollo documents them."""
    options = SandboxOptions(strict=True, plan=Plan.UNLIMITED, bulk_answers=BulkAnswers.DOCUMENTED)
    with new_sandbox(options) as sandbox:
        yield sandbox


def contacts(title: str | None, rows: int = ROWS, **values: Any) -> list[Message]:
    names = ("email", "last_name", "title", "updated_at", *values)
    described = {name: {"type": ["string", "null"]} for name in names}
    return [
        schema("contacts", {"properties": {"id": {"type": "integer"}, **described}}),
        *(
            record(
                "contacts",
                id=n,
                email=f"p{n}@firm{n}.example",
                last_name=f"Lee{n}",
                title=title,
                **values,
            )
            for n in range(rows)
        ),
    ]


def accounts(name: str, **values: Any) -> list[Message]:
    described = {one: {"type": ["string", "null"]} for one in ("domain", "name", *values)}
    return [
        schema("accounts", {"properties": {"id": {"type": "integer"}, **described}}),
        *(
            record("accounts", id=n, domain=f"firm{n}.example", name=f"{name} {n}", **values)
            for n in range(ROWS)
        ),
    ]


def edit(apollo: Sandbox, contact: dict[str, Any], values: dict[str, str]) -> None:
    """Somebody changes a contact in Apollo."""
    answer = requests.patch(
        f"{apollo.url}/contacts/{contact['id']}",
        json=values,
        headers={"x-api-key": apollo.api_key},
        timeout=10,
    )
    answer.raise_for_status()


def sent(done: TargetRun, endpoint: str) -> int:
    return int(done.summary["api"]["requests"].get(endpoint, 0))


def singles(done: TargetRun) -> int:
    return sum(n for endpoint, n in done.summary["api"]["requests"].items() if "{" in endpoint)


def titles(apollo: Sandbox) -> list[object]:
    return [one["title"] for one in apollo.store.contacts()]


@pytest.mark.parametrize(
    ("policy", "before", "expected"),
    [
        ("fill_if_empty", None, "CFO"),
        ("fill_if_empty", "CEO", "CEO"),
        ("newest", "CEO", "CFO"),
    ],
)
def test_many_rows_under_a_policy_are_compared_without_a_request_each(
    team: Sandbox, sync: Run, policy: str, before: str | None, expected: str
) -> None:
    own: dict[str, Any] = {"sandbox": team, "field_policy": {"title": policy}}
    rows = 110
    sync(contacts(before, rows, updated_at=OLD), **own)

    done = sync(contacts("CFO", rows, updated_at=LATER), **own)

    assert titles(team) == [expected] * rows
    assert sent(done, SEARCH) == 2
    assert singles(done) == 0


@pytest.mark.parametrize("policy", ["fill_if_empty", "newest"])
def test_what_somebody_wrote_in_apollo_meanwhile_stays(
    team: Sandbox, sync: Run, policy: str
) -> None:
    own: dict[str, Any] = {"sandbox": team, "field_policy": {"title": policy}}
    sync(contacts(None, updated_at=OLD), **own)
    edit(team, team.store.contacts()[7], {"title": "Sales' word"})

    done = sync(contacts("CFO", updated_at="2002-01-01T00:00:00Z"), **own)

    assert team.store.contacts()[7]["title"] == "Sales' word"
    assert titles(team).count("CFO") == ROWS - 1
    assert singles(done) == 0


def test_few_rows_are_read_one_by_one(team: Sandbox, sync: Run) -> None:
    sync(contacts(None, rows=FEW), sandbox=team, field_policy=FILL)

    done = sync(contacts("CFO", rows=FEW), sandbox=team, field_policy=FILL)

    assert titles(team) == ["CFO"] * FEW
    assert (sent(done, SEARCH), sent(done, READ)) == (0, FEW)


@pytest.mark.full
def test_pages_on_which_others_have_written_are_soon_given_up(team: Sandbox, sync: Run) -> None:
    rows = FEW + 5
    sync(contacts(None, rows=rows), sandbox=team, field_policy=FILL)
    for n in range(100 * rows):
        team.store.add_contact(email=f"{n}@others.example")

    done = sync(contacts("CFO", rows=rows), sandbox=team, field_policy=FILL)

    assert titles(team).count("CFO") == rows
    assert sent(done, SEARCH) <= rows // 10
    assert sent(done, READ) == rows


@pytest.mark.full
@pytest.mark.parametrize("answers", [BulkAnswers.DOCUMENTED, BulkAnswers.FULL])
def test_a_value_that_the_search_does_not_show_yet_is_not_overwritten(
    team: Sandbox, sync: Run, answers: BulkAnswers
) -> None:
    own: dict[str, Any] = {"sandbox": team, "field_policy": FILL}
    sync(contacts(None), **own)
    team.set_options(search_lag_seconds=3600, bulk_answers=answers)
    sync(contacts("First"), **own)

    done = sync(contacts("Second"), **own)

    assert titles(team) == ["First"] * ROWS
    assert sent(done, READ) == ROWS


@pytest.mark.full
def test_a_value_that_this_run_has_written_is_not_overwritten_by_another_stream(
    team: Sandbox, sync: Run
) -> None:
    def of_two_streams(first: str | None, second: str | None) -> list[Message]:
        others = [{**one, "stream": "crm-contacts"} for one in contacts(second)]
        return [*contacts(first), *others]

    own: dict[str, Any] = {"sandbox": team, "field_policy": FILL}
    sync(of_two_streams(None, None), **own)
    team.set_options(search_lag_seconds=3600)

    sync(of_two_streams("First", "Second"), **own)

    assert titles(team) == ["First"] * ROWS


@pytest.mark.full
def test_a_record_of_which_the_search_shows_nothing_yet_is_read_alone(
    team: Sandbox, sync: Run
) -> None:
    team.set_options(search_lag_seconds=3600)
    sync(contacts(None), sandbox=team, field_policy=FILL)

    done = sync(contacts("CFO"), sandbox=team, field_policy=FILL)

    assert titles(team) == ["CFO"] * ROWS
    assert sent(done, READ) == ROWS


@pytest.mark.full
@pytest.mark.parametrize(
    "fault",
    [
        Fault(SEARCH, FaultKind.ERROR_BEFORE_WRITE, times=None, status=403),
        Fault(SEARCH, FaultKind.ERROR_BEFORE_WRITE, times=None, status=422),
        Fault(SEARCH, FaultKind.RATE_LIMITED, times=None, retry_after=3000),
        Fault(SEARCH, FaultKind.GARBAGE_BODY, times=None),
    ],
    ids=["forbidden", "refused", "quota", "garbage"],
)
def test_where_apollo_does_not_search_records_are_read_one_by_one(
    team: Sandbox, sync: Run, fault: Fault
) -> None:
    sync(contacts(None), sandbox=team, field_policy=FILL)
    team.inject(fault)

    done = sync(contacts("CFO"), sandbox=team, field_policy=FILL, max_retries=0)

    assert done.exit_code == 0
    assert titles(team) == ["CFO"] * ROWS
    assert sent(done, SEARCH) == 1
    assert sent(done, READ) == ROWS


def test_without_a_ledger_a_phone_that_apollo_holds_costs_no_request_each(
    team: Sandbox, sync: Run
) -> None:
    own: dict[str, Any] = {"sandbox": team, "ledger_url": ""}
    sync(contacts("CEO", phone_number=PHONE), **own)

    done = sync(contacts("CFO", phone_number=PHONE), **own)

    assert titles(team) == ["CFO"] * ROWS
    assert singles(done) == 0


def test_without_a_ledger_only_a_phone_that_differs_is_sent(team: Sandbox, sync: Run) -> None:
    own: dict[str, Any] = {"sandbox": team, "ledger_url": ""}
    rows = FEW + 5
    sync(contacts("CEO", rows, mobile_phone=PHONE), **own)
    edit(team, team.store.contacts()[7], {"mobile_phone": "+1 415 555 0199"})

    done = sync(contacts("CEO", rows, mobile_phone=PHONE), **own)

    (number,) = team.store.contacts()[7]["phone_numbers"]
    assert number["raw_number"] == PHONE
    assert done.records == {"received": rows, "updated": 1, "unchanged": rows - 1}
    assert singles(done) == 1


def test_without_a_ledger_an_address_that_apollo_holds_costs_no_request_each(
    team: Sandbox, sync: Run
) -> None:
    own: dict[str, Any] = {"sandbox": team, "ledger_url": ""}
    values = {"phone": PHONE, "raw_address": "1 Main Street, Springfield"}
    sync(accounts("Firm", **values), **own)

    done = sync(accounts("Company", **values), **own)

    assert all(str(one["name"]).startswith("Company") for one in team.store.accounts())
    assert singles(done) == 0


@pytest.mark.full
def test_without_a_ledger_an_address_that_differs_is_written(team: Sandbox, sync: Run) -> None:
    own: dict[str, Any] = {"sandbox": team, "ledger_url": ""}
    sync(accounts("Firm", raw_address="1 Main Street, Springfield"), **own)

    done = sync(accounts("Firm", raw_address="2 Main Street, Springfield"), **own)

    assert {one["raw_address"] for one in team.store.accounts()} == {"2 Main Street, Springfield"}
    assert done.records == {"received": ROWS, "updated": ROWS}


@pytest.mark.full
def test_accounts_that_were_written_just_now_are_read_one_by_one(team: Sandbox, sync: Run) -> None:
    # No answer of a search tells when an account was changed, so it may be behind that write.
    own: dict[str, Any] = {"sandbox": team, "field_policy": {"name": "fill_if_empty"}}
    sync(accounts("Firm"), **own)

    done = sync(accounts("Company"), **own)

    assert all(str(one["name"]).startswith("Firm") for one in team.store.accounts())
    assert sent(done, "GET /accounts/{id}") == ROWS


@pytest.mark.full
def test_a_dry_run_plans_the_pages_that_a_run_reads(team: Sandbox, sync: Run) -> None:
    own: dict[str, Any] = {"sandbox": team, "field_policy": FILL}
    sync(contacts(None), **own)

    plan = sync(contacts("CFO"), dry_run=True, **own)
    done = sync(contacts("CFO"), **own)

    planned = plan.summary["estimate"]["requests"]
    assert (planned.get(SEARCH), planned.get(READ)) == (sent(done, SEARCH), None)
