"""Where an endpoint for many records at once is closed, updates take the way that is left."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.helpers.updates import BULK, LISTS, OWNERS, PATCH, STAGES, refusal, there
from tests.promises.conftest import Run, contact, schema, state


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


@pytest.mark.full
def test_lists_that_apollo_makes_a_job_of_are_written_by_the_hundred(
    free: Sandbox, sync: Run
) -> None:
    job = {"entity_progress_job": {"id": "1" * 24, "job_type": "add_entities_to_labels"}}
    free.inject(refusal(LISTS, status=200, body=job, times=1))

    done = sync([schema("contacts"), *(contact(n) for n in range(250))], sandbox=free, lists=["A"])

    assert done.records == {"received": 250, "created": 250}
    assert free.count(LISTS) == 4
    assert all(len(one["label_ids"]) == 1 for one in free.store.contacts())
