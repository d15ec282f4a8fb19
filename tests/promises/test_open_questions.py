"""Where Apollo's documents leave a behaviour open, the target is right under either answer."""

from __future__ import annotations

from collections.abc import Callable
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
    PutAccounts,
    UnknownId,
)
from tests.helpers.new_sandbox import new_sandbox
from tests.promises.conftest import TargetRun, record, schema

Run = Callable[..., TargetRun]

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
    "PUT is not allowed": {"put_accounts": PutAccounts.NOT_ALLOWED},
    "PUT is taken": {"put_accounts": PutAccounts.ACCEPTED},
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
