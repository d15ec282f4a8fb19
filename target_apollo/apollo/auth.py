"""Credentials for Apollo as `requests` auth objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from requests.auth import AuthBase

from target_apollo.apollo.urls import origin_of

if TYPE_CHECKING:
    from requests import PreparedRequest

_HEADER = "x-api-key"


class ApiKeyAuth(AuthBase):
    """An API key, sent as the header `x-api-key` and nowhere else.

    Apollo used to take the key in query and body too, which end up in logs of proxies. Raises
    ValueError for a key that is empty or holds characters that no header may hold.
    """

    def __init__(self, key: str) -> None:
        key = key.strip()
        if not key:
            raise ValueError("The setting api_key is empty.")
        # http.client would repeat the whole key in its own exception about a bad header.
        if not all("!" <= character <= "~" for character in key):
            raise ValueError(
                "The setting api_key holds a blank or a character that no key has: copy it again."
            )
        self._key = key

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the key on a request."""
        r.headers[_HEADER] = self._key
        return r

    def __repr__(self) -> str:
        return "ApiKeyAuth(…)"


@runtime_checkable
class Refreshes(Protocol):
    """Credentials that can renew themselves, at most once per request, after a 401."""

    def refresh(self, refused: PreparedRequest) -> bool:
        """Renew the credentials that `refused` carried; return whether to try again.

        Several threads may call it at once: it returns True at once where another thread has
        renewed the credentials meanwhile. May raise an `ApolloError`.
        """


class OnlyTo(AuthBase):
    """Lets credentials through to one origin (scheme, host, port) and to no other."""

    def __init__(self, api_url: str, auth: AuthBase) -> None:
        self._origin = origin_of(api_url)
        self._auth = auth

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Put the credentials on a request to that origin; leave any other untouched."""
        if origin_of(r.url or "") != self._origin:
            return r
        signed: PreparedRequest = self._auth(r)
        return signed
