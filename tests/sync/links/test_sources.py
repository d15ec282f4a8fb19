"""Which links of another source, or of none, belong to the rows of a run."""

from __future__ import annotations

from typing import Any

from target_apollo.ledger import Link, LinkStatus, match_hash
from target_apollo.model.rows import Row
from target_apollo.sync.links.sources import links_of_source

OTHER = "nobody@example.com"


def row(number: int) -> Row:
    return Row(number, (number,), f"p{number}@example.com", {})


def link(of: Row, address: str | None = None, **own: Any) -> Link:
    hashed = match_hash(address or of.match_key or "")
    return Link(
        str(of.number), "a" * 24, "written", LinkStatus.UPDATED, None, None, None, None,
        **{"match_hash": hashed, **own},
    )  # fmt: skip


def test_a_link_without_a_source_joins_that_of_the_run_if_it_has_the_address_of_its_row() -> None:
    found = links_of_source([row(1)], [link(row(1))], ["other"], "crm")
    assert [one and one.source for one in found.used] == ["crm"]
    assert (found.joined, found.unused) == ({"1": ""}, {})


def test_a_link_with_the_values_of_its_row_joins_whatever_its_address() -> None:
    found = links_of_source([row(1)], [link(row(1), OTHER)], ["written"], "crm")
    assert found.joined == {"1": ""}


def test_a_link_of_a_stranger_with_the_same_key_is_not_used() -> None:
    strange = link(row(1), OTHER, source="shop")
    found = links_of_source([row(1), row(2)], [strange, None], ["other", "other"], "crm")
    assert (found.used, found.joined) == ([None, None], {})
    assert found.unused == {"1": strange}


def test_where_most_links_fit_the_others_are_of_rows_with_a_new_address() -> None:
    rows = [row(1), row(2), row(3)]
    links = [link(rows[0]), link(rows[1]), link(rows[2], OTHER)]
    found = links_of_source(rows, links, ["other"] * 3, "crm")
    assert found.joined == {"1": "", "2": "", "3": ""}


def test_a_run_without_a_source_leaves_the_links_theirs() -> None:
    used = link(row(1), source="crm")
    found = links_of_source([row(1)], [used], ["other"], "")
    assert (found.used, found.joined) == ([used], {"1": "crm"})
