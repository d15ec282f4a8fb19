"""What a stream of deals does to Apollo's deals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.apollo.object_clients import DealClient
from target_apollo.cli.check.connection import check_connection
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from target_apollo.sandbox.options import ClearedBy
from target_apollo.sync.objects import mark_index
from tests.helpers.keys import settings_of
from tests.promises.conftest import Message, TargetRun, record, schema, state
from tests.promises.test_team_profile import write_profile

Run = Callable[..., TargetRun]

CREATE, UPDATE = "POST /opportunities", "PATCH /opportunities/{id}"
READ, SEARCH = "GET /opportunities/{id}", "GET /opportunities/search"
COLUMNS = (
    "id",
    "name",
    "amount",
    "deal_stage",
    "closed_date",
    "owner_email",
    "account_domain",
    "apollo_id",
    "Region",
    "_sdc_deleted_at",
)
DEALS = {"streams": {"deals": {"object": "deals"}}}


@pytest.fixture(autouse=True)
def _search_shows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mark_index, "SHOWN_AFTER", mark_index.SHOWN_AFTER * 0)


def with_key_field(apollo: Sandbox) -> str:
    made = apollo.store.add_custom_field(label="External id", modality="opportunity", type="string")
    return str(made["id"]).rpartition(".")[2]


@pytest.fixture
def key_field(apollo: Sandbox) -> str:
    return with_key_field(apollo)


@pytest.fixture
def write(sync: Run) -> Run:
    def run(*rows: Message, **settings: Any) -> TargetRun:
        return sync(deals(*rows), **{**DEALS, **settings})

    return run


def deals(*rows: Message) -> list[Message]:
    properties = {"properties": {name: {} for name in COLUMNS}}
    return [schema("deals", properties), *(record("deals", **row) for row in rows)]


def names(apollo: Sandbox) -> list[str]:
    return sorted(deal["name"] for deal in apollo.store.deals.all())


def test_a_new_row_becomes_a_deal_that_tells_which_row_it_is_of(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    apollo.store.add_user(email="ada@team.example", first_name="Ada", last_name="L")
    account = apollo.store.add_account(name="Acme", domain="acme.com")

    done = write(
        {
            "id": 7,
            "name": "Big one",
            "amount": "1,200.00 €",
            "deal_stage": "Propose",
            "closed_date": "2026-12-31T08:00:00Z",
            "owner_email": "ada@team.example",
            "account_domain": "www.acme.com",
        },
        source="crm",
    )

    assert done.records == {"received": 1, "created": 1}, done.log
    (deal,) = apollo.store.deals.all()
    assert deal["name"] == "Big one"
    assert deal["amount"] == 1200
    assert deal["closed_date"].startswith("2026-12-31")
    assert deal["account_id"] == account["id"]
    assert deal["typed_custom_fields"] == {key_field: "crm/deals/7"}


def test_an_unchanged_row_costs_no_request_and_a_changed_one_costs_one(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    write({"id": 1, "name": "One", "amount": 5}, {"id": 2, "name": "Two"})

    done = write({"id": 1, "name": "One", "amount": 6}, {"id": 2, "name": "Two"})

    assert done.records == {"received": 2, "updated": 1, "unchanged": 1}
    assert apollo.count(UPDATE) == 1
    assert apollo.count(CREATE) == 2
    assert apollo.count(SEARCH) == 1
    amounts = {deal["name"]: deal["amount"] for deal in apollo.store.deals.all()}
    assert amounts == {"One": 6, "Two": None}


def test_without_the_custom_field_nothing_is_written_and_the_run_says_how_to_make_it(
    apollo: Sandbox, write: Run
) -> None:
    done = write({"id": 1, "name": "One"})

    assert done.exit_code == 2
    assert "fields --create-missing-fields" in done.log
    assert apollo.store.deals.all() == []


@pytest.mark.parametrize("has_ledger", [True, False])
def test_without_a_key_nothing_is_written_and_the_run_says_how_to_name_one(
    apollo: Sandbox, key_field: str, sync: Run, has_ledger: bool
) -> None:
    _, *rows = deals({"id": 1, "name": "One"}, {"id": 2, "name": "Two"})
    keyless = schema("deals", {"properties": {name: {} for name in COLUMNS}}, key=None)
    ledger = {} if has_ledger else {"ledger_url": ""}

    done = sync([keyless, *rows], **DEALS, **ledger)
    assert done.exit_code == 2
    assert "Stream 'deals' has no key (key_properties in its SCHEMA)" in done.log
    assert names(apollo) == []

    own = {"streams": {"deals": {"object": "deals", "key": ["id"]}}}
    assert sync([keyless, *rows], **own, **ledger).exit_code == 0
    assert names(apollo) == ["One", "Two"]


@pytest.mark.parametrize("ledger_url", ["", "sqlite:///{}/another.db"], ids=["none", "new"])
def test_with_no_ledger_or_an_empty_one_deals_are_found_by_their_mark(
    apollo: Sandbox, key_field: str, write: Run, tmp_path: Any, ledger_url: str
) -> None:
    rows = [{"id": n, "name": f"Deal {n}"} for n in range(120)]
    write(*rows)

    done = write(
        *rows[:-1], {"id": 119, "name": "New name"}, ledger_url=ledger_url.format(tmp_path)
    )

    assert done.records == {"received": 120, "unchanged": 119, "updated": 1}
    assert len(names(apollo)) == 120
    assert apollo.count(SEARCH) == 1 + 2


@pytest.mark.parametrize("kind", [FaultKind.RESET_AFTER_WRITE, FaultKind.ERROR_AFTER_WRITE])
@pytest.mark.parametrize("has_ledger", [True, False])
def test_a_deal_whose_answer_was_lost_is_not_made_twice(
    apollo: Sandbox, key_field: str, write: Run, kind: FaultKind, has_ledger: bool
) -> None:
    ledger = {} if has_ledger else {"ledger_url": ""}
    apollo.inject(Fault(CREATE, kind))
    lost = write({"id": 1, "name": "One"}, {"id": 2, "name": "Two"}, **ledger)
    assert lost.exit_code == 1

    done = write({"id": 1, "name": "One"}, {"id": 2, "name": "Two"}, **ledger)

    assert done.exit_code == 0, done.log
    assert names(apollo) == ["One", "Two"]
    assert apollo.count(CREATE) == 2


@pytest.mark.parametrize("sources", [("crm", ""), ("", "crm")])
def test_a_deal_whose_answer_was_lost_is_found_by_a_run_with_another_source(
    apollo: Sandbox, key_field: str, write: Run, sources: tuple[str, str]
) -> None:
    apollo.inject(Fault(CREATE, FaultKind.RESET_AFTER_WRITE))
    assert write({"id": 1, "name": "One"}, source=sources[0]).exit_code == 1

    for source in (sources[1], *sources):
        assert write({"id": 1, "name": "One"}, source=source).exit_code == 0

    assert names(apollo) == ["One"]


def test_a_schema_that_changes_within_a_run_makes_no_deal_twice(
    apollo: Sandbox, key_field: str, sync: Run
) -> None:
    first, row = deals({"id": 1, "name": "One"})
    another = schema("deals", {"properties": {"id": {}, "name": {}}})

    done = sync([first, row, another, row], **DEALS, ledger_url="")

    assert done.exit_code == 0, done.log
    assert names(apollo) == ["One"]
    assert apollo.count(SEARCH) == 1


def test_of_two_deals_with_the_key_of_a_row_none_is_written(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    for name in ("One", "Copy"):
        apollo.store.deals.add(name=name, typed_custom_fields={key_field: "deals/1"})

    done = write({"id": 1, "name": "Another"})

    assert done.reasons == ["identity_conflict"]
    assert names(apollo) == ["Copy", "One"]


def test_after_one_of_the_two_was_deleted_the_row_is_written(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    made = [
        apollo.store.deals.add(name=name, typed_custom_fields={key_field: "deals/1"})
        for name in ("One", "Copy")
    ]
    write({"id": 1, "name": "Another"})
    apollo.store.deals.delete(made[1]["id"])

    done = write({"id": 1, "name": "Another"})

    assert done.records == {"received": 1, "updated": 1}
    assert names(apollo) == ["Another"]


def test_a_row_of_an_earlier_run_without_source_keeps_its_deal(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    write({"id": 1, "name": "One"}, ledger_url="")

    done = write({"id": 1, "name": "One"}, ledger_url="", source="crm")

    assert done.records == {"received": 1, "updated": 1}
    (deal,) = apollo.store.deals.all()
    assert deal["typed_custom_fields"] == {key_field: "crm/deals/1"}


def test_the_modes_insert_and_update_keep_to_their_rows(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    write({"id": 1, "name": "One"})

    inserted = write({"id": 1, "name": "Changed"}, {"id": 2, "name": "Two"}, mode="insert")
    updated = write({"id": 1, "name": "Renamed"}, {"id": 3, "name": "Three"}, mode="update")

    assert inserted.records == {"received": 2, "created": 1, "existing": 1}
    assert updated.records == {"received": 2, "updated": 1, "rejected": 1}
    assert updated.reasons == ["update_needs_id"]
    assert names(apollo) == ["Renamed", "Two"]


@pytest.mark.parametrize("has_mark", [True, False])
def test_mode_insert_changes_no_deal_that_somebody_else_has_made(
    apollo: Sandbox, key_field: str, write: Run, has_mark: bool
) -> None:
    rejected = write({"id": 1, "name": "One", "deal_stage": "Nowhere"}, mode="insert")
    assert rejected.reasons == ["unknown_name"]
    marked = {"typed_custom_fields": {key_field: "deals/1"}} if has_mark else {}
    made = apollo.store.deals.add(name="Of sales", **marked)

    row = (
        {"id": 1, "name": "One"} if has_mark else {"id": 1, "name": "One", "apollo_id": made["id"]}
    )
    done = write(row, mode="insert", full_resync=has_mark)

    assert done.records == {"received": 1, "existing": 1}, done.log
    assert names(apollo) == ["Of sales"]


def test_a_row_may_name_its_deal_by_its_apollo_id(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    deal = apollo.store.deals.add(name="By hand", amount=3)

    done = write({"id": 1, "name": "Of the row", "apollo_id": deal["id"]})

    assert done.records == {"received": 1, "updated": 1}
    (deal,) = apollo.store.deals.all()
    assert (deal["name"], deal["amount"]) == ("Of the row", 3)
    assert deal["typed_custom_fields"] == {key_field: "deals/1"}


@pytest.mark.parametrize("amount", ["1,234", "-5", "a lot", "1.234 €"])
def test_an_amount_that_apollo_would_blank_is_rejected(
    apollo: Sandbox, key_field: str, write: Run, amount: str
) -> None:
    assert write({"id": 1, "name": "One", "amount": amount}).reasons == ["wrong_type"]
    assert apollo.count(CREATE) == 0


def test_names_that_apollo_does_not_know_reject_the_row(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    done = write(
        {"id": 1, "name": "One", "deal_stage": "Nowhere"},
        {"id": 2, "name": "Two", "owner_email": "nobody@team.example"},
        {"id": 3, "name": "Three", "account_domain": "nowhere.com"},
        {"id": 4},
    )

    assert done.reasons == ["unknown_name"] * 3 + ["missing_value"]
    assert apollo.count(CREATE) == 0


def test_a_deal_may_be_made_without_its_account_where_the_settings_say_so(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    row = {"id": 3, "name": "Three", "account_domain": "nowhere.com"}
    unresolved = {"account_domain": "drop"}

    assert write(row, unresolved=unresolved).records == {"received": 1, "created": 1}
    assert write(row, unresolved=unresolved).records == {"received": 1, "unchanged": 1}
    assert apollo.count(UPDATE) == 0


def test_no_deal_is_made_without_its_account_because_of_apollos_limits(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    apollo.store.add_account(name="A", domain="a.com")
    search = "POST /accounts/search"
    apollo.inject(Fault(search, FaultKind.RATE_LIMITED, times=None, retry_after=3600))
    row = {"id": 1, "name": "One", "account_domain": "a.com"}
    drop = {"unresolved": {"account_domain": "drop"}, "max_wait_seconds": 0}

    assert write(row, **drop).exit_code == 3
    assert apollo.store.deals.all() == []


def test_a_missing_account_is_made_where_the_settings_say_so(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    row = {"id": 1, "name": "One", "account_domain": "new.com"}

    assert write(row, missing_accounts="create").records == {"received": 1, "created": 1}
    (deal,), (account,) = apollo.store.deals.all(), apollo.store.accounts()
    assert deal["account_id"] == account["id"]


def test_another_account_is_told_and_the_rest_is_written(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    apollo.store.add_account(name="A", domain="a.com")
    apollo.store.add_account(name="B", domain="b.com")
    write({"id": 1, "name": "One", "account_domain": "a.com"})

    done = write({"id": 1, "name": "New", "account_domain": "b.com"})

    assert done.records == {"received": 1, "updated": 1}
    assert "names another account than its deal has" in done.log
    assert names(apollo) == ["New"]


def test_policies_keep_what_sales_own(apollo: Sandbox, key_field: str, write: Run) -> None:
    policy = {"deal_stage": "create_only", "amount": "fill_if_empty"}
    write({"id": 1, "name": "One", "deal_stage": "Qualify"}, {"id": 2, "name": "Two", "amount": 2})

    done = write(
        {"id": 1, "name": "One", "deal_stage": "Propose", "amount": 10},
        {"id": 2, "name": "Two", "amount": 20},
        field_policy=policy,
    )

    assert done.records == {"received": 2, "updated": 1, "skipped": 1}
    first, second = sorted(apollo.store.deals.all(), key=lambda deal: deal["name"])
    stages = {stage["id"]: stage["name"] for stage in apollo.store.deals.stages}
    assert stages[first["opportunity_stage_id"]] == "Qualify"
    assert (first["amount"], second["amount"]) == (10, 2)
    assert apollo.count(READ) == 2


def test_custom_fields_are_found_by_label_and_one_that_apollo_does_not_take_rejects_the_row(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    made = apollo.store.add_custom_field(label="Region", modality="opportunity", type="string")
    field_id = str(made["id"]).rpartition(".")[2]

    done = write({"id": 1, "name": "One", "Region": "EU"})

    assert done.records == {"received": 1, "created": 1}
    (deal,) = apollo.store.deals.all()
    assert deal["typed_custom_fields"][field_id] == "EU"


@pytest.mark.full
def test_a_deal_that_was_deleted_in_apollo_is_left_or_made_anew(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    write({"id": 1, "name": "One"})
    apollo.store.deals.delete(apollo.store.deals.all()[0]["id"])

    left = write({"id": 1, "name": "Changed"})
    again = write({"id": 1, "name": "Changed"})
    recreated = write({"id": 1, "name": "Changed"}, on_apollo_delete="recreate")

    assert left.records == again.records == {"received": 1, "skipped": 1}
    assert apollo.count(UPDATE) == 1
    assert recreated.records == {"received": 1, "created": 1}
    assert names(apollo) == ["Changed"]


def test_a_404_that_names_no_deal_makes_none_anew(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    write({"id": 1, "name": "One"})
    body = {"status": 404, "error": "Not Found"}
    apollo.inject(Fault(UPDATE, FaultKind.ERROR_BEFORE_WRITE, status=404, body=body))

    refused = write({"id": 1, "name": "Changed"}, on_apollo_delete="recreate")
    later = write({"id": 1, "name": "Changed"}, on_apollo_delete="recreate")

    assert refused.records == {"received": 1, "rejected": 1}
    assert later.records == {"received": 1, "updated": 1}
    assert names(apollo) == ["Changed"]


def _without_custom_fields(monkeypatch: pytest.MonkeyPatch, *methods: str) -> None:
    """Lets some of Apollo's answers show deals without their custom fields."""

    def stripped(answer: Any) -> Any:
        for one in getattr(answer, "records", [answer]):
            one.pop("typed_custom_fields")
        return answer

    for name in methods:
        called = getattr(DealClient, name)
        monkeypatch.setattr(DealClient, name, lambda *some, of=called: stripped(of(*some)))


