"""OAuth 2.0 instead of a key: a bearer token that renews itself before it ends and after a 401.

Apollo's token endpoint takes a code or a refresh token and gives a pair of tokens. Its requests are
form-encoded, with the client's credentials in the body (source: Apollo's page for partners). Apollo
does not document its refusals; the error codes understood here are those of RFC 6749, section 5.2.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import backoff
from requests.auth import AuthBase

from target_apollo.apollo.answers import decode_body
from target_apollo.apollo.errors import (
    ApolloError,
    CredentialsRefused,
    NoAccessToken,
    QuotaExhausted,
    RunStopped,
)
from target_apollo.apollo.http import HttpSession, Response
from target_apollo.apollo.no_answer import NoAnswer
from target_apollo.apollo.retry_after import asked_wait
from target_apollo.apollo.token_store import TOKEN_ENDPOINT, Login, TokenPair
from target_apollo.apollo.urls import check_api_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest

    from target_apollo.apollo.token_store import TokenFile

_log = logging.getLogger(__name__)

_TRIES = 3
_BACKOFF_SECONDS = 0.5
_RATE_LIMIT_SECONDS = 60.0
_LONGEST_LIFE_SECONDS = 1e9
_FORM = "application/x-www-form-urlencoded"
_HEADER, _SCHEME = "Authorization", "Bearer "
# OAuth's error code -> the setting to mend.
_TO_MEND = {
    "invalid_grant": "refresh_token",
    "invalid_client": "client_secret",
    "unauthorized_client": "client_secret",
}


@dataclass(frozen=True)
class Grant:
    """The tokens of an answer. `expires_in`: life of the access token in seconds; None: not told.

    `refresh_token` is None where the refresh token of the request stays valid.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: float | None


