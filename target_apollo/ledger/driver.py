"""Statements for many rows, without SQLAlchemy's work for each of them.

SQLAlchemy spells the statement, once per database; rows then go to the driver as tuples. Its own
way costs several times what SQLite needs to find or write a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect

from target_apollo.ledger.tables import UtcTime

KEYS = "KEYS"
"""Stands in a statement, as a bare column, for a list of values."""

_MOMENTS_REMEMBERED = 1000


class ManyRows:
    """A statement whose parameters are tuples, in the order of ``columns``."""

    def __init__(self, columns: Sequence[str], of_dialect: Callable[[str], Any]) -> None:
        """``of_dialect`` gives the statement for ``sqlite`` or ``postgresql``."""
        self._columns = list(columns)
        self._of_dialect = of_dialect
        self._texts: dict[str, str] = {}

    def execute(self, database: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Run the statement for every row; no row is no work."""
        if rows:
            database.exec_driver_sql(self._text(database.dialect), rows)

    def find(
        self, database: Connection, values: tuple[Any, ...], keys: Sequence[str]
    ) -> Sequence[Any]:
        """Run a query with ``values``, then ``keys`` in the place of `KEYS`, and give its rows."""
        rows: Sequence[Any] = self._with_keys(database, values, keys).cursor.fetchall()
        return rows

    def change(self, database: Connection, values: tuple[Any, ...], keys: Sequence[str]) -> None:
        """Run a change with ``values``, then ``keys`` in the place of `KEYS`."""
        self._with_keys(database, values, keys)

    def _with_keys(self, database: Connection, values: tuple[Any, ...], keys: Sequence[str]) -> Any:
        mark = "?" if database.dialect.name == "sqlite" else "%s"
        text = self._text(database.dialect).replace(KEYS, ", ".join([mark] * len(keys)))
        return database.exec_driver_sql(text, (*values, *keys))

    def _text(self, dialect: Dialect) -> str:
        if dialect.name not in self._texts:
            style = "qmark" if dialect.name == "sqlite" else "format"
            spelling: Any = type(dialect)
            compiled = self._of_dialect(dialect.name).compile(
                dialect=spelling(paramstyle=style), column_keys=self._columns
            )
            if list(compiled.positiontup) != self._columns:
                raise AssertionError(f"the statement takes {compiled.positiontup}")
            self._texts[dialect.name] = str(compiled)
        return self._texts[dialect.name]


@lru_cache(maxsize=8)
def moments(
    dialect: Dialect,
) -> tuple[Callable[[datetime | None], Any], Callable[[Any], datetime | None]]:
    """How a database's driver takes a moment, and how it gives one back.

    Thousands of rows have the moment of one flush or one run, so most are converted once.
    """
    column = UtcTime().dialect_impl(dialect)
    return (
        lru_cache(_MOMENTS_REMEMBERED)(column.bind_processor(dialect) or as_it_is),
        lru_cache(_MOMENTS_REMEMBERED)(column.result_processor(dialect, None) or as_it_is),
    )


def as_it_is(value: Any) -> Any:
    """For values that need no conversion."""
    return value
