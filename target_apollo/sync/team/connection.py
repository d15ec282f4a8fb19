"""The name that the ledger has for an Apollo team: its *connection*.

It is the team's id. Where Apollo does not tell it, the API key stands for the team: two teams never
have the same key. The ledger keeps only a digest of key and address, which takes a tenth of a
second to make and holds too few bits for the key to be read out of it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from target_apollo.apollo import EndpointForbidden, RequestRefused
from target_apollo.sync.exit import MISCONFIGURED, RunError

if TYPE_CHECKING:
    from target_apollo.apollo import ApolloClient
    from target_apollo.config.settings import Settings

#: The connection of all teams whose id Apollo did not tell, in ledgers of earlier releases.
UNTOLD = "unknown"

_ROUNDS = 200_000
_BYTES = 8
_TEAM_ID = re.compile(r"(?!unknown)[0-9A-Za-z_-]{1,64}")


def is_team_id(answered: str) -> bool:
    """Whether what Apollo answered can be a team's id: 24 hex digits, by all that is known."""
    return _TEAM_ID.fullmatch(answered) is not None


def connection_of_key(api_url: str, api_key: str) -> str:
    """The connection of a team whose id Apollo does not tell: one for each key and address."""
    address = urlsplit(api_url)
    salt = f"target-apollo\0{address.scheme}://{address.netloc}{address.path.rstrip('/')}".lower()
    digest = hashlib.pbkdf2_hmac(
        "sha256", api_key.strip().encode(), salt.encode(), _ROUNDS, dklen=_BYTES
    )
    return f"{UNTOLD}-{digest.hex()}"


def connection_of(client: ApolloClient, settings: Settings) -> str:
    """The connection of the team whose credentials these are: one GET /users/api_profile.

    `UNTOLD` where neither Apollo nor a key tells which team it is, as with OAuth tokens without the
    scope for that request.

    Raises:
        ApolloError: The credentials are refused, or Apollo can't be reached.
        RunError: There is no Apollo API at the address.
    """
    try:
        answered = client.profile().team_id
    except EndpointForbidden:
        answered = ""
    except RequestRefused as refusal:
        raise RunError(
            f"There is no Apollo API at the address in the setting api_url: it answers "
            f"{refusal.endpoint} with status {refusal.status}.",
            exit_code=MISCONFIGURED,
        ) from refusal
    if is_team_id(answered):
        return answered
    return connection_of_key(settings.api_url, settings.api_key) if settings.api_key else UNTOLD


def connection_of_run(client: ApolloClient, settings: Settings) -> str:
    """The connection of a run; the request for it also proves the credentials.

    With a wrong key ``GET /users/api_profile`` answers 401, while ``/auth/health`` does not. A key
    without access to its own profile can still be allowed to write; then the key stands for the
    team.

    Raises:
        ApolloError: The credentials are refused, or Apollo can't be reached.
        RunError: There is no Apollo API at the address; or there is a ledger, and with OAuth
            nothing tells which team's rows it has.
    """
    connection = connection_of(client, settings)
    if connection == UNTOLD and settings.ledger_url:
        # Tokens change, and teams may share an app: nothing stays that is one team's alone.
        raise RunError(
            "Apollo does not tell which team these OAuth tokens are for (GET "
            "/users/api_profile), so the ledger can't tell its rows from another team's. Give "
            "the app the scope read_user_profile and run `apollo-sync login`, or run without a "
            "ledger (an empty ledger_url).",
            exit_code=MISCONFIGURED,
        )
    return connection
