"""Who asks, and may they: API keys with their endpoints, access tokens with their scopes."""

from __future__ import annotations

from target_apollo.sandbox import errors
from target_apollo.sandbox.http import Request
from target_apollo.sandbox.oauth import EVERYTHING
from target_apollo.sandbox.state import Sandbox


def admit(sandbox: Sandbox, request: Request, entry: str, scope: str) -> None:
    """Raise Refusal: 401 without valid credentials, 403 where they do not reach this endpoint."""
    bearer = _bearer(request)
    if bearer:
        held = sandbox.oauth.scopes(bearer, request.at)
        if held is None:
            raise errors.invalid_token()
        if EVERYTHING not in held and scope not in held:
            raise errors.token_not_allowed(entry)
        return
    # A key in the URL, which old clients sent, opens nothing.
    key = request.headers.get("x-api-key", "")
    keys = sandbox.options.api_keys
    if key not in keys:
        raise errors.invalid_key()
    allowed = keys[key]
    if allowed is not None and entry not in allowed:
        raise errors.key_not_allowed(entry)


def is_known(sandbox: Sandbox, request: Request) -> bool:
    """Say whether the credentials are good, whatever they may do."""
    bearer = _bearer(request)
    if bearer:
        return sandbox.oauth.scopes(bearer, request.at) is not None
    return request.headers.get("x-api-key", "") in sandbox.options.api_keys


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
