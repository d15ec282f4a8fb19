"""Which requests the target sends to Apollo, with their bodies: a golden file a scenario.

The files are in ``request_traces``; `tests.helpers.request_recorder` says what they hold. Whoever
means to change a request writes them anew and commits the difference, which says what the change
is::

    REWRITE_TRACES=1 pytest tests/promises/test_request_trace.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.request_recorder import CREATE, Recorder
from tests.promises.conftest import Message, Run, contact, record, schema, state

Scenario = Callable[[Recorder], None]

GOLDEN = Path(__file__).with_name("request_traces")
#: Updates from which they go in bulk by themselves.
MANY = 20
BULK = "POST /contacts/bulk_update"
#: A contact of these minutes may be taken for one that a killed run has made.
LONG_AGO = "2020-01-01T00:00:00.000+00:00"
WHOLE: Message = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}

SCENARIOS: dict[str, Scenario] = {}


def scenario(play: Scenario) -> Scenario:
    SCENARIOS[play.__name__] = play
    return play


def account(number: int, **values: Any) -> Message:
    given = {"id": number, "domain": f"firm{number}.com", "name": f"Firm {number}", **values}
    return record("accounts", **given)


def contacts_with(*names: str) -> Message:
    """The schema of contacts with further properties, of any type."""
    known = schema("contacts")["schema"]["properties"]
    return schema("contacts", {"properties": {**known, **{name: {} for name in names}}})


def accounts_with(*names: str) -> Message:
    known = schema("accounts")["schema"]["properties"]
    return schema("accounts", {"properties": {**known, **{name: {} for name in names}}})


def there(apollo: Sandbox, *numbers: int, **values: Any) -> list[dict[str, Any]]:
    """Contacts of earlier days."""
    return [
        apollo.store.add_contact(
            **{"email": f"p{n}@a.com", "title": "Old", "created_at": LONG_AGO, **values}
        )
        for n in numbers
    ]


def delete(apollo: Sandbox, email: str) -> None:
    """What a user of Apollo does."""
    found = next(one for one in apollo.store.contacts() if one["email"] == email)
    apollo.store.delete_contact(found["id"])


def refused(endpoint: str, status: int, body: Any, **own: Any) -> Fault:
    return Fault(
        endpoint=endpoint, kind=FaultKind.ERROR_BEFORE_WRITE, status=status, body=body, **own
    )


# --- modes


@scenario
def insert_into_an_empty_team(made: Recorder) -> None:
    made.run(
        schema("accounts"),
        account(1, phone_number="+49 30 1234567", raw_address="Road 1, Berlin, Germany"),
        account(2, domain="https://www.Firm2.com/about", linkedin_url="linkedin.com/company/firm2"),
        schema("contacts"),
        contact(1, first_name="Ann", last_name="Lee", title="CTO", organization_name="Firm 1"),
        contact(2, email="P2@A.com ", phone_number="+49 30 7654321"),
        contact(3, mobile_phone="+49 151 12345678", linkedin_url="https://linkedin.com/in/p3"),
        contact(4, email="no address"),
        contact(5, website_url="https://firm5.com"),
        state({"at": 5}),
        mode="insert",
        batch_size=3,
    )


@scenario
def insert_into_a_half_filled_team(made: Recorder) -> None:
    there(made.apollo, 1, 3, first_name="Old")
    made.apollo.store.add_contact(
        email="other@b.com", first_name="Ann", last_name="Lee", organization_name="Firm"
    )
    made.apollo.store.add_account(domain="firm1.com", name="Former name")
    namesake = {"first_name": "Ann", "last_name": "Lee", "organization_name": "Firm"}
    rows = [
        schema("accounts"),
        account(1),
        account(2),
        schema("contacts"),
        *(contact(n, title="New", mobile_phone=f"+4915{n:08}", label_names=["Fresh"])
          for n in range(1, 5)),
        contact(5, **namesake),
        state({"at": 5}),
    ]  # fmt: skip
    made.run(*rows, mode="insert")
    made.run(*rows, mode="insert")


@scenario
def update_by_apollo_id(made: Recorder) -> None:
    one, two, three = there(made.apollo, 1, 2, 3)
    firm = made.apollo.store.add_account(domain="firm1.com", name="Old")
    rows = [
        accounts_with("apollo_id"),
        account(1, apollo_id=firm["id"], name="New"),
        schema("contacts"),
        contact(1, apollo_id=one["id"], title="New"),
        contact(2, apollo_id=two["id"], title="New", email="moved@a.com", mobile_phone="+49151"),
        contact(3, apollo_id=three["id"], title="Old"),
        contact(4, apollo_id="5" * 24, title="Of nobody"),
        contact(5, title="Without an id"),
        state({"at": 5}),
    ]
    made.run(*rows, mode="update", ledger_url="")
    made.run(*rows, mode="update", ledger_url="", update_method="bulk")


@scenario
def update_of_rows_that_the_ledger_knows(made: Recorder) -> None:
    made.run(schema("contacts"), contact(1, title="Old"), contact(2, title="Old"))
    made.run(
        schema("contacts"), contact(1, title="New"), contact(2, title="Old"), contact(3),
        mode="update",
    )  # fmt: skip


# --- upsert


@scenario
def upsert_of_new_rows(made: Recorder) -> None:
    made.run(
        schema("contacts"),
        *(contact(n, first_name=f"F{n}", last_name=f"L{n}", title="CTO") for n in range(7)),
        state({"at": 7}),
        batch_size=3,
    )


@scenario
def upsert_of_changed_rows_without_a_ledger(made: Recorder) -> None:
    there(made.apollo, *range(MANY + 2))
    rows = [contact(n, title="New", first_name=f"F{n}") for n in range(MANY - 1)]
    rows += [contact(MANY, title="Old"), contact(MANY + 1, mobile_phone="+49 151 12345678")]
    made.run(schema("contacts"), *rows, state({"at": MANY}), ledger_url="")
    made.run(schema("contacts"), *rows, state({"at": MANY}), ledger_url="")


@scenario
def upsert_of_as_many_changed_rows_as_go_one_by_one(made: Recorder) -> None:
    there(made.apollo, *range(MANY - 1))
    made.run(schema("contacts"), *(contact(n, title="New") for n in range(MANY - 1)))


@scenario
def upsert_of_few_changed_rows_one_by_one(made: Recorder) -> None:
    there(made.apollo, 1, 2, 3)
    rows = [contact(1, title="New"), contact(2, title="Old"), contact(3, email="P3@a.com")]
    made.run(schema("contacts"), *rows, contact(4, title="New"), ledger_url="")


@scenario
def second_run_with_a_ledger(made: Recorder) -> None:
    def rows(title: str, email: str) -> list[Message]:
        return [
            schema("accounts"),
            account(1),
            account(2, name=title),
            schema("contacts"),
            contact(1, title="Same"),
            contact(2, title=title),
            contact(3, email=email, title="Same"),
            contact(4, first_name="Ann", phone_number=f"+49 30 {len(title)}"),
            state({"title": title}),
        ]

    made.run(*rows("Old", "p3@a.com"))
    made.run(*rows("Newer", "moved@a.com"))
    made.run(*rows("Newer", "moved@a.com"))


@scenario
def second_run_with_a_ledger_in_bulk(made: Recorder) -> None:
    def rows(title: str, phone: str) -> list[Message]:
        rows = [contact(n, title=title, first_name=f"F{n}") for n in range(1, 4)]
        return [*rows, contact(4, title=title, mobile_phone=phone), contact(5, title="Same")]

    made.run(schema("contacts"), *rows("Old", "+49 151 1"))
    made.run(schema("contacts"), *rows("New", "+49 151 2"), update_method="bulk")


@scenario
def full_resync(made: Recorder) -> None:
    rows = [schema("contacts"), contact(1, title="A"), contact(2, title="B"), state({"at": 2})]
    made.run(*rows)
    made.run(*rows, full_resync=True)
    made.run(*rows, full_resync=True, update_method="bulk")


@scenario
def rows_of_one_record(made: Recorder) -> None:
    there(made.apollo, 1)
    made.run(
        schema("contacts"),
        contact(1, title="First"),
        contact(2, email="p1@a.com", title="Second"),
        contact(3, email="new@a.com", title="First"),
        contact(4, email="new@a.com", title="Second"),
        contact(5, title="Earlier row of a key"),
        contact(5, title="Later row of a key"),
    )


@scenario
def nulls_that_clear(made: Recorder) -> None:
    there(made.apollo, 1, 2, first_name="Kept")
    rows = [contact(n, title=None, first_name=None) for n in (1, 2)]
    settings = {"null_policy": "clear", "null_policy_per_field": {"first_name": "ignore"}}
    made.run(schema("contacts"), *rows[:1], **settings)
    made.run(schema("contacts"), *rows, **settings, update_method="bulk", ledger_url="")


@scenario
def records_that_are_gone_from_apollo(made: Recorder) -> None:
    rows = [schema("contacts"), *(contact(n, title="Old") for n in range(1, 5))]
    made.run(*rows)
    delete(made.apollo, "p2@a.com")
    changed = [schema("contacts"), *(contact(n, title="New") for n in range(1, 5))]
    made.run(*changed)
    delete(made.apollo, "p3@a.com")
    again = [schema("contacts"), *(contact(n, title="Newer") for n in range(1, 5))]
    made.run(*again, update_method="bulk")


# --- owners, stages, lists, custom fields


@scenario
def lists_of_the_settings_and_of_the_rows(made: Recorder) -> None:
    there(made.apollo, 1, label_names=["Wave 1"])
    there(made.apollo, 2)

    def rows(wave: str) -> list[Message]:
        return [
            schema("accounts"),
            account(1, label_names=[wave]),
            schema("contacts"),
            contact(1, label_names=["Wave 1"]),
            contact(2, title="New", label_names=["Wave 1", wave]),
            contact(3, label_names=[wave]),
            contact(4),
            contact(5, label_names=["Wave 1"]),
        ]

    made.run(*rows("Wave 2"), lists=["Synced"])
    made.run(*rows("Wave 3"), lists=["Synced"])


@scenario
def owners_by_their_address(made: Recorder) -> None:
    for n in range(3):
        made.apollo.store.add_user(email=f"Rep{n}@team.com")
    there(made.apollo, 10, 11)

    def rows(shift: int) -> list[Message]:
        owned = [contact(n, owner_email=f"rep{(n + shift) % 3}@Team.com") for n in range(7)]
        known = [contact(n, title="New", owner_email="rep1@team.com") for n in (10, 11)]
        firm = account(1, owner_email=f"rep{shift}@team.com")
        strange = contact(12, owner_email="nobody@team.com")
        accounts = accounts_with("owner_email")
        return [accounts, firm, schema("contacts"), *owned, *known, strange, contact(13)]

    made.run(*rows(0))
    made.run(*rows(1))
    made.run(*rows(2), update_method="bulk")


@scenario
def new_contacts_in_requests_by_their_owner(made: Recorder) -> None:
    reps = [made.apollo.store.add_user(email=f"rep{n}@team.com") for n in range(2)]
    there(made.apollo, 2, 3)
    rows = [contact(n, owner_email=reps[n % 2]["email"], label_names=["Fresh"]) for n in range(12)]
    made.run(schema("contacts"), *rows, state({"at": 12}))
    rows = [contact(n, owner_id=reps[n % 2]["id"]) for n in range(20, 32)]
    made.run(schema("contacts"), *rows, state({"at": 32}), mode="insert")


@scenario
def more_owners_than_requests_are_worth(made: Recorder) -> None:
    reps = [made.apollo.store.add_user(email=f"rep{n}@team.com")["id"] for n in range(12)]
    made.run(schema("contacts"), *(contact(n, owner_id=reps[n // 2]) for n in range(24)))


@scenario
def owners_without_bulk_update(made: Recorder) -> None:
    rep = made.apollo.store.add_user(email="rep@team.com")["id"]
    there(made.apollo, 1, 2)
    made.apollo.inject(refused(BULK, 403, {"error": "no", "error_code": "API_INACCESSIBLE"}))
    made.run(
        schema("contacts"),
        contact(1, title="New", owner_id=rep, linkedin_url="https://linkedin.com/in/p1"),
        contact(2, owner_id=rep),
        update_method="bulk",
    )


@scenario
def stages_by_their_name(made: Recorder) -> None:
    there(made.apollo, 1, 2, 3)
    accounts = accounts_with("account_stage")

    def rows(one: str, other: str) -> list[Message]:
        return [
            accounts,
            account(1, account_stage="current client"),
            schema("contacts"),
            *(contact(n, title=one, contact_stage=one if n % 2 else other) for n in range(1, 6)),
            contact(6, contact_stage="Nowhere"),
        ]

    made.run(*rows("Approaching", "REPLIED"))
    made.run(*rows("Replied", "Bad Data"), update_method="bulk")


@scenario
def custom_fields_by_their_label(made: Recorder) -> None:
    add = made.apollo.store.add_custom_field
    add("contact", "Lead Score", "number")
    add("contact", "Segment", "picklist", ["Gold", "Silver"])
    add("contact", "Renewal", "date")
    add("account", "Plan", "string")
    there(made.apollo, 1, 2)
    properties = ("lead_score", "segment_name", "renewal", "shoe_size")

    def rows(score: float) -> list[Message]:
        return [
            accounts_with("plan"),
            account(1, plan=f"Plan {score}"),
            contacts_with(*properties),
            contact(1, lead_score=score, segment_name="gold", renewal="2026-03-01T00:00:00Z"),
            contact(2, lead_score=str(score), shoe_size=42),
            contact(3, lead_score=score, segment_name="Bronze"),
            contact(4, lead_score=score, title="CTO"),
        ]

    made.run(*rows(7.5), custom_fields={"segment_name": "Segment"})
    made.run(*rows(8), custom_fields={"segment_name": "Segment"}, update_method="bulk")


# --- field policies


@scenario
def field_policies_of_existing_contacts(made: Recorder) -> None:
    there(made.apollo, 1, first_name="Sales")
    there(made.apollo, 2, title="", first_name="Sales")
    policies = {"title": "fill_if_empty", "first_name": "never", "last_name": "create_only"}
    dated = contacts_with("updated_at")

    def rows(word: str, year: int) -> list[Message]:
        names = {"first_name": word, "last_name": word, "organization_name": word}
        return [
            contact(n, title=word, updated_at=f"{year}-01-01T00:00:00Z", **names) for n in (1, 2, 3)
        ]

    policies["organization_name"] = "newest"
    made.run(dated, *rows("Row", 2001), field_policy=policies)
    made.run(dated, *rows("Newer row", 2999), field_policy=policies)
    made.run(dated, *rows("Last row", 2999), field_policy=policies, update_method="bulk")


# --- deletions


@scenario
def deleted_rows_go_to_a_stage(made: Recorder) -> None:
    there(made.apollo, 4)
    marked = {"_sdc_deleted_at": "2026-01-01T00:00:00Z"}
    made.run(schema("accounts"), account(1), schema("contacts"), contact(1), contact(2), contact(3))
    rows = [
        contacts_with("_sdc_deleted_at"),
        record("contacts", id=1, **marked),
        contact(2, title="New"),
        contact(3, **marked),
        contact(4, **marked),
        contact(5, **marked),
    ]
    made.run(*rows)
    made.run(*rows, on_delete="stage:Bad Data")
    made.run(*rows, on_delete="stage:Bad Data")
    made.run(
        schema("accounts"), record("accounts", id=1, **marked), on_delete="stage:Dead Opportunity"
    )


@scenario
def deleted_rows_go_to_a_list(made: Recorder) -> None:
    made.run(schema("contacts"), contact(1), contact(2))
    gone = record("contacts", id=1, _sdc_deleted_at="2026-01-01T00:00:00Z")
    made.run(contacts_with("_sdc_deleted_at"), gone, on_delete="list:Gone")


@scenario
def rows_that_a_whole_table_no_longer_holds(made: Recorder) -> None:
    settings = {"on_delete": "stage:Bad Data"}
    made.run(schema("contacts"), *map(contact, range(1, 7)), WHOLE, **settings)
    delete(made.apollo, "p3@a.com")
    made.run(schema("contacts"), *map(contact, (1, 4, 5, 6)), WHOLE, **settings)
    made.run(schema("contacts"), *map(contact, (1, 4, 5)), WHOLE, on_delete="list:Gone")
    made.run(schema("contacts"), *map(contact, (1, 4, 5)), WHOLE, on_delete="list:Gone")


# --- refusals and closed endpoints


@scenario
def a_refused_create_is_halved(made: Recorder) -> None:
    made.apollo.inject(refused(CREATE, 422, {"error": "Unprocessable"}, times=1))
    # The second half and its first row are refused once more.
    for after in (1, 1):
        made.apollo.inject(refused(CREATE, 422, {"error": "Unprocessable"}, times=1, after=after))
    made.run(schema("contacts"), *map(contact, range(8)), state({"at": 8}))


@scenario
def a_refused_create_names_its_row(made: Recorder) -> None:
    body = {"error": "Email p2@a.com is not valid"}
    made.apollo.inject(refused(CREATE, 422, body, times=1))
    made.run(schema("contacts"), *map(contact, range(5)), state({"at": 5}))


@scenario
def a_refused_bulk_update_is_halved(made: Recorder) -> None:
    made.run(schema("contacts"), *(contact(n, title="Old") for n in range(6)))
    made.apollo.set_options(bad_id_names_value=False)
    delete(made.apollo, "p4@a.com")
    rows = [contact(n, title="New") for n in range(6)]
    made.run(schema("contacts"), *rows, state({"at": 6}), update_method="bulk")


@scenario
def without_bulk_update(made: Recorder) -> None:
    there(made.apollo, 1, 2, 3)
    made.apollo.inject(
        refused(BULK, 403, {"error": "no", "error_code": "API_INACCESSIBLE"}, times=None)
    )
    rows = [contact(n, title="New", contact_stage="Replied") for n in (1, 2, 3)]
    made.run(schema("contacts"), *rows, state({"at": 3}), update_method="bulk", batch_size=2)


@scenario
def without_update_stages(made: Recorder) -> None:
    there(made.apollo, 1, 2)
    closed = refused("POST /contacts/update_stages", 404, {"error": "Not Found"}, times=None)
    made.apollo.inject(closed)
    rows = [contact(n, title="New", contact_stage="Replied") for n in (1, 2)]
    made.run(schema("contacts"), *rows, update_method="bulk")


# --- accounts


@scenario
def accounts_that_change(made: Recorder) -> None:
    def rows(word: str) -> list[Message]:
        return [
            schema("accounts"),
            account(1, domain=f"{word}.com"),
            account(2, phone_number=f"+49 30 {len(word)}"),
            account(3, name=word),
            account(4, raw_address=f"{word} 1, Berlin"),
            account(5),
            state({"word": word}),
        ]

    made.run(*rows("old"))
    made.run(*rows("newer"))
    made.apollo.set_options(patch_accounts="not_found", put_accounts="accepted")
    made.run(*rows("newest"), update_method="bulk")


@scenario
def accounts_of_a_half_filled_team(made: Recorder) -> None:
    for n in range(3):
        made.apollo.store.add_account(domain=f"firm{n}.com", name=f"Old {n}")
    made.apollo.store.add_account(domain="elsewhere.com", name="Firm 3")
    rows = [account(n, phone_number="+49 30 1" if n == 2 else None) for n in range(5)]
    made.run(schema("accounts"), *rows, update_method="bulk", ledger_url="")


@scenario
def contacts_that_name_the_domain_of_their_account(made: Recorder) -> None:
    made.apollo.store.add_account(domain="elsewhere.com", name="Elsewhere")
    made.apollo.store.add_account(domain="hidden.com", name="Hidden Holding")
    domains = ("firm1.com", "www.Elsewhere.com", "hidden.com", "unknown.com", "firm1.com")
    rows = [contact(n, account_domain=domain) for n, domain in enumerate(domains)]
    made.run(schema("accounts"), account(1), contacts_with("account_domain"), *rows)
    made.run(contacts_with("account_domain"), contact(0, account_domain="elsewhere.com"))


# --- answers that are lost, and processes that die


@scenario
def answers_that_are_lost(made: Recorder) -> None:
    rows = [contact(n, title="CTO", mobile_phone=f"+4915{n:08}") for n in range(3)]
    made.apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RESET_AFTER_WRITE))
    made.run(schema("contacts"), *rows)
    made.apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RECORDS_LEFT_OUT, records=2))
    made.run(schema("contacts"), *(contact(n, title="CTO") for n in range(3, 7)))
    made.apollo.inject(Fault(endpoint=BULK, kind=FaultKind.RECORDS_LEFT_OUT, records=1))
    rows = [contact(n, title="CEO") for n in range(3, 7)]
    made.run(schema("contacts"), *rows, update_method="bulk")


@scenario
def a_rate_limit_that_is_waited_for(made: Recorder) -> None:
    made.apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RATE_LIMITED, retry_after=0))
    made.run(schema("contacts"), contact(1), state({"at": 1}))
    limited = Fault(endpoint=CREATE, kind=FaultKind.RATE_LIMITED, retry_after=3600, after=1)
    made.apollo.inject(limited)
    rows = [contact(2), state({"at": 2}), contact(3), state({"at": 3})]
    made.run(schema("contacts"), *rows, batch_size=1, max_wait_seconds=1)


@scenario
def killed_among_creates(made: Recorder) -> None:
    def rows(address: str) -> list[Message]:
        rows = [contact(n, title="CTO", mobile_phone=f"+4915{n:08}") for n in range(1, 7)]
        rows[3]["record"]["email"] = address
        return [row for n, one in enumerate(rows, 1) for row in (one, state({"at": n}))]

    settings = {"batch_size": 2}
    made.run_until_killed(schema("contacts"), *rows("p4@a.com"), creates=2, **settings)
    # The fourth row was cut off, and has another address since.
    made.run(schema("contacts"), *rows("moved@a.com"), **settings)
    made.run(schema("contacts"), *rows("moved@a.com"), **settings)


@scenario
def killed_among_inserts(made: Recorder) -> None:
    there(made.apollo, 3)
    rows = [contact(n, mobile_phone=f"+4915{n:08}", label_names=["Fresh"]) for n in range(1, 6)]
    settings = {"mode": "insert", "batch_size": 2}
    made.run_until_killed(schema("contacts"), *rows, creates=2, **settings)
    made.run(schema("contacts"), *rows, **settings)


# --- limits and dry runs


@scenario
def runs_with_limits(made: Recorder) -> None:
    there(made.apollo, 1, 2, 3)
    rows = [schema("contacts"), *(contact(n, title="New") for n in range(1, 9)), state({"at": 8})]
    made.run(*rows, max_records=2)
    made.run(*rows, max_creates=2)
    made.run(*rows, max_updates=0)


@scenario
def dry_run_of_a_small_team(made: Recorder) -> None:
    rep = made.apollo.store.add_user(email="rep@team.com")["id"]
    there(made.apollo, 1, 2)
    made.apollo.store.add_account(domain="firm1.com", name="Old")
    first = [schema("contacts"), contact(3, title="Old"), contact(4, title="Same")]
    made.run(*first)
    rows = [
        schema("accounts"),
        *map(account, range(1, 4)),
        *first[:1],
        contact(1, title="New", label_names=["Warm"]),
        contact(2, title="Old"),
        contact(3, title="New", owner_id=rep),
        contact(4, title="Same"),
        contact(5, mobile_phone="+49 151 1", contact_stage="Replied"),
        contact(6, email="no address"),
        state({"at": 6}),
    ]
    made.run(*rows, dry_run=True, sample_diffs=3)
    made.run(*rows, dry_run=True, ledger_url="", mode="insert")


@scenario
def dry_run_of_a_large_team(made: Recorder) -> None:
    for n in range(250):
        made.apollo.store.add_contact(email=f"there{n}@b.com")
        made.apollo.store.add_account(domain=f"there{n}.com", name=f"There {n}")
    rows = [
        schema("accounts"),
        account(7, domain="there7.com"),
        schema("contacts"),
        contact(7, email="there7@b.com"),
    ]
    made.run(*rows, dry_run=True, ledger_url="")


# --- requests side by side


@scenario
def requests_side_by_side(made: Recorder) -> None:
    there(made.apollo, *range(4))
    rows = [contact(n, title="New", mobile_phone=f"+4915{n:08}") for n in range(12)]
    made.run(schema("contacts"), *rows, state({"at": 12}), parallel_requests=4, batch_size=4)
    rows = [contact(n, title="Newer", contact_stage="Replied") for n in range(12)]
    made.run(schema("contacts"), *rows, state({"at": 12}), parallel_requests=4, batch_size=4)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_sends_the_requests_of_its_golden_file(
    apollo: Sandbox, sync: Run, target_config: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    made = Recorder(apollo, sync, target_config, tmp_path)

    SCENARIOS[name](made)

    made.compare(GOLDEN / f"{name}.json")


def test_every_golden_file_is_that_of_a_scenario() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(SCENARIOS)
