"""The table of docs/explanation/identity.md is that of `sync/identity/verdicts.py`."""

from __future__ import annotations

import re
from pathlib import Path

from target_apollo.model.rows import OnApolloDelete
from target_apollo.sync.identity.verdicts import (
    Address,
    Evidence,
    Holder,
    LinkedRecord,
    Name,
    Verdict,
    verdict_of,
)

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "identity.md").read_text(
    encoding="utf-8"
)
_L, _A, _H, _N = LinkedRecord, Address, Holder, Name

#: The row as the page tells it -> what is known of it then.
SITUATIONS = {
    "has a known key and the address that its record was last given": [
        Evidence(_L.THERE, _A.SAME, holder, name) for holder in _H for name in _N
    ],
    "has a known key and a new address that no record has; its name and the record's "
    "share a word": [Evidence(_L.THERE, _A.OTHER, _H.NOBODY, _N.SAME)],
    "exchanges its address with another row, and keeps its name": [
        Evidence(linked, _A.OTHER, _H.LEAVING, _N.SAME) for linked in (_L.THERE, _L.CLAIMED)
    ],
    "has a known key, a new address that no record has, and another name": [
        Evidence(linked, _A.OTHER, _H.NOBODY, _N.OTHER) for linked in (_L.THERE, _L.CLAIMED)
    ],
    "has a known key and the address of a record that belongs to no row": [
        Evidence(linked, _A.OTHER, _H.FREE, name)
        for linked in (_L.THERE, _L.CLAIMED)
        for name in _N
    ],
    "has a known key and the address of a record whose own row goes to another one, "
    "as where keys shift": [
        Evidence(linked, _A.OTHER, _H.FREE, name)
        for linked in (_L.THERE, _L.CLAIMED)
        for name in (_N.OTHER, _N.UNKNOWN)
    ],
    "has a known key and the address of a record that another row keeps": [
        Evidence(linked, _A.OTHER, _H.TAKEN, name)
        for linked in (_L.THERE, _L.CLAIMED)
        for name in _N
    ],
    "has an address that several records in Apollo have": [
        Evidence(linked, _A.OTHER, _H.SEVERAL, name) for linked in _L for name in _N
    ],
    "is linked to a record that was merged into another in Apollo": [
        Evidence(_L.DEAD, address, _H.FREE) for address in _A
    ],
    "is linked to a record that is gone from Apollo, has the address that it was last given, "
    "and nobody else has that": [Evidence(_L.DEAD, _A.SAME, _H.NOBODY, name) for name in _N],
    "is linked to a record that is gone from Apollo, and has a new address that nobody has": [
        Evidence(_L.DEAD, _A.OTHER, _H.NOBODY, name) for name in _N
    ],
    "has an unknown key": [Evidence(_L.NONE, address, _H.NOBODY) for address in _A],
    "has an unknown key, and the CRM id or `apollo_id` of one record with the address of another": [
        Evidence(_L.MATCHED, _A.OTHER, holder) for holder in (_H.FREE, _H.TAKEN)
    ],
    "has an unknown key, and an additional address of a record with another name and another "
    "first address": [Evidence(_L.MATCHED, _A.OTHER, _H.LINKED, _N.OTHER)],
    "has an unknown key and the CRM id of a record; nobody else has its address": [
        Evidence(_L.MATCHED, _A.OTHER, _H.NOBODY, name) for name in _N
    ],
}


def told() -> dict[str, str]:
    """The row -> its verdict, as the table has them."""
    section = PAGE.partition("\n## What happens to a row\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (.+?) \| `(\w+)` \|", section, re.MULTILINE)
    assert len(found) == len(dict(found))
    return dict(found)


def test_each_row_of_the_table_has_the_verdict_that_the_code_gives() -> None:
    assert told() == {
        row: verdict.value
        for row, known in SITUATIONS.items()
        for verdict in {verdict_of(evidence) for evidence in known}
    }


def test_each_situation_has_one_verdict() -> None:
    several = [row for row, known in SITUATIONS.items() if len({*map(verdict_of, known)}) > 1]
    assert several == []


def test_every_verdict_is_in_the_table() -> None:
    assert set(told().values()) == {verdict.value for verdict in Verdict}


def test_the_page_names_both_policies_for_deleted_records() -> None:
    assert f"on_apollo_delete: {OnApolloDelete.LEAVE.value}" in PAGE
    assert f"on_apollo_delete: {OnApolloDelete.RECREATE.value}" in PAGE
