"""The name that the ledger has for an Apollo team: its *connection*.

It is the team's id. Where Apollo does not tell it, the API key stands for the team: two teams never
have the same key. The ledger keeps only a digest of key and address, which takes a tenth of a
second to make and holds too few bits for the key to be read out of it.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

#: The connection in ledgers of earlier releases, for all teams that were not told.
UNTOLD = "unknown"

_ROUNDS = 200_000
_BYTES = 8
_TEAM_ID = re.compile(r"(?!unknown)[0-9A-Za-z_-]{1,64}")


def is_team_id(answered: str) -> bool:
    """Whether what Apollo answered can be a team's id: 24 hex digits, by all that is known."""
    return _TEAM_ID.fullmatch(answered) is not None


def connection_of_key(api_url: str, api_key: str) -> str:
    """The connection of a team that Apollo does not tell: the same for the same key and address."""
    address = urlsplit(api_url)
    salt = f"target-apollo\0{address.scheme}://{address.netloc}{address.path.rstrip('/')}".lower()
    digest = hashlib.pbkdf2_hmac(
        "sha256", api_key.strip().encode(), salt.encode(), _ROUNDS, dklen=_BYTES
    )
    return f"{UNTOLD}-{digest.hex()}"
