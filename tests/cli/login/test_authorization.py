"""The request for consent, and the code that answers it."""

from __future__ import annotations

import pytest

from target_apollo.cli.login.authorization import (
    Authorization,
    NotGranted,
    NotThisLogin,
    challenge_of,
)
from tests.helpers.started_login import AUTHORIZE


def test_the_challenge_is_the_one_of_the_standard() -> None:
    # RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_request_for_consent_hides_its_secrets_when_printed() -> None:
    asked = Authorization(AUTHORIZE, "id", "http://127.0.0.1:1/callback", ["a"])
    assert asked.state not in repr(asked)
    assert asked.verifier not in repr(asked)
    assert asked.verifier not in asked.url


def test_a_code_counts_with_its_state_only() -> None:
    asked = Authorization(AUTHORIZE, "id", "http://127.0.0.1:1/callback", ["a"], state="s")
    assert asked.code_in("/callback?code=c&state=s") == "c"
    for wrong in ("?code=c", "?code=c&state=x", "?code=c&state=", "?state=s", "", "?code=&state=s"):
        with pytest.raises(NotThisLogin):
            asked.code_in(f"/callback{wrong}")
    with pytest.raises(NotGranted):
        asked.code_in("/callback?error=access_denied")
