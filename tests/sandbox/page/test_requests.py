"""What the page shows of runs, requests and the quota."""

from __future__ import annotations

import pytest
import requests

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from target_apollo.sandbox.page.runs import runs_of
from target_apollo.sandbox.serving.rate_windows import Plan
from target_apollo.sandbox.state import MOST_KEPT, RequestSeen
from tests.sandbox.conftest import Client
from tests.sandbox.page.conftest import seen

PROFILE = "GET /users/api_profile"


def request(
    number: int, endpoint: str, agent: str = "a", connection: int = 0, status: int = 200
) -> RequestSeen:
    return RequestSeen(
        "GET", "/", "", endpoint, b"", status, float(number),
        number=number, agent=agent, connection=connection,
    )  # fmt: skip


def numbers_of(log: list[RequestSeen]) -> list[list[int]]:
    return [[one.number for one in run.requests] for run in runs_of(log)]


def begin(program: Client) -> None:
    program.get("/users/api_profile")


def test_the_last_run_is_told_with_what_it_made_and_asked(apollo: Sandbox, program: Client) -> None:
    begin(program)
    program.bulk_create({"email": "old@x.example", "last_name": "Old"})
    begin(program)
    program.bulk_create(
        {"email": "ann@x.example", "last_name": "Ann"},
        {"email": "old@x.example", "last_name": "Old"},
    )
    page = seen(apollo)
    assert "2 requests by target-apollo/1.0" in page.text
    assert "POST /contacts/bulk_create 1 1 × 200 1 created contact 1 existing contact" in page.text
    assert "/?show=contacts&run=3" in page.addresses
    of_run = seen(apollo, show="contacts", run="3").text
    assert "ann@x.example" in of_run
    assert "old@x.example" not in of_run


def test_the_record_of_an_answer_is_counted_beside_its_lists(
    apollo: Sandbox, program: Client
) -> None:
    begin(program)
    created = program.post("/contacts", {"email": "ann@x.example", "label_names": ["Spring"]})
    assert created["labels"]
    assert "POST /contacts 1 1 × 200 1 contact 1 label" in seen(apollo).text


def test_the_requests_of_the_last_run_are_listed_and_the_others_asked_for(
    apollo: Sandbox, program: Client
) -> None:
    begin(program)
    program.get("/labels")
    begin(program)
    program.get("/contact_stages")
    last = seen(apollo, show="requests")
    assert "GET /contact_stages" in last.text
    assert "GET /labels" not in last.text
    assert "/?show=requests&run=1" in last.addresses
    assert "GET /labels" in seen(apollo, show="requests", run="1").text
    every = seen(apollo, show="requests", run="every").text
    assert "GET /labels" in every
    assert "GET /contact_stages" in every


def test_programs_that_run_at_once_are_told_apart_by_their_names() -> None:
    log = [
        request(1, PROFILE),
        request(2, PROFILE, "b"),
        request(3, "GET /labels"),
        request(4, "GET /fields", "b"),
        request(5, PROFILE),
    ]
    assert [[one.number for one in run.requests] for run in runs_of(log)] == [[5], [2, 4], [1, 3]]


def test_a_check_that_is_tried_again_begins_no_second_run() -> None:
    log = [request(1, PROFILE), request(2, PROFILE), request(3, "GET /labels")]
    assert numbers_of(log) == [[1, 2, 3]]
    failed = request(1, PROFILE, connection=1, status=503)
    log = [failed, request(2, PROFILE, connection=2), request(3, "GET /labels", connection=2)]
    assert numbers_of(log) == [[1, 2, 3]]


def test_two_runs_of_one_program_are_told_apart_by_their_connections() -> None:
    log = [
        request(1, PROFILE, connection=1),
        request(2, PROFILE, connection=2),
        request(3, "GET /labels", connection=1),
        request(4, "GET /fields", connection=2),
        request(5, "GET /labels", connection=1),
    ]
    assert numbers_of(log) == [[1, 3, 5], [2, 4]]
    assert [run.is_beside_another for run in runs_of(log)] == [True, True]


def test_a_connection_of_a_run_that_is_over_is_one_of_the_next_run() -> None:
    log = [
        request(1, PROFILE, connection=1),
        request(2, "GET /labels", connection=2),
        request(3, PROFILE, connection=1),
        request(4, "GET /labels", connection=2),
    ]
    assert numbers_of(log) == [[3, 4], [1, 2]]
    assert not any(run.is_beside_another for run in runs_of(log))


