"""Writes the tables of the reference from the code: ``python -m docs.tools.reference``.

A page has a place for a table between two comments with the table's name. Run it after a change of
a setting, field, outcome, reason, rule, endpoint or command; a test fails while a page is out of
date.
"""

from __future__ import annotations

from pathlib import Path

from docs.tools.commands_tables import commands_table, options_table
from docs.tools.endpoints_table import endpoints_table
from docs.tools.fields_tables import (
    accounts_table,
    columns_table,
    contacts_table,
    objects_table,
)
from docs.tools.markdown import Tables, with_tables
from docs.tools.outcomes_tables import exits_table, outcomes_table, reasons_table
from docs.tools.settings_table import rules_table, settings_table

TABLES: Tables = {
    "settings": settings_table,
    "rules": rules_table,
    "contacts": contacts_table,
    "accounts": accounts_table,
    "objects": objects_table,
    "columns": columns_table,
    "outcomes": outcomes_table,
    "reasons": reasons_table,
    "exits": exits_table,
    "endpoints": endpoints_table,
    "commands": commands_table,
    "options": options_table,
}
FOLDER = Path("docs/reference")


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        path.write_text(with_tables(page, TABLES), encoding="utf-8")
