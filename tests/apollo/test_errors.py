from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.apollo import (
    ENDPOINTS,
    ApolloError,
    CredentialsRefused,
    EndpointForbidden,
    RequestRefused,
    access_to,
    endpoints_of,
)
from target_apollo.apollo.answers import read_refusal

PATCH = "PATCH /contacts/{id}"
ID = "66e34b81740c50074e3d1bd4"
OTHER = "66302798d03b9601c7934ebf"


def refused(content: str, status: int = 422, content_type: str = "application/json") -> Any:
    refusal = read_refusal(content_type, content.encode())
    return RequestRefused(
        PATCH,
        status=status,
        message=refusal.message,
        code=refusal.code,
        details=refusal.details,
        deleted_ids=refusal.deleted_ids,
        from_apollo=refusal.is_json,
    )


@pytest.mark.parametrize(
    "content",
    [
        '{"error":"Oops! This contact does not exist in Apollo."}',
        '{"error":"This contact has been deleted."}',
        '{"error":"Cannot update contact as it is deleted."}',
        '{"error":"Cannot update.","deleted_contact_ids":["66e34b81740c50074e3d1bd4"]}',
        '{"error":"Parameters misconfigured. id is not a valid ID"}',
    ],
)
def test_a_422_can_say_that_the_record_is_missing(content: str) -> None:
    assert refused(content).names_missing_record


@pytest.mark.parametrize(
    "content",
    [
        '{"error":"You are not authorized to view this page."}',
        '{"error":"Please limit your array to 100 contacts or fewer."}',
        '{"error":"Validation failed","error_details":{"field":"email"}}',
        "{}",
        "",
    ],
)
def test_other_422s_say_nothing_about_missing_records(content: str) -> None:
    assert not refused(content).names_missing_record


def test_a_404_of_apollo_means_a_missing_record_and_a_404_page_does_not() -> None:
    assert refused('{"message":"…","error":"Record not found."}', 404).names_missing_record
    assert not refused("<html>Not Found</html>", 404, "text/html").names_missing_record


def test_a_404_page_sends_the_reader_to_the_address() -> None:
    assert "api_url" in str(refused("<html>Not Found</html>", 404, "text/html"))


def test_what_is_no_id_among_the_deleted_ones_is_not_shown() -> None:
    odd = refused(f'{{"error":"x","deleted_contact_ids":["ann@acme.example","{ID}",7]}}')
    assert odd.deleted_ids == (ID,)
    assert "ann" not in str(odd)


def test_the_ids_that_a_refusal_names_are_found_wherever_they_stand() -> None:
    assert refused(f'{{"error":"x","deleted_contact_ids":["{ID}"]}}').deleted_ids == (ID,)
    assert refused(f'{{"error":"x","deleted_contact_ids":["{ID}"]}}').named_ids == (ID,)
    assert refused(f'{{"error":"{ID} and {OTHER} and {ID}"}}').named_ids == (ID, OTHER)
    details = f'{{"contact_id":"{ID}","field":"email","message":"Invalid email format"}}'
    assert refused(f'{{"error":"x","error_details":{details}}}').named_ids == (ID,)


def test_ids_codes_and_field_names_help_and_apollo_s_text_stays_out_of_the_sentence() -> None:
    details = f'{{"contact_id":"{ID}","field":"email","message":"ann@example.com is no e-mail"}}'
    error = refused(
        f'{{"error":"ann@example.com exists","error_code":"TAKEN","error_details":{details}}}'
    )

    for helpful in (PATCH, "422", "TAKEN", "field email", ID):
        assert helpful in str(error)
    assert "ann@" not in str(error)
    assert error.message == "ann@example.com exists"
    assert error.details["message"] == "ann@example.com is no e-mail"


@pytest.mark.parametrize(
    ("content", "message", "code"),
    [
        ('{"error":"a","message":"b","error_code":"C"}', "a b", "C"),
        ('{"message":"b"}', "b", ""),
        ('{"message":"b","error_details":{"code":"USAGE.X"}}', "b", "USAGE.X"),
        ('{"error":"","message":"b"}', "b", ""),
        ('{"error":{"odd":1},"error_details":[1],"deleted_contact_ids":"x"}', "", ""),
        ('["a list"]', "", ""),
        ("", "", ""),
    ],
)
def test_the_shapes_of_apollo_s_refusals_are_read(content: str, message: str, code: str) -> None:
    refusal = read_refusal("application/json", content.encode())

    assert (refusal.message, refusal.code) == (message, code)


def test_plain_text_is_kept_and_pages_are_not() -> None:
    assert read_refusal("text/plain; charset=utf-8", b"Invalid API key.").message
    assert not read_refusal("text/html", b"<html>Invalid API key.</html>").message


@given(st.binary() | st.text().map(str.encode))
def test_any_body_can_be_read_as_a_refusal(content: bytes) -> None:
    assert isinstance(read_refusal("text/plain", content).message, str)


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_no_free_text_of_apollo_s_gets_into_the_sentence(
    message: str, code: str, details: dict[str, str]
) -> None:
    mark = "ann@example.com"
    error = RequestRefused(
        PATCH,
        status=422,
        message=message + mark,
        code=code + mark,
        details={**details, "field": mark, "message": mark},
    )
    assert mark not in str(error)


def test_every_error_is_one_of_the_family_and_knows_its_endpoint() -> None:
    error: ApolloError = CredentialsRefused(PATCH, setting="refresh_token")

    assert error.endpoint == PATCH
    assert "refresh_token" in str(error)


def test_a_403_of_an_endpoint_without_known_access_still_makes_a_sentence() -> None:
    assert "GET /unknown" in str(EndpointForbidden("GET /unknown"))


def test_every_endpoint_but_the_health_check_says_what_it_needs() -> None:
    open_to_all = [label for label, access in ENDPOINTS.items() if access.scope is None]

    assert open_to_all == ["GET /auth/health"]
    assert all(access_to(label).key_entry for label in ENDPOINTS if label not in open_to_all)


def test_an_entry_of_a_key_s_list_leads_back_to_its_endpoints() -> None:
    assert endpoints_of("api/v1/contacts/search") == ("POST /contacts/search",)
    assert set(endpoints_of("api/v1/accounts/update")) == {
        "PUT /accounts/{id}",
        "PATCH /accounts/{id}",
    }
    assert endpoints_of("api/v1/people/match") == ()
