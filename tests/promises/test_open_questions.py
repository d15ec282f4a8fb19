"""Where Apollo's documents leave a behaviour open, the target is right under either answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import SandboxOptions
from target_apollo.sandbox.options import (
    AlikeInBatch,
    BulkAnswers,
    BulkFailure,
    ClearedBy,
    CustomFieldErrors,
    InvalidEmail,
    UnknownId,
    UpdateRoute,
)
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.updates import BULK, PATCH, STAGES, by_email, stream, there
from tests.promises.conftest import Run, contact, record, schema

ANSWERS: dict[str, dict[str, Any]] = {
    "as by default": {},
    "answers in another order": {"shuffle_answers": True, "seed": 7},
    "alike rows are both created": {"alike_in_batch": AlikeInBatch.BOTH_CREATED},
    "the second of alike rows is dropped": {"alike_in_batch": AlikeInBatch.SECOND_DROPPED},
    "lists leave existing records alone": {"labels_touch_existing": False},
    "the owner reaches existing records": {"owner_touches_existing": True},
    "a refused bulk request has written its good part": {
        "bulk_failure": BulkFailure.GOOD_BEFORE_WRITTEN
    },
    "short objects in bulk answers": {"bulk_answers": BulkAnswers.DOCUMENTED},
    "short objects in another order": {
        "bulk_answers": BulkAnswers.DOCUMENTED,
        "shuffle_answers": True,
    },
    "custom field errors as a list": {"custom_field_errors": CustomFieldErrors.LIST},
    "unknown ids are 404": {"unknown_id": UnknownId.NOT_FOUND},
    "a refusal does not name the bad id": {"bad_id_names_value": False},
    "profile addresses are rewritten": {"rewrites_linkedin": True},
    "a company is filled by the address": {"fills_company": True},
    "PATCH is no route": {
        "patch_accounts": UpdateRoute.NOT_FOUND,
        "put_accounts": UpdateRoute.ACCEPTED,
    },
    "PATCH is not allowed": {
        "patch_accounts": UpdateRoute.NOT_ALLOWED,
        "put_accounts": UpdateRoute.ACCEPTED,
    },
    "PUT is taken": {"put_accounts": UpdateRoute.ACCEPTED},
    "custom values must be strings": {"custom_values_must_be_strings": True},
    "5xx answers are pages": {"server_error_html": True},
}


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda name: name.replace(" ", "_"))
def test_upsert_ends_with_the_rows_values(answer: str, sync: Run, tmp_path: Path) -> None:
    with new_sandbox(SandboxOptions(strict=True, **ANSWERS[answer])) as apollo:
        store = apollo.store
        rep = store.add_user(email="rep@team.com")["id"]
        score = store.add_custom_field("contact", "Score", "number")["id"].split(".")[-1]
        store.add_contact(email="p1@a.com", title="old", first_name="Ann")
        store.add_contact(email="main@a.com", additional_emails=["p2@a.com"], title="old")
        store.add_contact(email="p3@a.com", title="new", owner_id=rep)
        store.add_account(domain="f1.com", name="Old")
        stream = {
            "properties": {
                "id": {"type": "integer"},
                "email": {"type": "string"},
                "title": {"type": "string"},
                "linkedin_url": {"type": "string"},
                "owner_id": {"type": "string"},
                "label_names": {"type": "array", "items": {"type": "string"}},
                "score": {"type": "number"},
            }
        }
        rows = [
            record(
                "contacts",
                id=n,
                email=f"p{n}@a.com",
                title="new",
                owner_id=rep,
                linkedin_url=f"https://linkedin.com/in/p{n}/",
                label_names=["Synced"],
                score=n,
            )
            for n in range(6)
        ]
        messages = [
            schema("contacts", stream),
            *rows,
            record("contacts", id=90, email="p90@a.com", title="new", owner_id="e" * 24),
            record("contacts", id=91, email="P1@a.com", title="newest"),
            schema("accounts"),
            record("accounts", id=1, domain="f1.com", name="New"),
            record("accounts", id=2, domain="f2.com", name="Two"),
        ]

        first = sync(messages, sandbox=apollo)

        assert first.summary["records"]["received"] == 10
        assert first.reasons == ["refused_by_apollo"]
        by_email = {
            entry["email"]: contact
            for contact in store.contacts()
            for entry in contact["contact_emails"]
        }
        assert len(store.contacts()) == 6
        assert set(by_email) == {"main@a.com", *(f"p{n}@a.com" for n in range(6))}
        for n in range(6):
            contact = by_email[f"p{n}@a.com"]
            assert contact["title"] == ("newest" if n == 1 else "new")
            assert contact["owner_id"] == rep
            assert contact["linkedin_url"].rstrip("/").endswith(f"linkedin.com/in/p{n}")
            assert contact["typed_custom_fields"] == {score: str(n)}
            assert len(contact["label_ids"]) == 1
        assert {a["domain"]: a["name"] for a in store.accounts()} == {
            "f1.com": "New",
            "f2.com": "Two",
        }

        again = sync(messages[:7], sandbox=apollo)
        # p1 was changed by row 91 since; its own row is as it was, so the ledger leaves it alone.
        assert again.records == {"received": 6, "unchanged": 6}


@pytest.mark.parametrize("owner_touches_existing", [False, True])
@pytest.mark.parametrize("labels_touch_existing", [False, True])
def test_insert_spares_existing_records_whatever_request_wide_arguments_reach(
    sync: Run, owner_touches_existing: bool, labels_touch_existing: bool
) -> None:
    options = SandboxOptions(
        strict=True,
        owner_touches_existing=owner_touches_existing,
        labels_touch_existing=labels_touch_existing,
    )
    with new_sandbox(options) as apollo:
        rep = apollo.store.add_user(email="rep@team.com")["id"]
        before = apollo.store.add_contact(email="p0@a.com")

        sync(
            [
                schema("contacts"),
                *(
                    record("contacts", id=n, email=f"p{n}@a.com", owner_id=rep, label_names=["New"])
                    for n in range(3)
                ),
            ],
            sandbox=apollo,
            mode="insert",
        )

        held = {c["email"]: c for c in apollo.store.contacts()}
        assert held["p0@a.com"]["owner_id"] == before["owner_id"]
        assert held["p0@a.com"]["label_ids"] == []
        for n in (1, 2):
            assert held[f"p{n}@a.com"]["owner_id"] == rep
            assert len(held[f"p{n}@a.com"]["label_ids"]) == 1


@pytest.mark.parametrize("handling", list(InvalidEmail))
def test_an_address_that_only_apollo_finds_malformed_is_never_counted_as_written(
    sync: Run, handling: InvalidEmail
) -> None:
    # Apollo is the stricter judge here: the sandbox wants a letter before the closing domain.
    odd = "p1@a.c0m"
    with new_sandbox(SandboxOptions(strict=True, invalid_email=handling)) as apollo:
        rows = [record("contacts", id=n, email=f"p{n}@a.com", first_name=f"F{n}") for n in (2, 3)]

        done = sync(
            [schema("contacts"), record("contacts", id=1, email=odd, first_name="Odd"), *rows],
            sandbox=apollo,
        )

        stored = {c["email"] for c in apollo.store.contacts()}
        assert {"p2@a.com", "p3@a.com"} <= stored
        expected = {"received": 3, "created": 3 if odd in stored else 2}
        assert done.records == expected | ({} if odd in stored else {"rejected": 1})


@pytest.mark.parametrize("cleared_by", list(ClearedBy))
def test_clearing_a_text_field(sync: Run, cleared_by: ClearedBy) -> None:
    with new_sandbox(SandboxOptions(strict=True, cleared_by=cleared_by)) as apollo:
        apollo.store.add_contact(email="p1@a.com", title="old")

        done = sync(
            [schema("contacts"), record("contacts", id=1, email="p1@a.com", title=None)],
            sandbox=apollo,
            null_policy="clear",
        )

        left = apollo.store.contacts()[0]["title"]
        if cleared_by is ClearedBy.NULL:
            # Apollo documents the empty value only; an Apollo that ignores it is found out.
            assert (left, done.reasons) == ("old", ["not_confirmed"])
        else:
            assert (not left, done.records) == (True, {"received": 1, "updated": 1})


# --- many updates a request


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda name: name.replace(" ", "_"))
@pytest.mark.parametrize("known", [True, False], ids=["known", "found"])
def test_bulk_updates_end_with_the_rows_values(
    answer: str, known: bool, sync: Run, tmp_path: Path
) -> None:
    with new_sandbox(SandboxOptions(strict=True, **ANSWERS[answer])) as apollo:
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
    with new_sandbox(options) as apollo:
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
    with new_sandbox(SandboxOptions(strict=True, bulk_answers=bulk_answers)) as apollo:
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
    with new_sandbox(options) as apollo:
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
        with new_sandbox(options) as apollo:
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
