from __future__ import annotations

import pytest
import requests

from target_apollo.apollo import ApiKeyAuth, Refreshes
from target_apollo.apollo.http import OnlyTo
from tests.apollo.conftest import KEY


def signed(auth: requests.auth.AuthBase, url: str) -> requests.PreparedRequest:
    return requests.Request("POST", url, auth=auth, data=b"{}").prepare()


def test_the_key_is_a_header_and_nothing_else() -> None:
    request = signed(ApiKeyAuth(f" {KEY}\n"), "https://api.apollo.io/api/v1/contacts")

    assert request.headers.pop("x-api-key") == KEY
    assert KEY not in f"{request.url} {request.body!r} {request.headers}"


@pytest.mark.parametrize("key", ["", "  ", "two words", "line\nbreak", "kéy", "\x00"])
def test_a_key_that_no_header_can_hold_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="setting api_key") as caught:
        ApiKeyAuth(key)

    assert not key.strip() or key not in str(caught.value)


def test_the_key_does_not_show_when_the_object_is_printed() -> None:
    assert KEY not in repr(ApiKeyAuth(KEY))


def test_a_key_cannot_renew_itself() -> None:
    assert not isinstance(ApiKeyAuth(KEY), Refreshes)


@pytest.mark.parametrize(
    ("url", "gets_the_key"),
    [
        ("https://api.apollo.io/api/v1/contacts", True),
        ("https://api.apollo.io:443/elsewhere", True),
        ("http://api.apollo.io/api/v1/contacts", False),
        ("https://api.apollo.io:8443/api/v1/contacts", False),
        ("https://app.apollo.io/api/v1/contacts", False),
        ("https://api.apollo.io.example.com/", False),
        ("https://api.apollo.io@example.com/", False),
    ],
)
def test_credentials_go_to_one_origin_only(url: str, gets_the_key: bool) -> None:
    auth = OnlyTo("https://api.apollo.io/api/v1", ApiKeyAuth(KEY))

    assert ("x-api-key" in signed(auth, url).headers) is gets_the_key
