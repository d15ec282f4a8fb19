"""Where Apollo's documents leave open what bulk_update does, rows are right under each answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_apollo.sandbox import SandboxOptions
from target_apollo.sandbox.options import BulkAnswers, ClearedBy, CustomFieldErrors
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.updates import BULK, PATCH, STAGES, by_email, stream, there
from tests.promises.conftest import Run, contact, schema
from tests.promises.test_open_questions import ANSWERS


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
