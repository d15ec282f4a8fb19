"""OAuth 2.0 as Apollo's page for partners describes it: codes, refresh tokens, narrower scopes.

A refresh revokes the old access token and the old refresh token at once. Apollo does not document
the errors of its token endpoint. The bodies here are those of Doorkeeper, an authorization server
whose field ``created_at`` is also in Apollo's answers.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.serving.errors import Refusal

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105
ALWAYS_GRANTED = ("read_user_profile", "app_scopes")
EVERYTHING = "*"


class OAuth:
    """The authorization server of a sandbox, which keeps its tokens in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.client_id = CLIENT_ID
        self.client_secret = CLIENT_SECRET
        with store.lock:
            if not store.tokens:
                self._put(_token(), {"kind": "refresh", "scope": EVERYTHING, "access": None})
                store.commit()

    @property
    def refresh_token(self) -> str:
        """The newest valid refresh token."""
        with self._store.lock:
            return [
                token for token, grant in self._store.tokens.items() if grant["kind"] == "refresh"
            ][-1]

    def issue_code(
        self,
        scope: str = EVERYTHING,
        redirect_uri: str | None = None,
        code_challenge: str | None = None,
    ) -> str:
        """An authorization code, as a user's consent gives it, for one exchange.

        Args:
            scope: Scopes with spaces between, or ``*`` for all.
            redirect_uri: The exchange must name the same one; None checks nothing.
            code_challenge: By S256 (RFC 7636); the exchange must send the matching
                ``code_verifier``.
        """
        code = _token()
        grant = {"kind": "code", "scope": scope, "redirect_uri": redirect_uri}
        with self._store.lock:
            self._put(code, {**grant, "code_challenge": code_challenge})
            self._store.commit()
        return code

    def exchange(self, form: Mapping[str, str], now: float, lifetime: int) -> dict[str, Any]:
        """The answer to POST /oauth/token.

        Args:
            form: The form of the request.
            now: The time in epoch seconds.
            lifetime: Seconds for which the access token is valid.

        Raises:
            Refusal: 400 or 401 with an OAuth error.
        """
        known = secrets.compare_digest(form.get("client_id", "").encode(), CLIENT_ID.encode())
        if not known or not secrets.compare_digest(
            form.get("client_secret", "").encode(), CLIENT_SECRET.encode()
        ):
            raise _refusal(401, "invalid_client", "Client authentication failed.")
        with self._store.lock:
            if form.get("grant_type") == "authorization_code":
                grant = self._spend(form.get("code", ""), "code")
                bound = grant["redirect_uri"]
                if bound is not None and bound != form.get("redirect_uri"):
                    raise _refusal(400, "invalid_grant", "The redirect URI does not match.")
                challenge = grant.get("code_challenge")
                if challenge is not None and challenge != _s256(form.get("code_verifier", "")):
                    raise _refusal(400, "invalid_grant", "The code verifier does not match.")
                scope = grant["scope"]
            elif form.get("grant_type") == "refresh_token":
                scope = self._narrowed(form)
                old = self._spend(form.get("refresh_token", ""), "refresh")
                if old["access"] is not None:
                    self._drop(old["access"])
            else:
                raise _refusal(400, "unsupported_grant_type", "The grant type is not supported.")
            access, refresh = _token(), _token()
            self._put(access, {"kind": "access", "scope": scope, "expires_at": now + lifetime})
            self._put(refresh, {"kind": "refresh", "scope": scope, "access": access})
            self._store.commit()
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": lifetime,
            "refresh_token": refresh,
            "scope": " ".join([*ALWAYS_GRANTED, *(() if scope == EVERYTHING else scope.split())]),
            "created_at": int(now),
        }

    def scopes(self, access_token: str, now: float) -> frozenset[str] | None:
        """The scopes of an access token, with ``*`` for all; None if the token is not valid."""
        grant = self._store.tokens.get(access_token)
        if grant is None or grant["kind"] != "access" or now >= grant["expires_at"]:
            return None
        return frozenset((*ALWAYS_GRANTED, *grant["scope"].split()))

    def _narrowed(self, form: Mapping[str, str]) -> str:
        grant = self._store.tokens.get(form.get("refresh_token", ""))
        wanted = form.get("scope")
        if grant is None or not wanted:
            return "" if grant is None else str(grant["scope"])
        held = grant["scope"]
        if held != EVERYTHING and not {*held.split(), *ALWAYS_GRANTED}.issuperset(wanted.split()):
            raise _refusal(400, "invalid_scope", "The requested scope exceeds the granted one.")
        return wanted

    def _spend(self, token: str, kind: str) -> dict[str, Any]:
        grant = self._store.tokens.get(token)
        if grant is None or grant["kind"] != kind:
            raise _refusal(400, "invalid_grant", "The grant is invalid, expired or revoked.")
        self._drop(token)
        return grant

    def _put(self, token: str, grant: dict[str, Any]) -> None:
        self._store.tokens[token] = grant
        self._store.keep("tokens", token, grant)

    def _drop(self, token: str) -> None:
        if self._store.tokens.pop(token, None) is not None:
            self._store.keep("tokens", token, None)


def _token() -> str:
    return secrets.token_urlsafe(32)


def _s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refusal(status: int, error: str, description: str) -> Refusal:
    return Refusal(status, {"error": error, "error_description": description})
