"""Apollo answers late, wrong or not at all; nothing is lost and nothing is there twice."""

from __future__ import annotations

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.fault_mix import LOST
from tests.promises.conftest import Run, contact, schema, state

CREATE = "POST /contacts/bulk_create"
UPDATE = "PATCH /contacts/{id}"


@pytest.mark.parametrize("mode", ["insert", "upsert"])
@pytest.mark.parametrize("kind", LOST, ids=lambda kind: kind.value)
def test_a_create_whose_answer_is_lost_makes_each_contact_once(
    apollo: Sandbox, sync: Run, kind: FaultKind, mode: str
) -> None:
    rep = apollo.store.add_user(email="rep@team.com")["id"]
    apollo.inject(Fault(endpoint=CREATE, kind=kind))

    done = sync(
        [
            schema("contacts"),
            *(contact(n, title="T", mobile_phone=f"+4915{n:08}", owner_id=rep) for n in range(5)),
            state({"n": 5}),
        ],
        mode=mode,
        lists=["Synced"],
    )

    assert (done.exit_code, done.last_state) == (0, {"n": 5}), done.log
    stored = apollo.store.contacts()
    assert sorted(c["email"] for c in stored) == [f"p{n}@a.com" for n in range(5)]
    for one in stored:
        # Also what bulk_create does not carry has arrived.
        assert (one["title"], one["owner_id"]) == ("T", rep)
        assert len(one["phone_numbers"]) == 1
        assert len(one["label_ids"]) == 1


@pytest.mark.parametrize("kind", LOST[:-1], ids=lambda kind: kind.value)
def test_an_update_whose_answer_is_lost_is_written(
    apollo: Sandbox, sync: Run, kind: FaultKind
) -> None:
    known = apollo.store.add_contact(email="p1@a.com", title="old")
    apollo.inject(Fault(endpoint=UPDATE, kind=kind))

    done = sync(
        [schema("contacts"), contact(1, apollo_id=known["id"], title="new"), state({"n": 1})],
        mode="update",
    )

    assert (done.exit_code, done.last_state) == (0, {"n": 1}), done.log
    assert apollo.store.contacts()[0]["title"] == "new"


@pytest.mark.parametrize("header", [None, 0, 1, "date"])
def test_a_rate_limit_is_waited_for(apollo: Sandbox, sync: Run, header: object) -> None:
    retry_after = {"date": "Sat, 21 Nov 2020 00:00:00 GMT"}.get(str(header), header)
    apollo.inject(
        Fault(endpoint=CREATE, kind=FaultKind.RATE_LIMITED, retry_after=retry_after)  # type: ignore[arg-type]
    )

    done = sync([schema("contacts"), contact(1)])

    assert done.records == {"received": 1, "created": 1}
    assert done.summary["api"]["rate_limited"] == 1
    assert "Waiting" in done.log


def test_a_longer_wait_than_allowed_ends_the_run_for_later(apollo: Sandbox, sync: Run) -> None:
    apollo.inject(
        Fault(endpoint=CREATE, kind=FaultKind.RATE_LIMITED, retry_after=3600, after=1, times=None)
    )
    rows = [contact(n) for n in range(5)]

    done = sync(
        [
            schema("contacts"),
            *rows[:2],
            state({"n": 2}),
            *rows[2:],
            state({"n": 5}),
        ],
        batch_size=2,
        parallel_requests=1,
        max_wait_seconds=2,
    )

    assert done.exit_code == 3
    assert done.states == [{"n": 2}]
    assert done.records == {"received": 5, "created": 2, "without_outcome": 3}


def test_an_apollo_that_stays_down_ends_the_run_with_what_is_confirmed(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.ERROR_BEFORE_WRITE, after=1, times=None))
    rows = [contact(n) for n in range(6)]

    done = sync(
        [schema("contacts"), *rows[:3], state({"n": 3}), *rows[3:], state({"n": 6})],
        batch_size=3,
        parallel_requests=1,
        max_retries=1,
    )

    assert (done.exit_code, done.states) == (1, [{"n": 3}])
    assert "Traceback" not in done.log


def test_a_forbidden_endpoint_ends_the_run_naming_what_the_key_needs(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.inject(
        Fault(
            endpoint=CREATE,
            kind=FaultKind.ERROR_BEFORE_WRITE,
            status=403,
            body={"error": "not authorized", "error_code": "API_INACCESSIBLE"},
        )
    )

    done = sync([schema("contacts"), contact(1), state({"n": 1})])

    assert (done.exit_code, done.states) == (2, [])
    assert "api/v1/contacts/bulk_create" in done.summary["ended_because"]
    assert "master key" in done.summary["ended_because"]


def test_an_api_url_that_is_not_apollo_ends_the_run_and_rejects_nothing(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync([schema("contacts"), contact(1)], api_url=apollo.url.replace("/api/v1", "/api/v9"))

    assert done.exit_code != 0
    assert done.rejects == []
    assert "api_url" in done.summary["ended_because"]
