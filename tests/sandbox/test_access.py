from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.new_sandbox import new_sandbox

INVALID_KEY = (
    "Invalid API key. See https://docs.apollo.io/reference/authentication for how to authenticate."
)


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    options = SandboxOptions(
        strict=True,
        plan=Plan.BASIC,
        api_keys={"sandbox": None, "narrow": ["api/v1/contacts/search"]},
    )
    with new_sandbox(options) as sandbox:
        yield sandbox


def ask(
    apollo: Sandbox, method: str, path: str, headers: dict[str, str], **more: str
) -> requests.Response:
    return requests.request(method, apollo.url + path, headers=headers, timeout=20, **more)  # type: ignore[arg-type]


def grant(apollo: Sandbox, **form: str) -> requests.Response:
    client = {"client_id": apollo.oauth.client_id, "client_secret": apollo.oauth.client_secret}
    return requests.post(apollo.token_url, data={**client, **form}, timeout=20)


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}])
def test_a_missing_or_wrong_key_is_401_in_plain_text(
    apollo: Sandbox, headers: dict[str, str]
) -> None:
    answer = ask(apollo, "GET", "/users/api_profile", headers)
    assert (answer.status_code, answer.text) == (401, INVALID_KEY)
    assert answer.headers["content-type"].startswith("text/plain")
    assert not [name for name in answer.headers if "rate-limit" in name or "usage" in name]


def test_a_key_in_the_url_opens_nothing_and_is_noticed(apollo: Sandbox) -> None:
    answer = ask(apollo, "GET", "/users/api_profile?api_key=sandbox", {})
    assert answer.status_code == 401
    assert apollo.requests[-1].api_key_in_url


def test_the_health_route_answers_200_to_anyone(apollo: Sandbox) -> None:
    answers = [
        ask(apollo, "GET", "/auth/health", headers).json()
        for headers in ({"x-api-key": "sandbox"}, {"x-api-key": "wrong"})
    ]
    assert answers == [
        {"healthy": True, "is_logged_in": True},
        {"healthy": True, "is_logged_in": False},
    ]


def test_a_scoped_key_reaches_its_endpoints_only(apollo: Sandbox) -> None:
    narrow = {"x-api-key": "narrow"}
    assert ask(apollo, "POST", "/contacts/search", narrow).status_code == 200
    answer = ask(apollo, "POST", "/accounts", narrow)
    assert answer.status_code == 403
    assert answer.json() == {
        "error": "This API key is not authorized to access api/v1/accounts/create. Request an API "
        "key from your administrator that includes this endpoint in its configured scope.",
        "error_code": "API_INACCESSIBLE",
    }
    assert "x-rate-limit-minute" not in answer.headers


def test_a_refresh_gives_a_pair_and_revokes_the_old_one_at_once(apollo: Sandbox) -> None:
    old_refresh = apollo.oauth.refresh_token
    first = grant(apollo, grant_type="refresh_token", refresh_token=old_refresh).json()
    assert first["token_type"] == "Bearer"
    assert first["expires_in"] == 2592000
    old = {"authorization": f"Bearer {first['access_token']}"}
    assert ask(apollo, "GET", "/users/api_profile", old).status_code == 200
    second = grant(apollo, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    answer = ask(apollo, "GET", "/users/api_profile", old)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "INVALID_ACCESS_TOKEN")
    again = grant(apollo, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    new = {"authorization": f"Bearer {second['access_token']}"}
    assert ask(apollo, "GET", "/users/api_profile", new).status_code == 200


def test_a_code_is_good_for_one_exchange(apollo: Sandbox) -> None:
    code = apollo.oauth.issue_code("contact_write", "https://app.example/back")
    form = {"grant_type": "authorization_code", "code": code}
    back = "https://app.example/back"
    answer = grant(apollo, **form, redirect_uri=back)
    assert answer.json()["scope"] == "read_user_profile app_scopes contact_write"
    assert grant(apollo, **form, redirect_uri=back).status_code == 400


def test_a_consent_leads_back_to_the_app_with_a_code(apollo: Sandbox) -> None:
    back = "http://127.0.0.1:9/back?here=1"
    asked = {
        "client_id": apollo.oauth.client_id,
        "redirect_uri": back,
        "scope": "contact_write",
        "state": "s t",
    }
    surface = apollo.url.replace("/api/v1", "/_sandbox/authorize")
    location = requests.post(surface, json=asked, timeout=20).json()["location"]
    assert location.startswith(back + "&code=")
    query = parse_qs(urlsplit(location).query)
    assert query["state"] == ["s t"]
    token = grant(
        apollo, grant_type="authorization_code", code=query["code"][0], redirect_uri=back
    ).json()
    assert token["scope"].endswith("contact_write")
    for wrong in ({"client_id": "other"}, {"redirect_uri": "javascript:alert(1)"}):
        assert requests.post(surface, json={**asked, **wrong}, timeout=20).status_code == 422


def test_a_code_is_bound_to_its_redirect_address(apollo: Sandbox) -> None:
    code = apollo.oauth.issue_code("contact_write", "https://app.example/back")
    answer = grant(
        apollo, grant_type="authorization_code", code=code, redirect_uri="https://evil.example"
    )
    assert answer.json()["error"] == "invalid_grant"


def test_a_token_reaches_what_its_scopes_name(apollo: Sandbox) -> None:
    code = apollo.oauth.issue_code("contacts_search")
    token = grant(apollo, grant_type="authorization_code", code=code).json()["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    assert ask(apollo, "POST", "/contacts/search", bearer).status_code == 200
    assert ask(apollo, "GET", "/users/api_profile", bearer).status_code == 200
    answer = ask(apollo, "GET", "/labels", bearer)
    assert answer.status_code == 403
    assert answer.json() == {
        "error": "api/v1/labels/index is not accessible with this access token",
        "error_code": "API_INACCESSIBLE",
    }


def test_a_refresh_may_narrow_the_scopes_and_not_widen_them(apollo: Sandbox) -> None:
    code = apollo.oauth.issue_code("contacts_search tags_list")
    refresh = grant(apollo, grant_type="authorization_code", code=code).json()["refresh_token"]
    wider = grant(apollo, grant_type="refresh_token", refresh_token=refresh, scope="users_list")
    assert wider.json()["error"] == "invalid_scope"
    narrower = grant(apollo, grant_type="refresh_token", refresh_token=refresh, scope="tags_list")
    assert narrower.json()["scope"].endswith(" tags_list")


def test_a_wrong_client_secret_is_refused(apollo: Sandbox) -> None:
    answer = grant(
        apollo,
        grant_type="refresh_token",
        refresh_token=apollo.oauth.refresh_token,
        client_secret="wrong",
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_an_access_token_expires(apollo: Sandbox) -> None:
    apollo.set_options(access_token_seconds=0)
    refresh = apollo.oauth.refresh_token
    token = grant(apollo, grant_type="refresh_token", refresh_token=refresh).json()
    bearer = {"authorization": f"Bearer {token['access_token']}"}
    assert ask(apollo, "GET", "/users/api_profile", bearer).status_code == 401


def test_an_unknown_grant_is_refused(apollo: Sandbox) -> None:
    answer = grant(apollo, grant_type="password")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_no_key_may_delete_a_record(apollo: Sandbox) -> None:
    answer = ask(apollo, "DELETE", f"/contacts/{'a' * 24}", {"x-api-key": "sandbox"})
    assert answer.status_code == 403
    assert answer.json()["error"].startswith(
        "This API key is not authorized to access api/v1/contacts/destroy."
    )
