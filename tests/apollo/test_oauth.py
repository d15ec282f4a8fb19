"""OAuth 2.0 against the sandbox's token endpoint, which rotates: a refresh token works once."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import requests

from target_apollo.apollo import (
    CONTACT_ENDPOINTS,
    ApolloError,
    CredentialsRefused,
    NoAccessToken,
    QuotaExhausted,
    TokenFile,
)
from target_apollo.apollo.http import OnlyTo, Refreshes
from target_apollo.apollo.token_store import TokenPair
from target_apollo.sandbox import Fault, FaultKind
from tests.helpers.http_server import Reply, Server
from tests.helpers.logins import PROFILE, TOKEN, Logins, signed

SECRET = "cl1ent-secret-that-must-not-be-seen"


# --- renewing


def test_the_first_run_spends_the_refresh_token_of_the_settings(logins: Logins) -> None:
    token = logins.new_refresh_token()

    assert logins.client(token).profile().team_id == logins.apollo.store.team_id
    assert logins.spent() == [token]


def test_the_client_s_credentials_are_in_the_form_and_not_in_a_header(logins: Logins) -> None:
    logins.client(logins.new_refresh_token()).profile()

    (seen,) = (seen for seen in logins.apollo.requests if seen.endpoint == TOKEN)
    form = {name: values[0] for name, values in parse_qs(seen.raw_body.decode()).items()}
    assert form.pop("refresh_token")
    assert form == {
        "grant_type": "refresh_token",
        "client_id": logins.apollo.oauth.client_id,
        "client_secret": logins.apollo.oauth.client_secret,
    }
    assert seen.query == ""


def test_a_later_run_takes_the_token_from_the_file(logins: Logins) -> None:
    token = logins.new_refresh_token()
    logins.client(token).profile()

    logins.client(token).profile()

    assert len(logins.spent()) == 1


def test_a_token_is_renewed_a_minute_before_it_ends(logins: Logins) -> None:
    token = logins.new_refresh_token()
    logins.client(token).profile()
    first = logins.kept()

    logins.age(2_592_000 - 61)
    logins.client(token).profile()
    assert logins.kept()["access_token"] == first["access_token"]
    logins.age(2)
    logins.client(token).profile()

    assert logins.kept()["access_token"] != first["access_token"]
    assert logins.spent() == [token, first["refresh_token"]]
    assert [seen.status for seen in logins.apollo.requests if seen.endpoint == PROFILE] == [200] * 3


@pytest.mark.parametrize(
    ("life", "now", "due"),
    [(1000.0, 939.0, False), (1000.0, 940.0, True), (10.0, 4.9, False), (10.0, 5.0, True)],
)
def test_a_short_life_is_not_all_renewal(life: float, now: float, due: bool) -> None:
    assert TokenPair("a", "r", obtained_at=0.0, expires_at=life).is_due(now) is due


def test_a_token_without_a_known_end_is_used_until_it_is_refused() -> None:
    assert not TokenPair("a", "r", obtained_at=0.0, expires_at=None).is_due(1e12)


def test_a_401_renews_the_token_once_and_the_request_is_sent_again(logins: Logins) -> None:
    token = logins.new_refresh_token()
    client = logins.client(token)
    client.profile()
    logins.apollo.store.tokens.pop(logins.kept()["access_token"])

    client.profile()

    statuses = [seen.status for seen in logins.apollo.requests if seen.endpoint == PROFILE]
    assert statuses == [200, 401, 200]
    assert len(logins.spent()) == 2


def test_a_request_that_stays_refused_costs_one_refresh(logins: Logins) -> None:
    client = logins.client(logins.new_refresh_token())
    client.profile()
    logins.apollo.inject(Fault(PROFILE, FaultKind.ERROR_BEFORE_WRITE, times=None, status=401))

    with pytest.raises(CredentialsRefused, match="refresh_token"):
        client.profile()

    assert len(logins.spent()) == 2


def test_threads_renew_a_refused_token_once(logins: Logins) -> None:
    client = logins.client(logins.new_refresh_token())
    client.profile()
    logins.apollo.store.tokens.pop(logins.kept()["access_token"])

    with ThreadPoolExecutor(8) as pool:
        teams = set(pool.map(lambda _: client.profile().team_id, range(24)))

    assert teams == {logins.apollo.store.team_id}
    assert len(logins.spent()) == 2


def test_an_answer_without_a_refresh_token_leaves_the_old_one(
    logins: Logins, server: Server
) -> None:
    server.answers(Reply(body={"access_token": "a1", "expires_in": 10}))

    logins.auth("stays", token_url=server.url).refresh(signed("old"))

    assert (logins.kept()["access_token"], logins.kept()["refresh_token"]) == ("a1", "stays")


# --- which token goes first


def test_a_new_setting_begins_anew(logins: Logins) -> None:
    first, second = logins.new_refresh_token(), logins.new_refresh_token()
    logins.client(first).profile()

    logins.client(second).profile()

    assert logins.spent() == [first, second]


def test_two_logins_in_one_file_do_not_cost_each_other_their_tokens(logins: Logins) -> None:
    first, second = logins.new_refresh_token(), logins.new_refresh_token()

    for token in (first, second, first, second):
        logins.client(token).profile()

    assert logins.spent() == [first, second]


def test_without_the_setting_the_file_is_enough(logins: Logins) -> None:
    logins.client(logins.new_refresh_token()).profile()
    logins.age(2_592_000)

    logins.client(None).profile()
    logins.client(None).profile()

    assert len(logins.spent()) == 2


def test_without_the_setting_nobody_guesses_between_two_logins(logins: Logins) -> None:
    logins.client(logins.new_refresh_token()).profile()
    logins.client(logins.new_refresh_token()).profile()

    with pytest.raises(CredentialsRefused, match="apollo-sync login"):
        logins.client(None).profile()


def test_tokens_of_another_token_endpoint_are_not_sent_to_this_one(
    logins: Logins, server: Server
) -> None:
    logins.client(logins.new_refresh_token()).profile()

    with pytest.raises(CredentialsRefused, match="refresh_token"):
        logins.auth(None, token_url=server.url).refresh(signed("old"))

    assert server.received == []


# --- refused


def test_a_spent_refresh_token_is_said_with_the_way_out(logins: Logins, path: Path) -> None:
    token = logins.new_refresh_token()
    logins.client(token).profile()
    path.unlink()

    with pytest.raises(CredentialsRefused) as refusal:
        logins.client(token).profile()

    assert "refresh_token" in str(refusal.value)
    assert "apollo-sync login" in str(refusal.value)
    assert not path.exists()


def test_a_wrong_client_secret_is_named(logins: Logins) -> None:
    with pytest.raises(CredentialsRefused, match="client_id and client_secret"):
        logins.client(logins.new_refresh_token(), client_secret="wrong").profile()


def test_a_refused_refresh_leaves_the_file_as_it_was(logins: Logins, path: Path) -> None:
    client = logins.client(logins.new_refresh_token())
    client.profile()
    before = path.read_bytes()
    logins.apollo.store.tokens.clear()

    with pytest.raises(CredentialsRefused):
        client.profile()

    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} == {"token.json", "token.json.lock"}


REFUSALS = {
    "a redirect": (Reply(302, headers={"Location": "http://127.0.0.1:1/"}), "oauth_token_url"),
    "a page": (Reply(403, body="<html>", content_type="text/html"), "oauth_token_url"),
    "an unknown code": (Reply(400, body={"error": "no_such_code"}), "client_secret"),
    "a success without a token": (Reply(200, body={"ok": True}), "oauth_token_url"),
    "a token that no header can hold": (Reply(200, body={"access_token": "a\nb"}), "without a tok"),
}


@pytest.mark.full
@pytest.mark.parametrize(("reply", "words"), REFUSALS.values(), ids=list(REFUSALS))
def test_what_is_no_answer_of_a_token_endpoint_names_the_setting_to_look_at(
    logins: Logins, server: Server, reply: Reply, words: str
) -> None:
    server.default = lambda _: reply

    with pytest.raises(NoAccessToken, match=words):
        logins.auth("token", token_url=server.url).refresh(signed("old"))

    assert not logins.path.exists()


def test_a_rate_limit_says_when_to_come_back(logins: Logins) -> None:
    logins.apollo.inject(Fault(TOKEN, FaultKind.RATE_LIMITED, retry_after=120))

    with pytest.raises(QuotaExhausted, match=r"POST /oauth/token"):
        logins.client(logins.new_refresh_token()).profile()


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE_WRITE, FaultKind.ERROR_BEFORE_WRITE])
def test_a_refresh_that_was_not_carried_out_is_tried_again(logins: Logins, kind: FaultKind) -> None:
    logins.apollo.inject(Fault(TOKEN, kind))

    logins.client(logins.new_refresh_token()).profile()

    assert len(logins.spent()) == 2


@pytest.mark.parametrize("kind", [FaultKind.RESET_AFTER_WRITE, FaultKind.TRUNCATED_BODY])
def test_an_answer_lost_on_the_way_has_spent_the_token(logins: Logins, kind: FaultKind) -> None:
    logins.apollo.inject(Fault(TOKEN, kind))

    with pytest.raises(CredentialsRefused, match="apollo-sync login"):
        logins.client(logins.new_refresh_token()).profile()


@pytest.mark.full
def test_no_write_goes_out_without_a_token(logins: Logins) -> None:
    logins.apollo.inject(Fault(TOKEN, FaultKind.ERROR_BEFORE_WRITE, times=None))

    with pytest.raises(NoAccessToken, match="oauth_token_url") as problem:
        logins.client(logins.new_refresh_token()).create(CONTACT_ENDPOINTS, [{"first_name": "Ann"}])

    assert problem.value.maybe_written is False
    assert logins.apollo.count("POST /contacts/bulk_create") == 0


# --- what goes where, and what is said


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    server = Server(prefix="/oauth/token")
    yield server
    server.close()


def test_the_bearer_goes_to_the_api_s_origin_only(logins: Logins) -> None:
    auth = OnlyTo(logins.apollo.url, logins.auth(logins.new_refresh_token()))

    for url, gets_it in ((logins.apollo.url, True), ("https://app.apollo.io/api/v1", False)):
        request = requests.Request("GET", url, auth=auth).prepare()
        assert ("Authorization" in request.headers) is gets_it


def test_a_redirect_of_the_token_endpoint_takes_the_secrets_nowhere(
    logins: Logins, server: Server
) -> None:
    other = Server(prefix="")
    try:
        for status in (301, 302, 303, 307, 308):
            server.answers(Reply(status, headers={"Location": other.url}))
            with pytest.raises(NoAccessToken):
                logins.auth("token", token_url=server.url).refresh(signed("old"))
        assert other.received == []
    finally:
        other.close()


@pytest.mark.parametrize(
    "url", ["http://app.apollo.io/api/v1/oauth/token", "https://u:p@host/", "nonsense"]
)
def test_an_address_that_would_show_the_secrets_is_refused(logins: Logins, url: str) -> None:
    with pytest.raises(ValueError, match="oauth_token_url") as refusal:
        logins.auth("token", token_url=url)

    assert url not in str(refusal.value)


def test_oauth_can_renew_itself(logins: Logins) -> None:
    assert isinstance(logins.auth("token"), Refreshes)


FAULTS: dict[str, Fault | None] = {
    "all well": None,
    "a lost answer": Fault(TOKEN, FaultKind.RESET_AFTER_WRITE),
    "no answer": Fault(TOKEN, FaultKind.RESET_BEFORE_WRITE, times=None),
    "an error": Fault(TOKEN, FaultKind.ERROR_BEFORE_WRITE, times=None),
    "garbage": Fault(TOKEN, FaultKind.GARBAGE_BODY, times=None),
    "refused afterwards": Fault(PROFILE, FaultKind.ERROR_BEFORE_WRITE, times=None, status=401),
}


@pytest.mark.full
@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
@pytest.mark.parametrize("secret", [None, SECRET])
def test_no_secret_is_logged_or_raised(
    logins: Logins,
    path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: Fault | None,
    secret: str | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    token = logins.new_refresh_token()
    more = {"client_secret": secret} if secret else {}
    if fault is not None:
        logins.apollo.inject(fault)
    client = logins.client(token, **more)
    said = [repr(vars(logins.transports[0]))]

    try:
        client.profile()
    except ApolloError as problem:
        link: traceback.TracebackException | None
        link = traceback.TracebackException.from_exception(problem)
        while link is not None:
            said += link.format_exception_only()
            link = link.__cause__ or link.__context__

    secrets = {token, SECRET, logins.apollo.oauth.client_secret, *logins.apollo.store.tokens}
    if path.exists():
        secrets |= {logins.kept()["access_token"], logins.kept()["refresh_token"]}
        said.append(repr(TokenFile(path)._read(path)))
    for text in [*said, caplog.text]:
        assert not [one for one in secrets if one in text]