def test_the_page_says_where_runs_at_once_can_not_be_told_apart(
    apollo: Sandbox, program: Client
) -> None:
    other = Client(apollo)
    other._session.headers["user-agent"] = "target-apollo/1.0"
    begin(program)
    program.bulk_create({"email": "ann@x.example", "last_name": "Ann"})
    assert "under way" not in seen(apollo).text
    begin(other)
    other.bulk_create({"email": "ben@x.example", "last_name": "Ben"})
    program.bulk_create({"email": "cem@x.example", "last_name": "Cem"})
    assert "Another run of the same program was under way" in seen(apollo).text
    assert seen(apollo, show="requests").text.count("beside another run of it") == 2
    of_first = seen(apollo, show="contacts", run="1").text
    assert [name in of_first for name in ("ann@", "ben@", "cem@")] == [True, False, True]


def test_a_request_is_shown_with_its_answer_and_its_records(
    apollo: Sandbox, program: Client
) -> None:
    program.bulk_create({"email": "ann@x.example", "last_name": "Ann"})
    row = seen(apollo, show="requests").text
    assert "#1 POST /contacts/bulk_create" in row
    assert "200 1 contact 1 created contact" in row
    page = seen(apollo, show="requests", id="1")
    assert '"email": "ann@x.example"' in page.text
    assert "created_contacts" in page.text
    assert "/?show=contacts&request=1" in page.addresses
    assert "ann@x.example" in seen(apollo, show="contacts", request="1").text


def test_bodies_are_shown_on_demand_and_never_whole_if_they_are_long(
    apollo: Sandbox, program: Client
) -> None:
    people = [{"email": f"p{n}@x.example", "title": "t" * 500} for n in range(100)]
    program.bulk_create(*people)
    (kept,) = apollo.requests
    assert len(kept.answer) == MOST_KEPT < kept.answer_bytes
    page = seen(apollo, show="requests", id="1")
    assert len(page.named("details")) == 2
    assert not [one for one in page.named("details") if "open" in one]
    assert "the first 4,096 are kept" in page.text
    assert len(page.text) < 30_000


def test_a_refused_a_faulty_and_a_reset_request_are_seen_as_such(
    apollo: Sandbox, program: Client
) -> None:
    program.error("PATCH", "/contacts/none", {"title": "x"}, status=422)
    apollo.inject(Fault("GET /labels", FaultKind.ERROR_BEFORE_WRITE, status=502))
    program.call("GET", "/labels")
    apollo.inject(Fault("GET /fields", FaultKind.RESET_BEFORE_WRITE))
    with pytest.raises(requests.ConnectionError):
        program.call("GET", "/fields")
    text = seen(apollo, show="requests").text
    assert "PATCH /contacts/{id}" in text
    assert "422" in text
    assert "502 fault: error_before_write" in text
    assert "none: reset fault: reset_before_write" in text


def test_secrets_of_a_token_request_are_not_shown(apollo: Sandbox) -> None:
    requests.post(apollo.token_url, data={"client_secret": "hush"}, timeout=20)
    page = seen(apollo, show="requests", id="1").text
    assert "hush" not in page
    assert "consist of secrets" in page


def test_a_key_in_the_address_is_not_shown(apollo: Sandbox, program: Client) -> None:
    program.call("GET", "/labels?api_key=hush")
    for query in ({"show": "requests"}, {"show": "requests", "id": "1"}):
        assert "hush" not in seen(apollo, **query).text


def test_requests_are_found_by_endpoint_and_status(apollo: Sandbox, program: Client) -> None:
    program.get("/labels")
    program.call("GET", "/nothing")
    assert "GET /labels" not in seen(apollo, show="requests", q="404").text
    assert "GET /nothing" not in seen(apollo, show="requests", q="get labels").text


def test_a_request_that_the_log_forgot_is_said_to_be_gone(apollo: Sandbox, program: Client) -> None:
    program.bulk_create({"email": "ann@x.example", "last_name": "Ann"})
    apollo.reset_log()
    assert "no such request" in seen(apollo, show="requests", id="1").text
    contacts = seen(apollo, show="contacts")
    assert "#1 POST /contacts/bulk_create" in contacts.text
    assert "/?show=requests&id=1" not in contacts.addresses


def test_the_quota_of_each_endpoint_is_three_bars(apollo: Sandbox, program: Client) -> None:
    apollo.set_options(plan=Plan.BASIC.value, minute_limit=2)
    program.get("/labels")
    program.get("/labels")
    page = seen(apollo, show="quota")
    assert "api/v1/labels/index" in page.text
    assert "2 of 2, until" in page.text
    assert "2 of 400, until" in page.text
    assert "2 of 2,000, until" in page.text
    bars = [one for one in page.named("rect") if one["class"] != "track"]
    assert [(one["class"], one["width"]) for one in bars] == [
        ("full", "100.0"),
        ("room", "0.5"),
        ("room", "0.1"),
    ]
