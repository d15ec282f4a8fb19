"""How many requests updates of existing records take, and that each row is confirmed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions, running_sandbox
from target_apollo.sandbox.options import (
    BulkAnswers,
    BulkFailure,
    ClearedBy,
    CustomFieldErrors,
    UnknownId,
)
from target_apollo.sandbox.windows import Plan
from tests.system.conftest import TargetRun, record, schema, state
from tests.system.test_open_questions import ANSWERS

Run = Callable[..., TargetRun]

CREATE = "POST /contacts/bulk_create"
BULK = "POST /contacts/bulk_update"
BULK_ACCOUNTS = "POST /accounts/bulk_update"
STAGES = "POST /contacts/update_stages"
OWNERS = "POST /contacts/update_owners"
LISTS = "POST /labels/add_entity_ids_to_label_names"
PATCH = "PATCH /contacts/{id}"
USAGE = "POST /usage_stats/api_usage_stats"
#: Rows from which `auto` goes in bulk.
MANY = 20


@pytest.fixture
def free() -> Iterator[Sandbox]:
    """A sandbox that is not in the way of a thousand requests."""
    with running_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
        yield sandbox


def contact(number: int, **values: Any) -> dict[str, Any]:
    return record("contacts", **{"id": number, "email": f"p{number}@a.com", **values})


def there(apollo: Sandbox, count: int, **values: Any) -> list[dict[str, Any]]:
    """Contacts that exist, made long before the run."""
    return [
        apollo.store.add_contact(email=f"p{n}@a.com", **{"title": "old", **values})
        for n in range(count)
    ]


def by_email(apollo: Sandbox) -> dict[str, dict[str, Any]]:
    return {str(one["email"]): one for one in apollo.store.contacts()}


def writes(apollo: Sandbox) -> dict[str, int]:
    return dict(Counter(r.endpoint for r in apollo.requests if r.method != "GET"))


def stream(**more: str) -> dict[str, Any]:
    """The schema of contacts with further properties of these types."""
    names = ("id", "email", "title", "first_name", "owner_id", "linkedin_url", "mobile_phone")
    plain = {name: {} for name in (*names, "contact_stage", "contact_stage_id", "label_names")}
    return {
        "properties": {**plain, **{name: {"type": [kind, "null"]} for name, kind in more.items()}}
    }


def refusal(endpoint: str, **own: Any) -> Fault:
    return Fault(
        endpoint=endpoint,
        kind=FaultKind.ERROR_BEFORE_WRITE,
        **{
            "status": 403,
            "body": {"error": "no", "error_code": "API_INACCESSIBLE"},
            "times": None,
            **own,
        },
    )


# --- few requests


@pytest.mark.parametrize("method", ["auto", "bulk"])
def test_a_thousand_changed_contacts_take_twenty_requests(
    free: Sandbox, sync: Run, method: str
) -> None:
    reps = [free.store.add_user(email=f"rep{n}@team.com")["id"] for n in range(5)]
    there(free, 1000)
    rows = [
        contact(n, title=f"T{n}", first_name=f"F{n}", organization_name="Org", owner_id=reps[n % 5])
        for n in range(1000)
    ]

    done = sync(
        [schema("contacts"), *rows, state({"n": 1000})],
        sandbox=free,
        update_method=method,
        ledger_url="",
    )

    assert done.records == {"received": 1000, "updated": 1000}, done.log
    made = writes(free)
    looked_up = made.pop(CREATE) + made.pop(USAGE)
    assert looked_up <= 16
    assert sum(made.values()) <= 20, made
    held = by_email(free)
    assert all(
        (held[f"p{n}@a.com"]["title"], held[f"p{n}@a.com"]["owner_id"]) == (f"T{n}", reps[n % 5])
        for n in range(1000)
    )


def test_a_thousand_new_contacts_of_five_owners_and_a_list_take_twenty_requests(
    free: Sandbox, sync: Run
) -> None:
    reps = [free.store.add_user(email=f"rep{n}@team.com")["id"] for n in range(5)]
    rows = [contact(n, owner_id=reps[n % 5], label_names=["Wave 1"]) for n in range(1000)]

    done = sync([schema("contacts"), *rows], sandbox=free)

    assert done.records == {"received": 1000, "created": 1000}, done.log
    made = writes(free)
    assert sum(made.values()) - made[USAGE] <= 20, made
    assert all(len(one["label_ids"]) == 1 for one in free.store.contacts())
    assert Counter(one["owner_id"] for one in free.store.contacts()) == dict.fromkeys(reps, 200)


def test_individual_takes_a_request_a_contact(apollo: Sandbox, sync: Run) -> None:
    there(apollo, MANY + 5)

    sync([schema("contacts"), *(contact(n, title="new") for n in range(MANY + 5))],
         update_method="individual")  # fmt: skip

    assert (apollo.count(PATCH), apollo.count(BULK)) == (MANY + 5, 0)


def test_auto_updates_few_contacts_one_by_one(apollo: Sandbox, sync: Run) -> None:
    there(apollo, MANY - 1)

    sync([schema("contacts"), *(contact(n, title="new") for n in range(MANY - 1))])

    assert (apollo.count(PATCH), apollo.count(BULK)) == (MANY - 1, 0)


def test_auto_goes_in_bulk_when_the_hour_has_fewer_requests_left(sync: Run) -> None:
    with running_sandbox(SandboxOptions(strict=True, hour_limit=5)) as apollo:
        there(apollo, 8)
        # Two of the five are used up by the first flush, which tells how many are left.
        done = sync(
            [schema("contacts"), *(contact(n, title="new") for n in range(8))],
            sandbox=apollo,
            batch_size=2,
            parallel_requests=1,
        )

        assert done.records == {"received": 8, "updated": 8}
        assert apollo.count(PATCH) <= 4
        assert apollo.count(BULK) >= 1


def test_the_stream_has_a_method_of_its_own(apollo: Sandbox, sync: Run) -> None:
    there(apollo, 3)

    sync(
        [schema("contacts"), *(contact(n, title="new") for n in range(3))],
        streams={"contacts": {"update_method": "bulk"}},
    )

    assert (apollo.count(PATCH), apollo.count(BULK)) == (0, 1)


def test_mode_update_goes_in_bulk_too(apollo: Sandbox, sync: Run) -> None:
    known = there(apollo, 30)

    done = sync(
        [schema("contacts"),
         *(contact(n, apollo_id=one["id"], title=f"T{n}") for n, one in enumerate(known))],
        mode="update",
        ledger_url="",
    )  # fmt: skip

    assert done.records == {"received": 30, "updated": 30}
    assert writes(apollo).keys() & {PATCH, BULK} == {BULK}
    assert by_email(apollo)["p7@a.com"]["title"] == "T7"


def test_stages_and_lists_go_with_others_of_their_kind(apollo: Sandbox, sync: Run) -> None:
    there(apollo, 30)
    stages = [one["name"] for one in apollo.store.contact_stages[:2]]
    rows = [
        contact(n, title="new", contact_stage=stages[n % 2], label_names=["A"] if n % 3 else ["B"])
        for n in range(30)
    ]

    done = sync([schema("contacts"), *rows], update_method="bulk")

    assert done.records == {"received": 30, "updated": 30}
    made = writes(apollo)
    assert (made[BULK], made[STAGES], made[LISTS], made.get(PATCH, 0)) == (1, 1, 2, 0)
    ids = {one["name"]: one["id"] for one in apollo.store.contact_stages}
    held = by_email(apollo)
    assert all(held[f"p{n}@a.com"]["contact_stage_id"] == ids[stages[n % 2]] for n in range(30))
    assert all(len(one["label_ids"]) == 1 for one in held.values())


def test_only_rows_with_another_phone_take_a_request_of_their_own(
    apollo: Sandbox, sync: Run
) -> None:
    rows = [contact(n, title="old", mobile_phone=f"+4915{n:08}") for n in range(30)]
    sync([schema("contacts"), *rows])
    apollo.reset_log()
    rows = [
        contact(n, title="new", mobile_phone=f"+49{16 if n < 2 else 15}{n:08}") for n in range(30)
    ]

    done = sync([schema("contacts"), *rows], update_method="bulk")

    assert done.records == {"received": 30, "updated": 30}
    assert (apollo.count(BULK), apollo.count(PATCH)) == (1, 2)
    numbers = {one["phone_numbers"][0]["raw_number"] for one in apollo.store.contacts()}
    assert numbers == {f"+49{16 if n < 2 else 15}{n:08}" for n in range(30)}


def test_a_row_with_another_phone_takes_one_request_where_its_record_is_known(
    apollo: Sandbox, sync: Run
) -> None:
    there(apollo, 3)

    sync(
        [schema("contacts"), contact(0, title="new", mobile_phone="+4915112345678")],
        update_method="bulk",
        ledger_url="",
    )

    assert (apollo.count(BULK), apollo.count(PATCH)) == (0, 1)
    assert by_email(apollo)["p0@a.com"]["title"] == "new"


def test_accounts_go_in_bulk_as_far_as_apollo_takes_them(apollo: Sandbox, sync: Run) -> None:
    rep = apollo.store.add_user(email="rep@team.com")["id"]
    for n in range(25):
        apollo.store.add_account(domain=f"d{n}.com", name=f"Old {n}")
    rows = [
        record("accounts", id=n, domain=f"d{n}.com", name=f"New {n}", owner_id=rep)
        for n in range(25)
    ]
    rows[3]["record"]["phone_number"] = "+49301"

    done = sync([schema("accounts"), *rows], ledger_url="")

    assert done.records == {"received": 25, "updated": 25}
    made = writes(apollo)
    assert made[BULK_ACCOUNTS] == 1
    assert sum(count for label, count in made.items() if label.endswith("/{id}")) <= 2
    assert {(a["domain"], a["name"], a["owner_id"]) for a in apollo.store.accounts()} == {
        (f"d{n}.com", f"New {n}", rep) for n in range(25)
    }
    assert [a["domain"] for a in apollo.store.accounts() if a["phone"]] == ["d3.com"]


# --- endpoints that are closed


@pytest.mark.parametrize("method", ["auto", "bulk"])
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"status": 404, "body": {"error": "Not Found"}},
        {"status": 405, "body": {"error": "Method not allowed"}},
        {"status": 200, "body": {"entity_progress_job": {"id": "1" * 24, "status": "pending"}}},
    ],
    ids=["403", "404", "405", "job"],
)
def test_without_bulk_update_rows_are_updated_one_by_one_with_one_warning(
    apollo: Sandbox, sync: Run, method: str, answer: dict[str, Any]
) -> None:
    there(apollo, 45)
    apollo.inject(refusal(BULK, **answer))

    done = sync(
        [schema("contacts"), *(contact(n, title=f"T{n}") for n in range(45)), state({"n": 45})],
        update_method=method,
        batch_size=5,
        max_retries=0,
    )

    assert (done.exit_code, done.last_state) == (0, {"n": 45}), done.log
    assert done.records == {"received": 45, "updated": 45}
    assert {one["title"] for one in apollo.store.contacts()} == {f"T{n}" for n in range(45)}
    assert len(re.findall("For the rest of the run", done.log)) == 1
    assert list(done.summary["api"]["closed"]) == [BULK]
    # The requests that were on their way when the first answer came, and none after.
    assert apollo.count(BULK) <= 4


def test_without_bulk_update_owners_are_assigned_by_the_hundred(apollo: Sandbox, sync: Run) -> None:
    reps = [apollo.store.add_user(email=f"rep{n}@team.com")["id"] for n in range(2)]
    there(apollo, 40)
    apollo.inject(refusal(BULK))

    done = sync(
        [schema("contacts"), *(contact(n, owner_id=reps[n % 2]) for n in range(40))],
        update_method="bulk",
    )

    assert done.records == {"received": 40, "updated": 40}
    assert (apollo.count(OWNERS), apollo.count(PATCH)) == (2, 0)
    assert Counter(one["owner_id"] for one in apollo.store.contacts()) == dict.fromkeys(reps, 20)


def test_what_only_bulk_update_takes_is_rejected_without_it_after_the_rest_is_written(
    apollo: Sandbox, sync: Run
) -> None:
    there(apollo, 2)
    apollo.inject(refusal(BULK))

    done = sync(
        [
            schema("contacts"),
            contact(0, title="new", linkedin_url="https://linkedin.com/in/ann"),
            contact(1, title="new"),
        ],
        update_method="bulk",
    )

    assert done.records == {"received": 2, "updated": 1, "rejected": 1}
    detail = done.rejects[0]["record"]["_reject"]["detail"]
    assert "linkedin_url" in detail
    assert "api/v1/contacts/bulk_update" in detail
    assert {one["title"] for one in apollo.store.contacts()} == {"new"}


@pytest.mark.parametrize("status", [403, 404])
def test_without_update_stages_single_updates_carry_the_stage(
    apollo: Sandbox, sync: Run, status: int
) -> None:
    there(apollo, 30)
    stage = apollo.store.contact_stages[1]
    apollo.inject(refusal(STAGES, status=status))

    done = sync(
        [schema("contacts"),
         *(contact(n, title="new", contact_stage=stage["name"]) for n in range(30))],
        batch_size=10,
        parallel_requests=1,
        update_method="bulk",
    )  # fmt: skip

    assert done.records == {"received": 30, "updated": 30}, done.log
    assert {one["contact_stage_id"] for one in apollo.store.contacts()} == {stage["id"]}
    assert len(re.findall("For the rest of the run", done.log)) == 1
    assert apollo.count(STAGES) == 1


def test_without_any_endpoint_for_owners_the_run_ends_naming_what_the_key_needs(
    apollo: Sandbox, sync: Run
) -> None:
    rep = apollo.store.add_user(email="rep@team.com")["id"]
    there(apollo, 2)
    for endpoint in (BULK, OWNERS):
        apollo.inject(refusal(endpoint))

    done = sync([schema("contacts"), contact(0, owner_id=rep), contact(1, title="new"), state(2)])

    assert (done.exit_code, done.states) == (2, [])
    assert "api/v1/contacts/update_owners" in done.summary["ended_because"]
    assert done.records == {"received": 2, "updated": 1, "without_outcome": 1}


def test_lists_that_apollo_makes_a_job_of_are_written_by_the_hundred(
    free: Sandbox, sync: Run
) -> None:
    job = {"entity_progress_job": {"id": "1" * 24, "job_type": "add_entities_to_labels"}}
    free.inject(refusal(LISTS, status=200, body=job, times=1))

    done = sync([schema("contacts"), *(contact(n) for n in range(250))], sandbox=free, lists=["A"])

    assert done.records == {"received": 250, "created": 250}
    assert free.count(LISTS) == 4
    assert all(len(one["label_ids"]) == 1 for one in free.store.contacts())


# --- refusals and answers


@pytest.mark.parametrize("failure", list(BulkFailure))
@pytest.mark.parametrize("names_value", [True, False])
def test_a_bulk_update_that_is_refused_costs_the_bad_row_only(
    sync: Run, failure: BulkFailure, names_value: bool
) -> None:
    options = SandboxOptions(strict=True, bulk_failure=failure, bad_id_names_value=names_value)
    with running_sandbox(options) as apollo:
        there(apollo, 40)
        rows = [contact(n, title=f"T{n}") for n in range(40)]
        rows[17]["record"]["owner_id"] = "e" * 24

        done = sync([schema("contacts"), *rows], sandbox=apollo, update_method="bulk",
                    ledger_url="")  # fmt: skip

        assert done.records == {"received": 40, "updated": 39, "rejected": 1}
        assert {one["title"] for one in apollo.store.contacts()} - {"old"} >= {
            f"T{n}" for n in range(40) if n != 17
        }
        assert done.rejects[0]["record"]["id"] == 17


def test_a_refusal_that_names_a_contact_takes_that_one_out(apollo: Sandbox, sync: Run) -> None:
    known = there(apollo, 30)
    rows = [contact(n, apollo_id=one["id"], title="new") for n, one in enumerate(known)]
    details = {"contact_id": known[4]["id"], "field": "email", "message": "Invalid email format"}
    body = {"error": "Validation failed", "error_details": details}
    apollo.inject(Fault(BULK, FaultKind.ERROR_BEFORE_WRITE, status=422, body=body))

    done = sync([schema("contacts"), *rows], mode="update", update_method="bulk", ledger_url="")

    assert done.records == {"received": 30, "updated": 29, "rejected": 1}
    assert done.rejects[0]["record"]["id"] == 4
    assert (apollo.count(BULK), apollo.count(PATCH)) == (2, 0)


@pytest.mark.parametrize("unknown_id", list(UnknownId))
@pytest.mark.parametrize("names_value", [True, False])
def test_contacts_that_are_gone_are_made_again(
    sync: Run, unknown_id: UnknownId, names_value: bool
) -> None:
    options = SandboxOptions(strict=True, unknown_id=unknown_id, bad_id_names_value=names_value)
    with running_sandbox(options) as apollo:
        there(apollo, 25)
        rows = [contact(n, title="new") for n in range(25)]
        for n in (3, 9):
            rows[n]["record"]["apollo_id"] = f"{n:024}"

        done = sync([schema("contacts"), *rows], sandbox=apollo, update_method="bulk")

        assert done.records == {"received": 25, "updated": 25}
        assert {one["title"] for one in apollo.store.contacts()} == {"new"}
        assert len(apollo.store.contacts()) == 25
        assert done.summary["api"]["closed"] == {}


def test_a_deleted_contact_is_rejected_and_the_others_are_updated(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), *(contact(n, title="old") for n in range(25))])
    apollo.store.delete_contact(by_email(apollo)["p5@a.com"]["id"])

    done = sync(
        [schema("contacts"), *(contact(n, title="new") for n in range(25))], update_method="bulk"
    )

    assert done.reasons == ["deleted_in_apollo"]
    assert done.records == {"received": 25, "updated": 24, "rejected": 1}


def test_a_row_that_bulk_answers_leave_out_is_confirmed_by_a_single_update(
    apollo: Sandbox, sync: Run
) -> None:
    there(apollo, 25)
    apollo.inject(Fault(endpoint=BULK, kind=FaultKind.RECORDS_LEFT_OUT, times=None, records=1))

    done = sync(
        [schema("contacts"), *(contact(n, title="new") for n in range(25))], update_method="bulk"
    )

    assert done.records == {"received": 25, "updated": 25}
    assert (apollo.count(BULK), apollo.count(PATCH)) == (2, 1)


def test_a_row_of_which_bulk_update_shows_the_old_value_is_sent_once_more(
    apollo: Sandbox, sync: Run
) -> None:
    known = there(apollo, 1)
    untouched = {"contacts": [{"id": known[0]["id"], "title": "old", "updated_at": "2026-01-01"}]}
    apollo.inject(refusal(BULK, status=200, body=untouched))

    done = sync([schema("contacts"), contact(0, title="new")], update_method="bulk", ledger_url="")

    assert done.records == {"received": 1, "updated": 1}
    assert by_email(apollo)["p0@a.com"]["title"] == "new"


def test_a_row_of_which_every_answer_shows_the_old_value_is_not_counted_as_written(
    apollo: Sandbox, sync: Run
) -> None:
    known = there(apollo, 1)[0]
    for endpoint, body in ((BULK, {"contacts": [known]}), (PATCH, {"contact": known})):
        apollo.inject(refusal(endpoint, status=200, body=body))

    done = sync([schema("contacts"), contact(0, title="new")], update_method="bulk", ledger_url="")

    assert done.reasons == ["not_confirmed"]


def test_an_owner_that_bulk_update_did_not_take_is_not_counted_as_written(
    apollo: Sandbox, sync: Run
) -> None:
    known = there(apollo, 1)[0]
    rep = apollo.store.add_user(email="rep@team.com")["id"]
    apollo.inject(refusal(BULK, status=200, body={"contacts": [known]}))

    done = sync([schema("contacts"), contact(0, owner_id=rep)], update_method="bulk")

    assert done.reasons == ["not_confirmed"]


LOST = [
    FaultKind.ERROR_BEFORE_WRITE,
    FaultKind.ERROR_AFTER_WRITE,
    FaultKind.RESET_BEFORE_WRITE,
    FaultKind.RESET_AFTER_WRITE,
    FaultKind.TRUNCATED_BODY,
    FaultKind.GARBAGE_BODY,
    FaultKind.EMPTY_BODY,
    FaultKind.HTML_PAGE,
    FaultKind.RECORDS_LEFT_OUT,
]


@pytest.mark.parametrize("kind", LOST, ids=lambda kind: kind.value)
@pytest.mark.parametrize("endpoint", [BULK, STAGES])
def test_a_grouped_update_whose_answer_is_lost_is_written(
    apollo: Sandbox, sync: Run, kind: FaultKind, endpoint: str
) -> None:
    stage = apollo.store.contact_stages[1]
    there(apollo, 25)
    apollo.inject(Fault(endpoint=endpoint, kind=kind, records=2))

    done = sync(
        [
            schema("contacts"),
            *(contact(n, title=f"T{n}", contact_stage=stage["name"]) for n in range(25)),
            state({"n": 25}),
        ],
        update_method="bulk",
    )

    assert (done.exit_code, done.last_state) == (0, {"n": 25}), done.log
    assert done.records == {"received": 25, "updated": 25}
    held = by_email(apollo)
    assert all(held[f"p{n}@a.com"]["title"] == f"T{n}" for n in range(25))
    assert {one["contact_stage_id"] for one in held.values()} == {stage["id"]}


def test_an_apollo_that_goes_down_between_two_parts_leaves_the_rows_to_the_next_run(
    apollo: Sandbox, sync: Run
) -> None:
    stage = apollo.store.contact_stages[1]
    there(apollo, 25)
    apollo.inject(Fault(endpoint=STAGES, kind=FaultKind.ERROR_BEFORE_WRITE, times=None))
    staged = [contact(n, title="new", contact_stage=stage["name"]) for n in range(5)]
    rows = [schema("contacts"), *staged, *(contact(n, title="new") for n in range(5, 25))]

    first = sync([*rows, state({"n": 25})], update_method="bulk", max_retries=0)
    assert (first.exit_code, first.states) == (1, [])
    assert first.records == {"received": 25, "updated": 20, "without_outcome": 5}

    apollo.clear_faults()
    second = sync([*rows, state({"n": 25})], update_method="bulk")
    assert (second.exit_code, second.last_state) == (0, {"n": 25})
    held = by_email(apollo)
    assert all(held[f"p{n}@a.com"]["contact_stage_id"] == stage["id"] for n in range(5))


def test_two_versions_of_a_row_never_overtake_each_other(apollo: Sandbox, sync: Run) -> None:
    there(apollo, 10)
    # Two keys for one contact: applied in the order in which they came.
    rows = [record("contacts", id=n, email=f"p{n % 10}@a.com", title=f"T{n}") for n in range(40)]

    sync([schema("contacts"), *rows], update_method="bulk")

    held = by_email(apollo)
    assert all(held[f"p{n % 10}@a.com"]["title"] == f"T{n}" for n in range(30, 40))


# --- what Apollo's documents leave open


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda name: name.replace(" ", "_"))
@pytest.mark.parametrize("known", [True, False], ids=["known", "found"])
def test_bulk_updates_end_with_the_rows_values(
    answer: str, known: bool, sync: Run, tmp_path: Path
) -> None:
    with running_sandbox(SandboxOptions(strict=True, **ANSWERS[answer])) as apollo:
        store = apollo.store
        rep = store.add_user(email="rep@team.com")["id"]
        stage = store.contact_stages[1]
        score = store.add_custom_field("contact", "Score", "number")["id"].split(".")[-1]
        rows = [
            contact(n, title="old", mobile_phone=f"+4915{n:08}", owner_id=rep, score=1)
            for n in range(8)
        ]
        sync([schema("contacts", stream(score="number")), *rows], sandbox=apollo)
        changed = [
            contact(
                n,
                title=f"T{n}",
                mobile_phone=f"+49{15 if n else 16}{n:08}",
                owner_id=store.users()[0]["id"] if n == 7 else rep,
                linkedin_url=f"https://linkedin.com/in/p{n}/",
                contact_stage=stage["name"],
                label_names=["Synced"],
                score=n,
            )
            for n in range(8)
        ]
        # This one can't be written: no such owner.
        bad = contact(90, email="p90@a.com", owner_id="e" * 24)

        done = sync(
            [schema("contacts", stream(score="number")), *changed, bad],
            sandbox=apollo,
            update_method="bulk",
            **({} if known else {"ledger_url": ""}),
        )

        assert done.records == {"received": 9, "updated": 8, "rejected": 1}, done.log
        held = by_email(apollo)
        for n in range(8):
            one = held[f"p{n}@a.com"]
            assert one["title"] == f"T{n}"
            assert [p["raw_number"] for p in one["phone_numbers"]] == [
                f"+49{15 if n else 16}{n:08}"
            ]
            assert (one["owner_id"] == rep) is (n != 7)
            assert one["linkedin_url"].rstrip("/").endswith(f"linkedin.com/in/p{n}")
            assert one["contact_stage_id"] == stage["id"]
            assert one["typed_custom_fields"] == {score: str(n)}
            assert len(one["label_ids"]) == 1


@pytest.mark.parametrize("bulk_answers", list(BulkAnswers))
@pytest.mark.parametrize("cleared_by", list(ClearedBy))
def test_a_field_counts_as_cleared_only_where_an_answer_shows_it(
    sync: Run, cleared_by: ClearedBy, bulk_answers: BulkAnswers
) -> None:
    options = SandboxOptions(strict=True, cleared_by=cleared_by, bulk_answers=bulk_answers)
    with running_sandbox(options) as apollo:
        field = apollo.store.add_custom_field("contact", "Score", "number")["id"].split(".")[-1]
        rows = [contact(n, title="old", score=1) for n in range(30)]
        sync([schema("contacts", stream(score="number")), *rows], sandbox=apollo)

        done = sync(
            [schema("contacts", stream(score="number")),
             *(contact(n, title=None, score=None if n < 2 else 1) for n in range(30))],
            sandbox=apollo,
            null_policy="clear",
            update_method="bulk",
        )  # fmt: skip

        left = [one["title"] for one in apollo.store.contacts()]
        if cleared_by is ClearedBy.NULL:
            # Apollo documents the empty value only; an Apollo that ignores it is found out.
            assert done.reasons == ["not_confirmed"] * 30
            assert left == ["old"] * 30
        else:
            assert done.records == {"received": 30, "updated": 30}
            assert not any(left)
            held = [one["typed_custom_fields"].get(field) for one in apollo.store.contacts()]
            assert (held.count(None), held.count("1")) == (2, 28)


@pytest.mark.parametrize("bulk_answers", list(BulkAnswers))
def test_clearing_takes_few_requests_where_the_answer_shows_it(
    sync: Run, bulk_answers: BulkAnswers
) -> None:
    with running_sandbox(SandboxOptions(strict=True, bulk_answers=bulk_answers)) as apollo:
        there(apollo, 30)

        sync(
            [schema("contacts"), *(contact(n, title=None, first_name="F") for n in range(30))],
            sandbox=apollo,
            null_policy="clear",
            ledger_url="",
        )

        # The short answer leaves empty fields out, so that nothing tells that they are empty.
        single = 0 if bulk_answers is BulkAnswers.FULL else 30
        assert (apollo.count(BULK), apollo.count(PATCH)) == (1, single)
        assert not any(one["title"] for one in apollo.store.contacts())


@pytest.mark.parametrize("shape", [CustomFieldErrors.MAPPING, CustomFieldErrors.LIST])
@pytest.mark.parametrize("bulk_answers", list(BulkAnswers))
def test_a_custom_value_that_bulk_update_could_not_store_is_not_counted_as_written(
    sync: Run, shape: CustomFieldErrors, bulk_answers: BulkAnswers
) -> None:
    options = SandboxOptions(strict=True, custom_field_errors=shape, bulk_answers=bulk_answers)
    with running_sandbox(options) as apollo:
        note = apollo.store.add_custom_field("contact", "Note", "string")
        apollo.store.workspace.fields[note["id"]]["text_field_max_length"] = 5
        there(apollo, 3)
        rows = [
            contact(n, title="new", note="far too long" if n == 1 else "fine") for n in range(3)
        ]

        done = sync(
            [schema("contacts", stream(note="string")), *rows],
            sandbox=apollo,
            update_method="bulk",
        )

        if bulk_answers is BulkAnswers.FULL:
            assert done.reasons == ["custom_field_refused"]
        else:
            # An answer without custom fields says nothing of them.
            assert done.records == {"received": 3, "updated": 3}


def test_a_stage_is_never_left_to_a_bulk_update_that_ignores_it(sync: Run) -> None:
    for takes_stage in (False, True):
        options = SandboxOptions(strict=True, bulk_update_takes_stage=takes_stage)
        with running_sandbox(options) as apollo:
            there(apollo, 2)
            stage = apollo.store.contact_stages[1]

            sync(
                [schema("contacts"),
                 *(contact(n, title="new", contact_stage=stage["name"]) for n in range(2))],
                sandbox=apollo,
                update_method="bulk",
                ledger_url="",
            )  # fmt: skip

            assert apollo.count(STAGES) == 1
            assert {one["contact_stage_id"] for one in apollo.store.contacts()} == {stage["id"]}


def test_accounts_that_the_ledger_knows_go_in_bulk_as_long_as_their_domain_stands(
    apollo: Sandbox, sync: Run
) -> None:
    def firms(name: str) -> list[dict[str, Any]]:
        return [record("accounts", id=n, domain=f"d{n}.com", name=f"{name} {n}") for n in range(30)]

    sync([schema("accounts"), *firms("Old")])

    done = sync([schema("accounts"), *firms("New")])

    assert done.records == {"received": 30, "updated": 30}
    assert done.summary["api"]["requests"].get(BULK_ACCOUNTS) == 1
    assert "PUT /accounts/{id}" not in done.summary["api"]["requests"]
    assert {one["name"] for one in apollo.store.accounts()} == {f"New {n}" for n in range(30)}


def test_an_address_that_sales_mended_stays_while_the_row_keeps_its_own(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), contact(1, title="Old")])
    (one,) = apollo.store.contact_by_id.values()
    one.own["email"] = "mended@a.com"

    sync([schema("contacts"), contact(1, title="New")])

    assert [(c["email"], c["title"]) for c in apollo.store.contacts()] == [("mended@a.com", "New")]


def test_an_address_that_another_row_gave_the_record_is_written_again(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), contact(1, email="first@a.com", title="A")])
    (one,) = apollo.store.contacts()
    by_id = {"id": 2, "email": "second@a.com", "apollo_id": one["id"]}
    stream = schema(
        "contacts",
        {"properties": {n: {"type": ["string", "integer"]} for n in (*by_id, "title")}},
    )
    sync([stream, record("contacts", **by_id)])

    sync([schema("contacts"), contact(1, email="first@a.com", title="B")])

    assert "first@a.com" in by_email(apollo)
    assert by_email(apollo)["first@a.com"]["title"] == "B"
