"""The view ``apollo_links``: the links as texts, for people who look into the ledger.

Nothing here reads it. Ledgers before version 10 have a table of this name, with the same columns.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from target_apollo.ledger.link_status import STATUS_NUMBERS

_VIEW = """
CREATE VIEW apollo_links AS SELECT
    scopes.stream, {source_key} AS source_key, scopes.connection, scopes.object, scopes.source,
    {apollo_id} AS apollo_id, {payload_hash} AS payload_hash, {status} AS status,
    {first_synced_at} AS first_synced_at, {last_synced_at} AS last_synced_at, links.error,
    {run_id} AS run_id, {match_hash} AS match_hash, {apollo_updated_at} AS apollo_updated_at,
    {changed_at} AS changed_at, {row_hash} AS row_hash, links.single_hashes
FROM apollo_row_links AS links JOIN apollo_scopes AS scopes ON scopes.number = links.scope
"""

_TEXTS = (
    "source_key",
    "apollo_id",
    "payload_hash",
    "run_id",
    "match_hash",
    "apollo_updated_at",
    "row_hash",
)
_TIMES = ("first_synced_at", "last_synced_at", "changed_at")

#: What a database calls a byte, the hex digits of bytes, the text of bytes, and a moment.
_SPELLINGS = {
    "sqlite": (
        "x'{:02x}'",
        "lower(hex({}))",
        "CAST({} AS TEXT)",
        "strftime('%Y-%m-%d %H:%M:%S', {0} / 1000000, 'unixepoch')"
        " || printf('.%06d', {0} % 1000000)",
    ),
    "postgresql": (
        "'\\x{:02x}'::bytea",
        "encode({}, 'hex')",
        "convert_from({}, 'UTF8')",
        "timestamptz 'epoch' + {} * interval '1 microsecond'",
    ),
}


def create_view(database: Connection) -> None:
    """Create the view, in place of an earlier one."""
    byte, as_hex, as_text, as_time = _SPELLINGS[database.dialect.name]

    def spelled(name: str) -> str:
        """The text of a packed column; the shapes are those of `packed`."""
        column = f"links.{name}"

        def digits(first: int, count: int) -> str:
            return f"substr({as_hex.format(column)}, {first + 2}, {count})"

        rest = f"substr({column}, 2)"
        uuid = " || '-' || ".join(
            digits(first, count) for first, count in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        )
        time = (
            f"{digits(2, 4)} || '-' || {digits(6, 2)} || '-' || {digits(8, 2)} || 'T' || "
            f"{digits(10, 2)} || ':' || {digits(12, 2)} || ':' || {digits(14, 2)} || '.' || "
            f"{digits(16, 3)} || 'Z'"
        )
        shapes = (
            as_hex.format(rest),
            f"'sha256:' || {as_hex.format(rest)}",
            as_text.format(rest),
            f"""'"' || {uuid} || '"'""",
            time,
        )
        cases = " ".join(
            f"WHEN {byte.format(number)} THEN {shape}" for number, shape in enumerate(shapes)
        )
        return f"CASE substr({column}, 1, 1) {cases} ELSE {as_text.format(column)} END"

    statuses = " ".join(f"WHEN {n} THEN '{one.value}'" for one, n in STATUS_NUMBERS.items())
    first = "coalesce(links.first_synced_at, links.last_synced_at)"
    moments = {"first_synced_at": first}
    view = _VIEW.format(
        status=f"CASE links.status {statuses} END",
        **{name: spelled(name) for name in _TEXTS},
        **{name: as_time.format(moments.get(name, f"links.{name}")) for name in _TIMES},
    )
    database.execute(text("DROP VIEW IF EXISTS apollo_links"))
    database.exec_driver_sql(view)
