"""The table of the demo that is mirrored in a list: who is to be called this week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
