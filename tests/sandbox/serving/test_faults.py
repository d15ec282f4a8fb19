"""Faults as they arrive at the socket, since HTTP clients hide the bytes."""

from __future__ import annotations

import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.sandbox.conftest import Client, fresh

BULK = "POST /contacts/bulk_create"


def exchange(apollo: Sandbox, path: str, body: Any, patience: float = 10.0) -> bytes:
    """All bytes that the server sends for a request until the connection ends."""
    parts = urlsplit(apollo.url)
    payload = json.dumps(body).encode()
    head = (
        f"POST {parts.path}{path} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"x-api-key: {apollo.api_key}\r\ncontent-type: application/json\r\n"
        f"connection: close\r\ncontent-length: {len(payload)}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port), timeout=patience) as connection:
        connection.sendall(head.encode() + payload)
        received = b""
        while True:
            part = connection.recv(65536)
            if not part:
                return received
            received += part


def create(apollo: Sandbox, *emails: str, patience: float = 10.0) -> bytes:
    contacts = [{"email": email} for email in emails]
    return exchange(apollo, "/contacts/bulk_create", {"contacts": contacts}, patience)


def stored(apollo: Sandbox, *emails: str) -> list[bool]:
    present = {contact["email"] for contact in apollo.store.contacts()}
    return [email in present for email in emails]


@pytest.mark.parametrize(
    ("kind", "written"),
    [(FaultKind.RESET_BEFORE_WRITE, False), (FaultKind.RESET_AFTER_WRITE, True)],
)
def test_a_reset_is_a_reset_of_the_connection(
    apollo: Sandbox, kind: FaultKind, written: bool
) -> None:
    email = fresh()
    apollo.inject(Fault(BULK, kind))
    with pytest.raises(ConnectionResetError):
        create(apollo, email)
    assert stored(apollo, email) == [written]
    assert (apollo.requests[-1].status, apollo.requests[-1].fault) == (0, kind)


def test_a_truncated_body_is_shorter_than_it_announces(apollo: Sandbox) -> None:
    email = fresh()
    apollo.inject(Fault(BULK, FaultKind.TRUNCATED_BODY))
    head, _, body = create(apollo, email).partition(b"\r\n\r\n")
    announced = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200")
    assert 0 < len(body) < announced
    assert stored(apollo, email) == [True]


def test_a_garbage_body_is_a_200_that_is_no_json(apollo: Sandbox) -> None:
    email = fresh()
    apollo.inject(Fault(BULK, FaultKind.GARBAGE_BODY))
    head, _, body = create(apollo, email).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    with pytest.raises(ValueError):  # noqa: PT011
        json.loads(body)
    assert stored(apollo, email) == [True]


def test_an_empty_body_is_a_200_with_nothing(apollo: Sandbox) -> None:
    email = fresh()
    apollo.inject(Fault(BULK, FaultKind.EMPTY_BODY))
    head, _, body = create(apollo, email).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""
    assert stored(apollo, email) == [True]


def test_a_slow_answer_comes_after_the_write_and_late(apollo: Sandbox) -> None:
    email = fresh()
    apollo.inject(Fault(BULK, FaultKind.SLOW, seconds=0.3))
    began = time.monotonic()
    answer = create(apollo, email)
    assert time.monotonic() - began >= 0.3
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_client_that_gives_up_on_a_slow_answer_finds_it_written(apollo: Sandbox) -> None:
    email = fresh()
    apollo.inject(Fault(BULK, FaultKind.SLOW, seconds=30))
    with pytest.raises(TimeoutError):
        create(apollo, email, patience=0.3)
    assert stored(apollo, email) == [True]


def test_an_html_page_comes_instead_of_json(apollo: Sandbox) -> None:
    email = fresh()
    apollo.inject(Fault(BULK, FaultKind.HTML_PAGE, status=502))
    answer = create(apollo, email)
    assert answer.startswith(b"HTTP/1.1 502")
    assert b"content-type: text/html" in answer
    assert b"<html>" in answer
    assert stored(apollo, email) == [False]


@pytest.mark.parametrize(
    ("kind", "written"),
    [(FaultKind.ERROR_BEFORE_WRITE, False), (FaultKind.ERROR_AFTER_WRITE, True)],
)
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_may_have_written_or_not(
    apollo: Sandbox, kind: FaultKind, written: bool, status: int
) -> None:
    email = fresh()
    apollo.inject(Fault(BULK, kind, status=status))
    assert create(apollo, email).startswith(f"HTTP/1.1 {status}".encode())
    assert stored(apollo, email) == [written]


def test_an_error_in_the_middle_has_written_the_first_records(apollo: Sandbox) -> None:
    emails = [fresh() for _ in range(3)]
    apollo.inject(Fault(BULK, FaultKind.ERROR_AFTER_WRITE, status=500, records=2))
    create(apollo, *emails)
    assert stored(apollo, *emails) == [True, True, False]


def test_records_can_be_left_out_of_an_answer(apollo: Sandbox, client: Client) -> None:
    emails = [fresh() for _ in range(3)]
    apollo.inject(Fault(BULK, FaultKind.RECORDS_LEFT_OUT, records=2))
    answer = client.bulk_create(*({"email": email} for email in emails))
    assert [c["email"] for c in answer["created_contacts"]] == emails[2:]
    assert stored(apollo, *emails) == [True, True, True]


def test_a_429_comes_with_or_without_retry_after(apollo: Sandbox, client: Client) -> None:
    apollo.inject(Fault("GET /labels", FaultKind.RATE_LIMITED, retry_after=7))
    apollo.inject(Fault("GET /labels", FaultKind.RATE_LIMITED))
    first, second = (client.call("GET", "/labels") for _ in range(2))
    assert (first.status_code, first.headers["retry-after"]) == (429, "7")
    assert second.status_code == 429
    assert "retry-after" not in second.headers


def test_a_fault_strikes_its_endpoint_so_often_and_no_more(apollo: Sandbox, client: Client) -> None:
    apollo.inject(Fault("GET /labels", FaultKind.ERROR_BEFORE_WRITE, times=2, after=1))
    assert client.call("GET", "/contact_stages").status_code == 200
    statuses = [client.call("GET", "/labels").status_code for _ in range(5)]
    assert statuses == [200, 503, 503, 200, 200]


def test_a_fault_without_a_count_strikes_for_ever(apollo: Sandbox, client: Client) -> None:
    apollo.inject(Fault("*", FaultKind.ERROR_BEFORE_WRITE, times=None))
    statuses = {client.call("GET", path).status_code for path in ("/labels", "/contact_stages")}
    assert statuses == {503}
    apollo.clear_faults()
    assert client.call("GET", "/labels").status_code == 200


def test_a_fault_with_a_probability_repeats_with_its_seed(apollo: Sandbox, client: Client) -> None:
    runs = []
    for _ in range(2):
        apollo.inject(
            Fault("GET /labels", FaultKind.ERROR_BEFORE_WRITE, times=None, probability=0.5, seed=3)
        )
        runs.append([client.call("GET", "/labels").status_code for _ in range(20)])
        apollo.clear_faults()
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 503}


def test_the_token_endpoint_can_fail_too(apollo: Sandbox, client: Client) -> None:
    apollo.inject(Fault("POST /oauth/token", FaultKind.ERROR_BEFORE_WRITE, status=500))
    assert client.call("POST", "/oauth/token").status_code == 500


def test_an_enrolment_that_fails_in_the_middle_has_enrolled_the_first_contacts(
    apollo: Sandbox, client: Client
) -> None:
    label = "POST /emailer_campaigns/{id}/add_contact_ids"
    apollo.inject(Fault(label, FaultKind.ERROR_AFTER_WRITE, status=504, records=1))
    sequences = apollo.store.sequences
    sequence = sequences.add("Spring")["id"]
    first, second = (apollo.store.add_contact(email=fresh())["id"] for _ in "ab")
    query = {
        "emailer_campaign_id": sequence,
        "send_email_from_email_account_id": sequences.add_email_account("rep@x.example")["id"],
        "contact_ids[]": [first, second],
    }
    path = f"/emailer_campaigns/{sequence}/add_contact_ids"
    assert client.call("POST", path, params=query).status_code == 504
    assert [one["contact_id"] for one in sequences.enrolments()] == [first]
