"""Answers that have no id, or contradict themselves: nobody is written over, nothing is spoiled."""

from __future__ import annotations

import copy
import json
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.helpers.databases import shared_server
from tests.helpers.http_server import Received, Reply, Server
from tests.helpers.updates import BULK, CREATE, PATCH, by_email, there
from tests.ledger.conftest import own_schema
from tests.promises.conftest import Run, contact, record, schema, state

Json = dict[str, Any]
#: Changes Apollo's answer to a request; gets the request's label and the answer.
Alter = Callable[[str, Json], Json | Reply | None]
LABELS = {"bulk_create": CREATE, "bulk_update": BULK}


@contextmanager
def answering(apollo: Sandbox, alter: Alter) -> Iterator[str]:
    """The address of a server that passes requests on to Apollo and changes its answers."""

    def reply(received: Received) -> Reply:
        kind, _, rest = received.path.removeprefix("/api/v1/").partition("/")
        label = f"{received.method} /{kind}/{rest if rest in LABELS or kind == 'users' else '{id}'}"
        if rest == "search":
            label = f"POST /{kind}/search"
        query = "&".join(f"{k}={v}" for k, values in received.query.items() for v in values)
        request = urllib.request.Request(
            f"{apollo.url}{received.path.removeprefix('/api/v1')}{'?' if query else ''}{query}",
            data=received.content or None,
            headers={name: received.headers[name] for name in SENT if name in received.headers},
            method=received.method,
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                status, body = answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            status, body = refusal.code, json.loads(refusal.read() or b"{}")
        if status == 200 and isinstance(body, dict):
            changed = alter(label, copy.deepcopy(body))
            if isinstance(changed, Reply):
                return changed
            body = body if changed is None else changed
        return Reply(status, body=body)

    server = Server()
    server.default = reply
    try:
        yield server.url
    finally:
        server.close()


SENT = ("x-api-key", "content-type")


def created(alter: Callable[[list[Json]], None], noun: str = "contact") -> Alter:
    """Changes the records that a bulk_create created."""

    def change(label: str, body: Json) -> Json | None:
        if label != f"POST /{noun}s/bulk_create":
            return None
        alter(body[f"created_{noun}s"])
        return body

    return change


def set_id(value: object) -> Alter:
    def alter(records: list[Json]) -> None:
        for one in records:
            one["id"] = value

    return created(alter)


def company(number: int, **values: Any) -> Json:
    own = {"id": number, "domain": f"firm{number}.com", "name": f"Firm {number}"}
    return record("accounts", **{**own, **values})


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """URL of an empty schema on a real server."""
    with own_schema(shared_server().url) as url:
        yield url


# --- ids

ODD = {"empty": "", "a path": "../x", "an address": "ann@a.com", "200 kB": "a" * 200_000,
       "a number": 17, "a NUL": "a\0b"}  # fmt: skip


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
@pytest.mark.parametrize("ledger", ["sqlite", "none"])
def test_a_row_whose_answer_has_an_odd_id_is_not_counted_as_created(
    apollo: Sandbox, sync: Run, odd: object, ledger: str
) -> None:
    more = {"ledger_url": ""} if ledger == "none" else {}
    lines = [schema("contacts"), contact(1, title="a"), contact(2), state({"n": 2})]

    def alter(label: str, body: Json) -> Json:
        for name in ("created_contacts", "existing_contacts"):
            for one in body.get(name, ()):
                one["id"] = odd if one["email"] == "p1@a.com" else one["id"]
        return body

    with answering(apollo, alter) as url:
        first = sync(lines, api_url=url, **more)
    second = sync(lines, **more)

    assert first.records == {"received": 2, "created": 1, "rejected": 1}
    assert first.reasons == ["not_confirmed"]
    assert second.exit_code == 0
    assert second.records["received"] == 2
    assert "rejected" not in second.records
    assert len(apollo.store.contacts()) == 2


def test_the_same_with_postgresql(apollo: Sandbox, sync: Run, postgres_url: str) -> None:
    lines = [schema("contacts"), contact(1)]

    with answering(apollo, set_id("a\0b")) as url:
        first = sync(lines, api_url=url, ledger_url=postgres_url)
    second = sync(lines, ledger_url=postgres_url)

    assert first.reasons == ["not_confirmed"]
    assert (second.exit_code, second.records["received"]) == (0, 1)


@pytest.mark.parametrize("odd", ["", " ", "../x", "ann@a.com", "a" * 200_000])
@pytest.mark.parametrize("mode", ["upsert", "update", "insert"])
def test_a_ledger_with_an_odd_id_is_repaired_and_that_is_said_once(
    apollo: Sandbox, sync: Run, tmp_path: Path, odd: str, mode: str, caplog: Any
) -> None:
    sync([schema("contacts"), contact(1, title="old"), contact(2, title="old")])
    with sqlite3.connect(tmp_path / "ledger.db") as ledger:
        ledger.execute(
            "UPDATE apollo_row_links SET apollo_id = ? WHERE CAST(source_key AS TEXT) LIKE '%1%'",
            [odd.encode()],
        )

    lines = [schema("contacts"), contact(1, title="new"), contact(2, title="new")]
    repaired = sync(lines, mode=mode)
    said = caplog.text.count("that are none")
    later = sync(lines, mode=mode)

    assert repaired.exit_code == later.exit_code == 0
    assert said == caplog.text.count("that are none") == 1
    assert len(apollo.store.contacts()) == 2
    if mode == "upsert":
        assert repaired.records == {"received": 2, "updated": 2}
        assert later.records == {"received": 2, "unchanged": 2}


def test_an_odd_time_of_change_does_not_reach_postgresql(
    apollo: Sandbox, sync: Run, postgres_url: str
) -> None:
    def alter(records: list[Json]) -> None:
        records[0]["updated_at"] = "2026\0"

    with answering(apollo, created(alter)) as url:
        done = sync([schema("contacts"), contact(1)], api_url=url, ledger_url=postgres_url)

    assert (done.exit_code, done.records) == (0, {"received": 1, "created": 1})


# --- another row's record


@pytest.mark.parametrize("noun", ["contact", "account"])
def test_a_new_row_that_is_answered_with_a_known_row_s_id_writes_nothing_over(
    apollo: Sandbox, sync: Run, noun: str
) -> None:
    row = contact if noun == "contact" else company
    sync([schema(f"{noun}s"), row(1)])
    (known,) = apollo.store.contacts() if noun == "contact" else apollo.store.accounts()

    def alter(records: list[Json]) -> None:
        records[0]["id"] = known["id"]

    lines = [schema(f"{noun}s"), row(2, phone_number="+1 415 555 0100", label_names=["Leads"])]
    with answering(apollo, created(alter, noun)) as url:
        done = sync(lines, api_url=url)
    later = sync(lines)

    assert done.reasons == ["not_confirmed"]
    records = apollo.store.contacts() if noun == "contact" else apollo.store.accounts()
    assert len(records) == 2
    (after,) = [one for one in records if one["id"] == known["id"]]
    assert after["label_ids"] == known["label_ids"]
    assert (later.exit_code, later.records["received"]) == (0, 1)
    assert "rejected" not in later.records


def test_one_id_for_two_rows_confirms_neither(apollo: Sandbox, sync: Run) -> None:
    def alter(records: list[Json]) -> None:
        for one in records:
            one["id"] = records[0]["id"]

    lines = [schema("contacts"), *(contact(n, mobile_phone=f"+1415555010{n}") for n in range(3))]
    with answering(apollo, created(alter)) as url:
        sync(lines, api_url=url)
    sync(lines)

    phones = {
        one["email"]: [phone["raw_number"] for phone in one["phone_numbers"]]
        for one in apollo.store.contacts()
    }
    assert phones == {f"p{n}@a.com": [f"+1415555010{n}"] for n in range(3)}


def test_one_id_in_the_answers_to_two_requests_is_the_first_row_s(
    apollo: Sandbox, sync: Run
) -> None:
    seen: list[str] = []

    def alter(records: list[Json]) -> None:
        for one in records:
            seen.append(one["id"])
            one["id"] = seen[0]

    lines = [schema("contacts"), contact(1), contact(2)]
    with answering(apollo, created(alter)) as url:
        done = sync(lines, api_url=url, batch_size=1, parallel_requests=2)

    assert done.reasons == ["not_confirmed"]


def test_a_record_in_the_answers_to_two_requests_is_not_written_over(
    apollo: Sandbox, sync: Run
) -> None:
    known = there(apollo, 2)

    def alter(label: str, body: Json) -> Json:
        for one in body.get("existing_contacts", ()):
            one["id"] = known[0]["id"]
        return body

    lines = [schema("contacts"), *(contact(n, title=f"T{n}") for n in range(2))]
    with answering(apollo, alter) as url:
        done = sync(lines, api_url=url, batch_size=1, parallel_requests=2)
    assert done.records == {"received": 2, "updated": 1, "rejected": 1}
    assert by_email(apollo)["p0@a.com"]["title"] == "T0"
    later = sync(lines)

    assert later.exit_code == 0
    assert [by_email(apollo)[f"p{n}@a.com"]["title"] for n in range(2)] == ["T0", "T1"]


# --- updates


OTHERS = {"an id": {"id": "f" * 24}, "an address": {"email": "other@b.com", "contact_emails": []}}


@pytest.mark.parametrize("shown", OTHERS.values(), ids=list(OTHERS))
@pytest.mark.parametrize("method", ["individual", "bulk"])
@pytest.mark.parametrize("mode", ["upsert", "update"])
def test_an_update_that_is_answered_with_another_record_is_not_confirmed(
    apollo: Sandbox, sync: Run, shown: Json, method: str, mode: str
) -> None:
    known = there(apollo, 3)
    rows = [contact(n, title="new", apollo_id=one["id"]) for n, one in enumerate(known)]
    if mode == "upsert":
        rows = [contact(n, title="new") for n in range(3)]

    def alter(label: str, body: Json) -> Json | None:
        records = body.get("contacts", []) if label == BULK else [body.get("contact", {})]
        if label in (BULK, PATCH):
            for one in records:
                if one.get("id") == known[1]["id"]:
                    one |= shown
        return body

    with answering(apollo, alter) as url:
        done = sync([schema("contacts"), *rows], api_url=url, mode=mode, update_method=method)
    later = sync([schema("contacts"), *rows], mode=mode, update_method=method)

    if mode == "upsert" or "id" in shown:
        assert done.records == {"received": 3, "updated": 2, "rejected": 1}
        assert done.reasons == ["not_confirmed"]
    assert later.exit_code == 0
    assert "rejected" not in later.records
    assert {one["title"] for one in by_email(apollo).values()} == {"new"}


def test_an_account_that_is_answered_with_another_domain_is_not_confirmed(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.store.add_account(domain="firm1.com", name="Firm 1")

    def alter(label: str, body: Json) -> Json | None:
        if label.endswith(" /accounts/{id}") and "account" in body:
            body["account"]["domain"] = "other.com"
        return body

    lines = [schema("accounts"), company(1, phone_number="+1 415 555 0100")]
    with answering(apollo, alter) as url:
        done = sync(lines, api_url=url)

    assert done.reasons == ["not_confirmed"]


def test_an_answer_that_spells_an_address_another_way_is_confirmed(
    apollo: Sandbox, sync: Run
) -> None:
    there(apollo, 1)
    apollo.store.add_account(domain="firm1.com", name="Firm 1")

    def alter(label: str, body: Json) -> Json | None:
        if label.endswith(" /accounts/{id}") and "account" in body:
            body["account"]["domain"] = "https://WWW.Firm1.com/"
        if label == PATCH:
            body["contact"]["email"] = "P0@A.com"
        return body

    lines = [schema("contacts"), contact(0, title="new"), schema("accounts"),
             company(1, phone_number="+1 415 555 0100")]  # fmt: skip
    with answering(apollo, alter) as url:
        done = sync(lines, api_url=url)

    assert done.records == {"received": 2, "updated": 2}


# --- an end in time


@pytest.mark.full
@pytest.mark.parametrize("ledger", ["sqlite", pytest.param("none", marks=pytest.mark.full)])
def test_a_dripping_answer_ends_the_run_and_the_next_one_is_whole(
    apollo: Sandbox, run_target: Run, ledger: str
) -> None:
    more = {"ledger_url": ""} if ledger == "none" else {}
    lines = [schema("contacts"), contact(1), contact(2), state({"n": 2})]

    def drip(label: str, body: Json) -> Reply | None:
        if label != CREATE:
            return None
        content = json.dumps(body).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
        return Reply(pieces=[head, *(bytes([byte]) for byte in content)], pause=0.3)

    with answering(apollo, drip) as url:
        started = time.monotonic()
        first = run_target(lines, api_url=url, request_timeout_seconds=1, max_retries=0, **more)
        seconds = time.monotonic() - started
    second = run_target(lines, **more)

    assert (first.exit_code, first.states) == (1, [])
    assert "no answer in time" in first.log
    assert "Traceback" not in first.log
    assert seconds < 60
    assert (second.exit_code, second.last_state) == (0, {"n": 2})
    assert len(apollo.store.contacts()) == 2


# --- reads


def read_as_another(record_id: str, noun: str = "contact") -> Alter:
    """Answers the read of a record with another id."""

    def alter(label: str, body: Json) -> Json:
        if label == f"GET /{noun}s/{{id}}" and body[noun]["id"] == record_id:
            body[noun]["id"] = "f" * 24
        return body

    return alter


@pytest.mark.parametrize("mode", ["upsert", pytest.param("update", marks=pytest.mark.full)])
def test_a_record_that_is_read_as_another_one_costs_its_own_row_alone(
    apollo: Sandbox, sync: Run, mode: str
) -> None:
    known = there(apollo, 3)
    fills = {"field_policy": {"linkedin_url": "fill_if_empty"}, "mode": mode}
    rows = [
        contact(n, apollo_id=one["id"], title="new", linkedin_url=f"linkedin.com/in/p{n}")
        for n, one in enumerate(known)
    ]

    with answering(apollo, read_as_another(known[1]["id"])) as url:
        done = sync([schema("contacts"), *rows], api_url=url, **fills)
    later = sync([schema("contacts"), *rows], **fills)

    assert (done.exit_code, done.reasons) == (0, ["not_confirmed"])
    assert done.records == {"received": 3, "updated": 2, "rejected": 1}
    assert later.records == {"received": 3, "updated": 1, "unchanged": 2}


def test_an_account_that_is_read_as_another_one_costs_its_own_row_alone(
    apollo: Sandbox, sync: Run
) -> None:
    lines = [schema("accounts"), company(1), company(2)]
    sync(lines)
    first = next(one["id"] for one in apollo.store.accounts() if one["domain"] == "firm1.com")
    changed = [lines[0], company(1, phone_number="1"), company(2, phone_number="2")]

    with answering(apollo, read_as_another(first, "account")) as url:
        done = sync(changed, api_url=url, field_policy={"phone_number": "fill_if_empty"})

    assert done.records == {"received": 2, "updated": 1, "rejected": 1}
    assert done.reasons == ["not_confirmed"]


def test_a_row_with_a_new_address_whose_record_is_read_as_another_one_makes_no_second(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), contact(1, first_name="Ann"), contact(2, first_name="Bob")])
    known = by_email(apollo)
    moved = [
        contact(1, first_name="Ann", email="ann@b.com"),
        contact(2, first_name="Bob", email="bob@b.com"),
    ]

    with answering(apollo, read_as_another(known["p1@a.com"]["id"])) as url:
        done = sync([schema("contacts"), *moved], api_url=url)
    sync([schema("contacts"), *moved])

    assert done.exit_code == 0
    assert {one["id"] for one in by_email(apollo).values()} >= {one["id"] for one in known.values()}
    assert by_email(apollo)["bob@b.com"]["id"] == known["p2@a.com"]["id"]


