"""OAuth 2.0 instead of a key: a bearer token that renews itself before it ends and after a 401."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from requests.auth import AuthBase

from target_apollo.apollo.errors import CredentialsRefused
from target_apollo.apollo.token_store import TOKEN_ENDPOINT, Login, TokenPair

if TYPE_CHECKING:
    from requests import PreparedRequest

    from target_apollo.apollo.oauth import Grant, TokenEndpoint
    from target_apollo.apollo.token_store import TokenFile

_log = logging.getLogger(__name__)
_HEADER, _SCHEME = "Authorization", "Bearer "


class OAuth(AuthBase):
    """A bearer token for all threads of a run, and for all runs that share its token file.

    The token file knows newer tokens than the settings do: `refresh_token` is only spent where the
    file has no pair that goes back to it. `stop` ends the wait for another process that renews.
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
        """Put the access token on a request, a new one if the old one is about to end.

        Raises an `ApolloError` where no token can be had.
        """
        tokens = self._tokens
        if tokens is None or tokens.is_due(time.time()):
            tokens = self._renewed(refused=None)
        r.headers[_HEADER] = _SCHEME + tokens.access_token
        return r

    def refresh(self, refused: PreparedRequest) -> bool:
        """Replace the access token that a refused request carried; return True, or raise.

        Raises an `ApolloError` where no other token can be had.
        """
        self._renewed(refused=str(refused.headers.get(_HEADER, "")).removeprefix(_SCHEME))
        return True

    def __repr__(self) -> str:
        return "OAuth(…)"

    def _renewed(self, refused: str | None) -> TokenPair:
        """Return a pair that is not due and whose access token is not the refused one."""

        def good(tokens: TokenPair) -> bool:
            return tokens.access_token != refused and not tokens.is_due(time.time())

        with self._lock:
            if self._tokens is not None and good(self._tokens):
                return self._tokens
            found = self._file.find(self._login)
            if found is None or not good(found[1]):
                with self._file.locked(self._stop):
                    # Whoever had the lock before may have renewed: spending is for the first only.
                    found = self._file.find(self._login)
                    if found is None or not good(found[1]):
                        found = self._spend(found)
            self._tokens = found[1]
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
    """Return a grant as a pair that is obtained now; `refresh_token` where it brings none."""
    now = time.time()
    return TokenPair(
        access_token=grant.access_token,
        refresh_token=grant.refresh_token or refresh_token,
        obtained_at=now,
        expires_at=None if grant.expires_in is None else now + grant.expires_in,
    )
