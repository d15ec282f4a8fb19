"""The authorization request of a login, and the code in its answer. Pure, except for random values.

Sources: RFC 6749 section 4.1 (code and state), RFC 7636 (PKCE, S256), and Apollo's page for
partners: for a user without the permission, the answer has `status_code` and `error_message`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

_CODE = re.compile(r"[A-Za-z0-9_]{1,60}")


class NotThisLogin(Exception):
    """The answer belongs to another login: its state is not the one of this request."""


class NotGranted(Exception):
    """The user or Apollo refused consent. `reason`: a code such as ``access_denied``, or empty."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Authorization:
    """One request for consent; `state` and `verifier` are random secrets of this process."""

    authorize_url: str
    client_id: str
    redirect_uri: str
    scopes: Collection[str]
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def url(self) -> str:
        """The page to open. Apollo's page is in a URL fragment, so its parameters are, too."""
        parameters = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": " ".join(self.scopes),
            "state": self.state,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
        }
        return f"{self.authorize_url}?{urlencode(parameters)}"

    def code_in(self, address: str) -> str:
        """The code in the address to which the browser was sent back.

        Raises:
            NotGranted: There is no code because consent was refused.
            NotThisLogin: State or code is missing or wrong.
        """
        try:
            query = parse_qs(urlsplit(address).query)
        except ValueError:
            raise NotThisLogin from None
        sent = {name: values[0] for name, values in query.items()}
        # Apollo's refusals have no state. A forged refusal can do no more than end this login.
        if "code" not in sent and ("error" in sent or "status_code" in sent):
            raise NotGranted(_word(sent.get("error")) or _word(sent.get("status_code")))
        is_ours = secrets.compare_digest(
            sent.get("state", "").encode("utf-8", "surrogatepass"), self.state.encode()
        )
        if not is_ours or "code" not in sent:
            raise NotThisLogin
        return sent["code"]


def challenge_of(verifier: str) -> str:
    """PKCE's S256 challenge of a verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _word(text: str | None) -> str:
    return text if text and _CODE.fullmatch(text) else ""
