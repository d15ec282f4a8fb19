"""The table ``apollo_runs``: when a run began and ended, and what it counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Connection,
    insert,
    select,
    update,
)

from target_apollo.ledger.keys import without_addresses
from target_apollo.ledger.tables import apollo_runs


@dataclass(frozen=True)
class Run:
    """A run as the ledger knows it; a killed run has no ``finished_at``."""

    run_id: str
    #: Apollo team id.
    connection: str
    streams: tuple[str, ...]
    mode: str
    #: Aware, UTC.
    started_at: datetime
    finished_at: datetime | None
    #: Outcome -> rows; empty until the run has ended.
    counts: Mapping[str, int]
    exit_code: int | None
    #: Why it ended early; ``None`` for a run that came to its end.
    reason: str | None


def save_start(database: Connection, run: Run) -> None:
    """Insert a run; one that is there already gets the new streams and mode."""
    known = update(apollo_runs).where(apollo_runs.c.run_id == run.run_id)
    renewed = database.execute(known.values(streams=list(run.streams), mode=run.mode))
    if renewed.rowcount == 0:
        database.execute(
            insert(apollo_runs).values(
                run_id=run.run_id,
                connection=run.connection,
                streams=list(run.streams),
                mode=run.mode,
                started_at=run.started_at,
            )
        )


def save_end(
    database: Connection,
    run_id: str,
    counts: Mapping[str, int],
    exit_code: int,
    reason: str | None,
    finished_at: datetime,
) -> None:
    """Write a run's end into its row."""
    database.execute(
        update(apollo_runs)
        .where(apollo_runs.c.run_id == run_id)
        .values(
            counts=dict(counts),
            exit_code=exit_code,
            reason=None if reason is None else without_addresses(reason),
            finished_at=finished_at,
        )
    )


def latest(database: Connection, limit: int) -> Sequence[Run]:
    """Give the latest runs, the newest first."""
    runs = apollo_runs.c
    found = database.execute(
        select(apollo_runs).order_by(runs.started_at.desc(), runs.run_id.desc()).limit(limit)
    )
    return [
        Run(
            run_id=row.run_id,
            connection=row.connection,
            streams=tuple(row.streams),
            mode=row.mode,
            started_at=row.started_at,
            finished_at=row.finished_at,
            counts=row.counts or {},
            exit_code=row.exit_code,
            reason=row.reason,
        )
        for row in found
    ]