class TokenEndpoint:
    """The token endpoint at `oauth_token_url`, for one client. Only it gets the client's secrets.

    Raises ValueError, naming the setting, for an address that secrets must not be sent to.
    """

    def __init__(
        self,
        *,
        token_url: str,
        client_id: str,
        client_secret: str,
        timeout_seconds: float,
        stop: threading.Event,
    ) -> None:
        self.token_url = check_api_url(token_url, setting="oauth_token_url")
        self._client = {"client_id": client_id, "client_secret": client_secret}
        self._timeout = timeout_seconds
        self._stop = stop

    def refresh(self, refresh_token: str) -> Grant:
        """Exchange a refresh token, which Apollo then revokes together with its access token.

        Raises an `ApolloError`: CredentialsRefused for a token that was used before or revoked.
        """
        return self._ask({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def exchange_code(self, code: str, *, redirect_uri: str, verifier: str) -> Grant:
        """Exchange an authorization code; `verifier` is PKCE's (RFC 7636). Raises as `refresh`."""
        return self._ask(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": verifier,
            }
        )

    def _ask(self, form: Mapping[str, str]) -> Grant:
        content = urlencode({**form, **self._client}).encode()
        # No session is kept for these requests: they come once a month.
        session = HttpSession(
            api_url=self.token_url,
            auth=_InTheBody(),
            timeout_seconds=self._timeout,
            connections=1,
        )
        try:
            return self._try(session, content)
        finally:
            session.close()

    def _try(self, session: HttpSession, content: bytes) -> Grant:
        """Send the form, again after a lost answer: Apollo refuses a token that is used already."""
        reason = ""
        for tries in range(_TRIES):
            if tries and self._stop.wait(backoff.full_jitter(_BACKOFF_SECONDS * 2**tries)):
                raise RunStopped(TOKEN_ENDPOINT)
            try:
                response = session.send(
                    "POST", "", params=None, content=content, content_type=_FORM
                )
            except NoAnswer as failure:
                reason = failure.reason
                continue
            if 200 <= response.status < 300:
                grant = _read_grant(response.content)
                if grant is not None:
                    return grant
                reason = f"answered {response.status} without a token"
            elif response.status == 408 or response.status >= 500:
                reason = f"answered {response.status}"
            else:
                raise _refusal(response)
        raise NoAccessToken(
            f"No usable answer from Apollo's token endpoint after {_TRIES} tries ({reason}): check "
            "the network, any proxy and the setting oauth_token_url, then run again.",
            endpoint=TOKEN_ENDPOINT,
        )


class _InTheBody(AuthBase):
    """Adds no header, since the client's credentials are in the body, nor those of a netrc file."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        return r


def _refusal(response: Response) -> ApolloError:
    if response.status == 429:
        wait = timedelta(seconds=asked_wait(response.headers) or _RATE_LIMIT_SECONDS)
        return QuotaExhausted(TOKEN_ENDPOINT, retry_at=datetime.now(timezone.utc) + wait)
    body = _object(response.content)
    code = body.get("error")
    setting = _TO_MEND.get(code) if isinstance(code, str) else None
    if setting is not None:
        return CredentialsRefused(TOKEN_ENDPOINT, setting=setting, status=response.status)
    if 300 <= response.status < 400:
        what = (
            "answers with a redirect, which is not followed, since it would carry the secrets "
            "elsewhere: check the setting oauth_token_url"
        )
    elif body:
        what = (
            "refuses the request: check the settings client_id, client_secret and refresh_token, "
            "or log in again with `apollo-sync login`"
        )
    else:
        what = (
            "does not answer like Apollo: check the setting oauth_token_url and any proxy on the "
            "way"
        )
    return NoAccessToken(
        f"The token endpoint {what} (status {response.status}).", endpoint=TOKEN_ENDPOINT
    )


def _read_grant(content: bytes) -> Grant | None:
    body = _object(content)
    access = _token(body.get("access_token"))
    if access is None:
        return None
    return Grant(access, _token(body.get("refresh_token")), _seconds(body.get("expires_in")))


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= _LONGEST_LIFE_SECONDS else None


def _token(value: object) -> str | None:
    # Only characters that a header can hold: http.client shows any other value in its exception.
    if isinstance(value, str) and value and all("!" <= c <= "~" for c in value):
        return value
    return None


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = decode_body(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


class OAuth(AuthBase):
    """A bearer token for all threads of a run, and for all runs that share its token file.

    The token file has newer tokens than the settings: the setting `refresh_token` is used only
    where the file has no pair that was obtained with it. `stop` ends the wait for another process
    that is renewing.
    """

    def __init__(
        self,
        *,
        login: Login,
        endpoint: TokenEndpoint,
        token_file: TokenFile,
        refresh_token: str | None,
        stop: threading.Event,
    ) -> None:
        self._login = login
        self._endpoint = endpoint
        self._file = token_file
        self._refresh_token = refresh_token
        self._stop = stop
        self._lock = threading.Lock()
        self._tokens: TokenPair | None = None

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the access token on a request; renew it first if it is about to expire.

        Raises an `ApolloError` where there is no token and none can be obtained.
        """
        tokens = self._tokens
        if tokens is None or tokens.is_due(time.time()):
            tokens = self._renewed(refused=None)
        r.headers[_HEADER] = _SCHEME + tokens.access_token
        return r

    def refresh(self, refused: PreparedRequest) -> bool:
        """Replace the access token that a refused request carried; return True.

        Raises an `ApolloError` where no other token can be obtained.
        """
        self._renewed(refused=str(refused.headers.get(_HEADER, "")).removeprefix(_SCHEME))
        return True

    def __repr__(self) -> str:
        return "OAuth(…)"

    def _renewed(self, refused: str | None) -> TokenPair:
        """Return a pair that is not due and whose access token is not `refused`."""

        def good(tokens: TokenPair) -> bool:
            return tokens.access_token != refused and not tokens.is_due(time.time())

        with self._lock:
            if self._tokens is not None and good(self._tokens):
                return self._tokens
            kept = self._file.find(self._login)
            if kept is None or not good(kept[1]):
                with self._file.locked(self._stop):
                    # Another process may have renewed while this one waited for the lock; a refresh
                    # token works once.
                    kept = self._file.find(self._login)
                    if kept is None or not good(kept[1]):
                        kept = self._spend(kept)
            self._tokens = kept[1]
            return self._tokens

    def _spend(self, kept: tuple[Login, TokenPair] | None) -> tuple[Login, TokenPair]:
        login, refresh_token = self._login, self._refresh_token
        if kept is not None:
            login, refresh_token = kept[0], kept[1].refresh_token
        if refresh_token is None:
            raise CredentialsRefused(TOKEN_ENDPOINT, setting="refresh_token")
        with self._file.successor() as successor:
            tokens = pair_of(self._endpoint.refresh(refresh_token), refresh_token)
            successor.keep(login, tokens)
        _log.info("Renewed the OAuth access token; the new pair is in %s.", self._file.path)
        return login, tokens


def pair_of(grant: Grant, refresh_token: str) -> TokenPair:
    """Return the pair of a grant, obtained now; `refresh_token` is kept if the grant has none."""
    now = time.time()
    return TokenPair(
        access_token=grant.access_token,
        refresh_token=grant.refresh_token or refresh_token,
        obtained_at=now,
        expires_at=None if grant.expires_in is None else now + grant.expires_in,
    )
