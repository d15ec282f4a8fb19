"""The demo's plan of an enrolment: whom would a sequence write to? Nobody is enrolled."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

from target_apollo.demo.sandbox import API_KEY, RunningSandbox
from target_apollo.target.target import TargetApollo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SEQUENCE, MAILBOX = "Spring launch", "rep@sandbox.example"
_PROPERTIES = {name: {"type": "string"} for name in ("sequence", "email", "mailbox")}


def plan_enrolment(
    folder: Path, sandbox: RunningSandbox, ledger_url: str, emails: Sequence[str]
) -> dict[str, Any]:
    """Plan to enrol the contacts with these addresses, and return the plan's summary.

    Raises:
        SandboxError: The sandbox did not answer.
    """
    sandbox.seed(sequences=[{"name": SEQUENCE}], email_accounts=[{"email": MAILBOX}])
    rows = [{"sequence": SEQUENCE, "email": email, "mailbox": MAILBOX} for email in emails]
    messages = [
        {
            "type": "SCHEMA",
            "stream": "sequence_members",
            "schema": {"properties": _PROPERTIES},
            "key_properties": ["sequence", "email"],
        },
        *({"type": "RECORD", "stream": "sequence_members", "record": row} for row in rows),
    ]
    summary = folder / "enrolment.json"
    settings = {
        "api_key": API_KEY,
        "api_url": sandbox.api_url,
        "ledger_url": ledger_url,
        "rejects_path": str(folder / "enrolment-rejects.singer"),
        "summary_path": str(summary),
        "allow_sequences": [SEQUENCE],
        "dry_run": True,
    }
    lines = "".join(f"{json.dumps(one)}\n" for one in messages).encode()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        TargetApollo(config=settings).sync(io.BytesIO(lines))
    found: dict[str, Any] = json.loads(summary.read_text(encoding="utf-8"))
    return found
