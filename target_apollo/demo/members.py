"""Members in the demo: a table that a list mirrors, and whom a sequence would write to.

Nobody is enrolled: sequences send e-mail, so the demo only plans it.
"""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from target_apollo.demo.sandbox import API_KEY, RunningSandbox
from target_apollo.target.target import TargetApollo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

LIST = "Call this week"
#: The settings with which the table is synced.
SETTINGS = {"TARGET_APOLLO_STREAMS": '{"crm-list_members": {"mode": "mirror"}}'}


@dataclass(frozen=True)
class Members:
    """E-mail addresses: who is in the table at first, after the changes, and on no row ever."""

    first: frozenset[str]
    then: frozenset[str]
    by_hand: str


def fill_list(url: str, emails: Sequence[str]) -> Members:
    """Create ``crm.list_members``, and put twelve of these contacts into it."""
    first, later, by_hand = emails[:12], emails[9:14], emails[14]
    with psycopg.connect(url) as connection:
        connection.execute(
            "create table crm.list_members (id bigint primary key, list text, email text)"
        )
        _insert(connection, enumerate(first, 1))
    return Members(frozenset(first), frozenset(later), by_hand)


def change_list(url: str, members: Members) -> None:
    """Take rows out of the table and put others in."""
    with psycopg.connect(url) as connection:
        gone = list(members.first - members.then)
        connection.execute("delete from crm.list_members where email = any(%s)", [gone])
        _insert(connection, enumerate(sorted(members.then - members.first), 100))


def _insert(connection: psycopg.Connection, rows: Iterable[tuple[int, str]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into crm.list_members values (%s, %s, %s)",
            [(key, LIST, email) for key, email in rows],
        )


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
