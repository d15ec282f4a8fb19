"""Contacts, accounts and lists as they are read back from Apollo into the warehouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from target_apollo.ledger import Ledger
from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.tap.command import main
from tests.helpers.loading import Loaded
from tests.helpers.new_sandbox import new_sandbox
from tests.tap.conftest import FIELDS, RESULTS, STAGES, USERS

CONTACTS, ACCOUNTS, LISTS = "apollo_contacts", "apollo_accounts", "apollo_lists"
DEALS, SEQUENCES = "apollo_deals", "apollo_sequences"
SEARCH = "POST /contacts/search"


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    keys = {"sandbox": None, "no-fields": ("api/v1/contacts/search", "api/v1/users/api_profile")}
    with new_sandbox(SandboxOptions(strict=True, api_keys=keys)) as sandbox:
        yield sandbox


@pytest.fixture
def load(
    apollo: Sandbox,
    write_json: Callable[[str, Any], str],
    catalog: Callable[..., dict[str, Any]],
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Callable[..., Loaded]:
    def run(into: Loaded, *streams: str, code: int = 0, **settings: Any) -> Loaded:
        config = {"api_key": "sandbox", "api_url": apollo.url, "ledger_url": "", **settings}
        arguments = ["--config", write_json("config.json", config)]
        arguments += ["--catalog", write_json("catalog.json", catalog(*streams))]
        if into.state is not None:
            arguments += ["--state", write_json("state.json", into.state)]
        capfdbinary.readouterr()
        assert main(arguments) == code
        return into.load(capfdbinary.readouterr().out.splitlines())

    return run


def searches(apollo: Sandbox) -> int:
    return sum(seen.endpoint == SEARCH for seen in apollo.requests)


def test_records_are_read_only_by_those_who_ask_for_them(
    apollo: Sandbox,
    write_json: Callable[[str, Any], str],
    sqlite_url: str,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    config = {"api_key": "sandbox", "api_url": apollo.url, "ledger_url": sqlite_url}
    assert main(["--config", write_json("config.json", config)]) == 0
    loaded = Loaded().load(capfdbinary.readouterr().out.splitlines())
    assert set(loaded.tables) == {RESULTS, USERS, STAGES, FIELDS}


def test_the_catalog_says_that_records_are_not_selected_by_default(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    assert main(["--discover"]) == 0
    streams = json.loads(capfdbinary.readouterr().out)["streams"]
    by_default = {
        stream["stream"]: about["metadata"]["selected-by-default"]
        for stream in streams
        for about in stream["metadata"]
        if not about["breadcrumb"]
    }
    assert {name for name, is_default in by_default.items() if is_default} == {
        RESULTS, USERS, STAGES, FIELDS,
    }  # fmt: skip
    assert {CONTACTS, ACCOUNTS, DEALS, LISTS, SEQUENCES} <= set(by_default)


def test_a_contact_comes_with_its_custom_fields_by_label(
    apollo: Sandbox, load: Callable[..., Loaded]
) -> None:
    score = apollo.store.add_custom_field("contact", "Score", "picklist", ["High", "Low"])
    erp = apollo.store.add_custom_field("contact", "ERP id", "string")
    high = score["picklist_values"][0]["id"]
    made = apollo.store.add_contact(
        email="ann@firm.com",
        first_name="Ann",
        typed_custom_fields={score["id"]: high, erp["id"]: "7"},
    )
    found = load(Loaded(), CONTACTS).tables[CONTACTS][(made["id"],)]
    assert found["email"] == "ann@firm.com"
    assert found["first_name"] == "Ann"
    assert found["custom_fields"] == {"Score": "High", "ERP id": "7"}
    assert found["created_at"]


@pytest.mark.full
def test_a_hundred_contacts_cost_a_request(apollo: Sandbox, load: Callable[..., Loaded]) -> None:
    for number in range(250):
        apollo.store.add_contact(email=f"p{number}@firm.com")
    assert len(load(Loaded(), CONTACTS).tables[CONTACTS]) == 250
    # One of them asks for the newest change, from which the next run goes on.
    assert searches(apollo) == 1 + 3


@pytest.mark.full
def test_the_next_run_reads_the_contacts_that_changed(
    apollo: Sandbox, load: Callable[..., Loaded]
) -> None:
    long_ago = "2026-01-01T00:00:00.000Z"
    made = [
        apollo.store.add_contact(email=f"p{n}@firm.com", created_at=long_ago, updated_at=long_ago)
        for n in range(250)
    ]
    loaded = load(Loaded(), CONTACTS)
    apollo.store.contact_by_id[made[7]["id"]].own |= {
        "title": "Boss", "updated_at": "2026-02-01T00:00:00.000Z",
    }  # fmt: skip
    before = searches(apollo)
    load(loaded, CONTACTS)
    assert loaded.tables[CONTACTS][(made[7]["id"],)]["title"] == "Boss"
    assert searches(apollo) - before == 4
    before = searches(apollo)
    load(loaded, CONTACTS)
    assert [one["id"] for one in loaded.records[CONTACTS]][:1] == [made[7]["id"]]
    assert searches(apollo) - before == 2


@pytest.mark.full
def test_accounts_are_read_whole_each_time(apollo: Sandbox, load: Callable[..., Loaded]) -> None:
    for number in range(130):
        apollo.store.add_account(domain=f"firm{number}.com", name=f"Firm {number}")
    loaded = load(Loaded(), ACCOUNTS)
    load(loaded, ACCOUNTS)
    assert len(loaded.records[ACCOUNTS]) == 130
    assert {one["domain"] for one in loaded.records[ACCOUNTS]} == {
        f"firm{number}.com" for number in range(130)
    }


def test_lists_come_with_what_is_on_them(apollo: Sandbox, load: Callable[..., Loaded]) -> None:
    apollo.store.add_contact(email="ann@firm.com", label_names=["Trials"])
    apollo.store.add_account(domain="firm.com", label_names=["Firms"])
    found = load(Loaded(), LISTS).tables[LISTS].values()
    assert {(one["name"], one["object"], one["size"]) for one in found} == {
        ("Trials", "contact", 1), ("Firms", "account", 1),
    }  # fmt: skip


def test_deals_come_with_their_custom_fields(apollo: Sandbox, load: Callable[..., Loaded]) -> None:
    erp = apollo.store.add_custom_field("opportunity", "ERP id", "string")
    made = [
        apollo.store.deals.add(name=f"Deal {n}", amount=n, typed_custom_fields={erp["id"]: str(n)})
        for n in range(130)
    ]
    found = load(Loaded(), DEALS)
    assert len(found.records[DEALS]) == 130
    deal = found.tables[DEALS][(made[7]["id"],)]
    assert (deal["name"], deal["amount"], deal["custom_fields"]) == ("Deal 7", 7, {"ERP id": "7"})
    assert apollo.count("GET /opportunities/search") == 2


@pytest.mark.full
def test_deals_go_on_in_the_next_run(apollo: Sandbox, load: Callable[..., Loaded]) -> None:
    for number in range(350):
        apollo.store.deals.add(name=f"Deal {number}")
    endpoint = "GET /opportunities/search"
    limited = Fault(
        endpoint=endpoint, kind=FaultKind.RATE_LIMITED, retry_after=5000, times=9, after=3
    )
    apollo.inject(limited)
    loaded = load(Loaded(), DEALS, code=3)
    assert len(loaded.tables[DEALS]) == 300
    apollo.clear_faults()
    apollo.reset_log()
    load(loaded, DEALS)
    assert len(loaded.tables[DEALS]) == 350
    assert apollo.count(endpoint) == 2


def test_sequences_come_with_their_state(apollo: Sandbox, load: Callable[..., Loaded]) -> None:
    made = apollo.store.sequences.add("Welcome")
    found = load(Loaded(), SEQUENCES).tables[SEQUENCES][(made["id"],)]
    assert (found["name"], found["active"], found["archived"]) == ("Welcome", True, False)


def test_a_read_that_the_quota_ends_goes_on_in_the_next_run(
    apollo: Sandbox, load: Callable[..., Loaded]
) -> None:
    for number in range(450):
        apollo.store.add_contact(email=f"p{number}@firm.com")
    loaded = Loaded()
    # The first request asks for the newest change.
    limited = Fault(
        endpoint=SEARCH, kind=FaultKind.RATE_LIMITED, retry_after=5000, times=9, after=4
    )
    apollo.inject(limited)
    load(loaded, CONTACTS, code=3)
    assert len(loaded.tables[CONTACTS]) == 300
    assert "replication_key_value" not in loaded.state["bookmarks"][CONTACTS]
    apollo.clear_faults()
    before = searches(apollo)
    load(loaded, CONTACTS)
    assert len(loaded.tables[CONTACTS]) == 450
    assert searches(apollo) - before == 3
    assert loaded.state["bookmarks"][CONTACTS]["replication_key_value"]
    assert "reading" not in loaded.state["bookmarks"][CONTACTS]


@pytest.mark.full
def test_a_state_tells_where_to_go_on_while_records_are_read(
    apollo: Sandbox,
    write_json: Callable[[str, Any], str],
    catalog: Callable[..., dict[str, Any]],
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """So that a run that is killed is not read anew."""
    for number in range(1030):
        apollo.store.add_contact(email=f"p{number}@firm.com")
    wanted = write_json("catalog.json", catalog(CONTACTS))
    config = {"api_key": "sandbox", "api_url": apollo.url, "ledger_url": ""}
    capfdbinary.readouterr()
    assert main(["--config", write_json("config.json", config), "--catalog", wanted]) == 0
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    kinds = [line["type"] for line in lines]
    place = len(kinds) - kinds[::-1].index("RECORD")
    behind = [number for number, kind in enumerate(kinds) if kind == "STATE" and number < place]
    reading = lines[behind[-1]]["value"]["bookmarks"][CONTACTS]["reading"]
    assert reading["page"] == 11
    assert kinds[: behind[-1]].count("RECORD") == 1000


@pytest.mark.full
def test_a_run_leaves_the_part_of_the_quota_that_is_not_its_own(
    apollo: Sandbox, load: Callable[..., Loaded], caplog: pytest.LogCaptureFixture
) -> None:
    apollo.set_options(hour_limit=8)
    for number in range(450):
        apollo.store.add_contact(email=f"p{number}@firm.com")
    loaded = load(Loaded(), CONTACTS, code=3, quota_percent=50, max_wait_seconds=1)
    assert searches(apollo) == 4
    assert len(loaded.tables[CONTACTS]) == 300
    assert "apollo_contacts is not complete" in caplog.text


def test_a_key_without_access_to_fields_gives_them_by_id(
    apollo: Sandbox, load: Callable[..., Loaded], caplog: pytest.LogCaptureFixture
) -> None:
    erp = apollo.store.add_custom_field("contact", "ERP id", "string")
    made = apollo.store.add_contact(email="ann@firm.com", typed_custom_fields={erp["id"]: "7"})
    found = load(Loaded(), CONTACTS, api_key="no-fields").tables[CONTACTS][(made["id"],)]
    assert found["custom_fields"] == {erp["id"]: "7"}
    assert "by their ids instead of their labels" in caplog.text


def test_the_rate_windows_are_shared_through_the_ledger(
    apollo: Sandbox, load: Callable[..., Loaded], sqlite_url: str
) -> None:
    apollo.store.add_contact(email="ann@firm.com")
    with Ledger.open(sqlite_url) as ledger:
        load(Loaded(), CONTACTS, ledger_url=sqlite_url)
        windows = ledger.shared_windows(apollo.store.workspace.team_id)
        try:
            assert windows.read(SEARCH) is not None
        finally:
            windows.close()


def test_a_bookmark_that_is_no_time_is_told(
    load: Callable[..., Loaded], caplog: pytest.LogCaptureFixture
) -> None:
    wrong = {"replication_key": "updated_at", "replication_key_value": "soon"}
    load(Loaded(state={"bookmarks": {CONTACTS: wrong}}), CONTACTS, code=2)
    assert f"The bookmark of {CONTACTS} in the state file is no time" in caplog.text