def test_a_deal_that_the_search_shows_without_custom_fields_is_read(
    apollo: Sandbox, key_field: str, write: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write({"id": 1, "name": "One"})
    _without_custom_fields(monkeypatch, "page")

    done = write({"id": 1, "name": "Changed"}, ledger_url="")

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert apollo.count(READ) == 1
    assert names(apollo) == ["Changed"]


def test_where_apollo_shows_no_custom_fields_of_deals_none_is_made(
    apollo: Sandbox, key_field: str, write: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write({"id": 1, "name": "One"})
    _without_custom_fields(monkeypatch, "page", "read")

    done = write({"id": 1, "name": "Changed"}, ledger_url="")

    assert done.exit_code == 1
    assert "Apollo shows deals without their custom fields" in done.log
    assert names(apollo) == ["One"]


@pytest.mark.full
def test_a_deleted_row_moves_its_deal_to_a_stage_of_that_name(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    write({"id": 1, "name": "One"})
    gone = {"id": 1, "name": "One", "_sdc_deleted_at": "2026-01-01T00:00:00Z"}

    ignored = write(gone)
    nowhere = write(gone, on_delete="stage:Elsewhere")
    moved = write(gone, on_delete="stage:Closed Lost")
    again = write(gone, on_delete="stage:Closed Lost")
    back = write({"id": 1, "name": "One"})

    assert ignored.records == nowhere.records == {"received": 1, "skipped": 1}
    assert "no stage of deals is called 'Elsewhere'" in nowhere.log
    assert moved.records == {"received": 1, "updated": 1}
    assert again.records == {"received": 1, "unchanged": 1}
    assert back.records == {"received": 1, "updated": 1}
    assert len(names(apollo)) == 1


def test_a_rejected_row_that_is_deleted_moves_its_deal_all_the_same(
    apollo: Sandbox, key_field: str, write: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = DealClient.create
    monkeypatch.setattr(DealClient, "create", lambda self, of: {**real(self, of), "name": "Other"})
    row = {"id": 1, "name": "One"}
    assert write(row).reasons == ["not_confirmed"]

    gone = {**row, "_sdc_deleted_at": "2026-01-01T00:00:00Z"}
    done = write(gone, on_delete="stage:Closed Lost")

    assert done.records == {"received": 1, "updated": 1}, done.log


def test_the_run_stops_at_max_creates_and_the_next_one_goes_on(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    rows = [{"id": n, "name": f"Deal {n}"} for n in range(5)]

    stopped = write(*rows, max_creates=3)
    done = write(*rows)

    assert stopped.exit_code == 1
    assert stopped.records["created"] == 3
    assert done.records == {"received": 5, "unchanged": 3, "created": 2}


@pytest.mark.full
def test_a_used_up_quota_ends_the_run_and_state_passes_behind_what_was_written(
    key_field: str, sync: Run, apollo: Sandbox
) -> None:
    rows = deals(*({"id": n, "name": f"Deal {n}"} for n in range(250)))
    messages = [*rows[:151], state({"at": 150}), *rows[151:], state({"at": 250})]
    settings = {**DEALS, "max_wait_seconds": 0}

    first = sync(messages, **settings)
    apollo.reset_quota()
    second = sync(messages, **settings)

    assert (first.exit_code, second.exit_code) == (3, 0)
    assert first.records["created"] == 200
    assert first.last_state == {"at": 150}
    assert second.records == {"received": 250, "unchanged": 200, "created": 50}
    assert apollo.count(CREATE) == 250


@pytest.mark.full
def test_limits_that_end_the_pass_let_other_rows_be_written_and_the_next_run_goes_on(
    key_field: str, write: Run, apollo: Sandbox
) -> None:
    write({"id": 1, "name": "One"})
    apollo.inject(Fault(SEARCH, FaultKind.RATE_LIMITED, times=None, retry_after=3600))
    apollo.inject(Fault(CREATE, FaultKind.RESET_AFTER_WRITE))
    write({"id": 2, "name": "Two"})
    rows = ({"id": 1, "name": "Changed"}, {"id": 2, "name": "Two"})

    held = write(*rows, max_wait_seconds=0)
    apollo.clear_faults()
    done = write(*rows)

    assert held.exit_code == 3
    assert held.records == {"received": 2, "updated": 1, "without_outcome": 1}
    assert done.records["unchanged"] == 1
    assert names(apollo) == ["Changed", "Two"]


def test_an_amount_that_apollo_does_not_empty_rejects_its_row(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    apollo.set_options(cleared_by=ClearedBy.NULL)
    write({"id": 1, "name": "One", "amount": 5})

    done = write({"id": 1, "name": "One", "amount": None}, null_policy="clear")

    assert done.reasons == ["not_confirmed"]
    assert [deal["amount"] for deal in apollo.store.deals.all()] == [5]


def test_an_amount_is_emptied_with_null_where_a_probe_has_found_out_that_apollo_wants_it(
    apollo: Sandbox, key_field: str, write: Run, tmp_path: Path
) -> None:
    apollo.set_options(cleared_by=ClearedBy.NULL)
    path = write_profile(tmp_path, apollo, {"cleared_by": ClearedBy.NULL})
    write({"id": 1, "name": "One", "amount": 5})

    done = write({"id": 1, "name": "One", "amount": None}, null_policy="clear", profile_path=path)

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert [deal["amount"] for deal in apollo.store.deals.all()] == [None]


@pytest.mark.parametrize("altered", [{"amount": None}, {"name": "Another"}])
def test_a_value_that_the_answer_does_not_confirm_rejects_the_row_once(
    apollo: Sandbox,
    key_field: str,
    write: Run,
    monkeypatch: pytest.MonkeyPatch,
    altered: Message,
) -> None:
    real = DealClient.create
    monkeypatch.setattr(
        DealClient, "create", lambda self, fields: {**real(self, fields), **altered}
    )

    first = write({"id": 1, "name": "One", "amount": 5})
    again = write({"id": 1, "name": "One", "amount": 5})

    assert first.reasons == ["not_confirmed"]
    assert again.records == {"received": 1, "rejected": 1}
    assert apollo.count(CREATE) == 1
    assert apollo.count(UPDATE) == 0


def test_a_custom_field_that_apollo_does_not_take_rejects_the_row(
    apollo: Sandbox, key_field: str, write: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = DealClient.create
    monkeypatch.setattr(
        DealClient, "create", lambda self, fields: {**real(self, fields), "typed_custom_fields": {}}
    )

    assert write({"id": 1, "name": "One"}).reasons == ["custom_field_refused"]
    assert write({"id": 1, "name": "New"}).records == {"received": 1, "updated": 1}
    assert names(apollo) == ["New"]


def test_all_rows_refused_alike_end_the_run_after_a_few_requests(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    apollo.inject(Fault(CREATE, FaultKind.ERROR_BEFORE_WRITE, times=None, status=422))

    done = write(*({"id": n, "name": f"Deal {n}"} for n in range(60)))

    assert done.exit_code == 1
    assert "alike for all records" in done.log
    assert apollo.count(CREATE) == 20


def test_a_rejected_row_is_replayed_once_its_stage_is_there(
    apollo: Sandbox, key_field: str, write: Run, sync: Run
) -> None:
    rejected = write({"id": 1, "name": "One", "deal_stage": "Trial"})
    apollo.store.deals.add_stage("Trial")

    done = sync([*deals(), *rejected.rejects], **DEALS)

    assert rejected.reasons == ["unknown_name"]
    assert done.records == {"received": 1, "created": 1}, done.log


def test_check_asks_for_what_deals_need_and_changes_nothing(
    apollo: Sandbox, key_field: str
) -> None:
    settings = settings_of(apollo.url, apollo.api_key, **DEALS)

    found = check_connection(settings, [])

    asked = {finding.endpoint: finding.access for finding in found.findings}
    assert {CREATE, UPDATE, READ, SEARCH} <= set(asked)
    assert found.verdict[0] == 0
    assert apollo.store.deals.all() == []


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(
    apollo: Sandbox, key_field: str, write: Run
) -> None:
    write({"id": 1, "name": "One"})

    done = write({"id": 1, "name": "Changed"}, {"id": 2, "name": "Two"}, dry_run=True)

    assert done.records == {"received": 2, "created": 1, "updated": 1}
    assert done.summary["estimate"]["requests"][CREATE] == 1
    assert names(apollo) == ["One"]