def test_a_record_stays_in_its_stage_that_is_read_as_another_one(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), contact(1, contact_stage="New")])
    (known,) = apollo.store.contacts()

    with answering(apollo, read_as_another(known["id"])) as url:
        done = sync([schema("contacts"), contact(1, contact_stage="Cold")], api_url=url)

    assert done.exit_code == 0
    (after,) = apollo.store.contacts()
    assert after["contact_stage_id"] == known["contact_stage_id"]


def test_a_deleted_row_moves_its_record_though_that_is_read_as_another_one(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), contact(1), contact(2)])
    known = by_email(apollo)
    gone = [contact(n, _sdc_deleted_at="2026-01-01T00:00:00Z") for n in (1, 2)]

    with answering(apollo, read_as_another(known["p1@a.com"]["id"])) as url:
        done = sync([schema("contacts"), *gone], api_url=url, on_delete="stage:Bad Data")

    assert done.exit_code == 0
    cold = next(one["id"] for one in apollo.store.contact_stages if one["name"] == "Bad Data")
    assert by_email(apollo)["p2@a.com"]["contact_stage_id"] == cold


def test_an_insert_makes_no_second_record_where_its_own_is_read_as_another_one(
    apollo: Sandbox, sync: Run
) -> None:
    lines = [schema("contacts"), contact(1)]

    def without_address(records: list[Json]) -> None:
        for one in records:
            one |= {"email": "other@b.com", "contact_emails": []}

    with answering(apollo, created(without_address)) as url:
        assert sync(lines, api_url=url, mode="insert").reasons == ["not_confirmed"]
    (made,) = apollo.store.contacts()

    with answering(apollo, read_as_another(made["id"])) as url:
        again = sync(lines, api_url=url, mode="insert")
    later = sync(lines, mode="insert")

    # As before, so the rejects file keeps no second copy.
    assert (again.exit_code, again.records["rejected"]) == (0, 1)
    assert "rejected" not in later.records
    assert [one["id"] for one in apollo.store.contacts()] == [made["id"]]
