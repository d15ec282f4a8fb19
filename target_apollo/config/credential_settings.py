"""The settings that say who we are to Apollo: a key, or OAuth 2.0. Their schema and their rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singer_sdk import typing as th

from target_apollo.apollo import check_api_url

PROPERTIES: tuple[th.Property[Any], ...] = (
    th.Property(
        "api_key",
        th.StringType,
        secret=True,
        description="Apollo API key, sent in the header `x-api-key` and nowhere else. Either this "
        "or the settings of OAuth 2.0 must be given.",
    ),
    th.Property(
        "client_id",
        th.StringType,
        description="OAuth 2.0 instead of a key: the app's client id.",
    ),
    th.Property(
        "client_secret",
        th.StringType,
        secret=True,
        description="OAuth 2.0: the app's client secret, sent to `oauth_token_url` only.",
    ),
    th.Property(
        "refresh_token",
        th.StringType,
        secret=True,
        description="OAuth 2.0: a refresh token to begin with; not needed after `apollo-sync "
        "login`. It works once: what it is exchanged for is kept in `token_path`, and goes before "
        "this setting until the setting changes.",
    ),
    th.Property(
        "oauth_token_url",
        th.StringType,
        default="https://app.apollo.io/api/v1/oauth/token",
        description="OAuth 2.0: where tokens are renewed. Plain http is refused except for this "
        "machine.",
    ),
    th.Property(
        "token_path",
        th.StringType,
        default=".target-apollo/token.json",
        description="OAuth 2.0: file with the present tokens (mode 0600), shared by all runs of "
        "these settings.",
    ),
)
_OAUTH = ("client_id", "client_secret", "refresh_token")


def credential_problems(config: Mapping[str, Any]) -> list[str]:
    """A sentence where a config has no credentials, two kinds of them, or half of one.

    An empty setting counts as none: environment variables that are not filled in are empty. That
    there is a refresh token, in the settings or in the token file, shows only later.
    """
    problems = []
    oauth = [name for name in _OAUTH if config.get(name)]
    if config.get("api_key"):
        if oauth:
            problems.append(
                f"The settings api_key and {', '.join(oauth)} exclude each other: give the key, or "
                "client_id, client_secret and refresh_token for OAuth 2.0."
            )
    elif not oauth:
        problems.append(
            "The setting 'api_key' is missing: give it, or client_id, client_secret and "
            "refresh_token for OAuth 2.0."
        )
    else:
        problems += [
            f"The setting '{name}' is missing: {oauth[0]} is given, and OAuth 2.0 needs client_id "
            "and client_secret."
            for name in ("client_id", "client_secret")
            if name not in oauth
        ]
    url = config.get("oauth_token_url")
    if isinstance(url, str):
        try:
            check_api_url(url, setting="oauth_token_url")
        except ValueError as problem:
            problems.append(str(problem))
    return problems
