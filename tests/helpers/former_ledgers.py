"""Ledgers as earlier versions had them, made of ones of the present."""

from __future__ import annotations

from collections.abc import Callable

#: Makes a ledger one of version 9, whose links are a table of texts.
TO_VERSION_9 = (
    "CREATE TABLE former_links AS SELECT * FROM apollo_links",
    "DROP VIEW apollo_links",
    "DROP TABLE apollo_row_links",
    "DROP TABLE apollo_scopes",
    "ALTER TABLE former_links RENAME TO apollo_links",
    "UPDATE apollo_ledger_version SET version = 9",
)


def make_version_9(run_sql: Callable[[str], object]) -> None:
    """Turns the links into texts again, as the view shows them."""
    for statement in TO_VERSION_9:
        run_sql(statement)
