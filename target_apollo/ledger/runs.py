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

from target_apollo.ledger.database_errors import UnreadableValue, moment_of, number_of, text_of
from target_apollo.ledger.tables import apollo_runs
from target_apollo.ledger.values import without_addresses


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
            run_id=text_of(row.run_id, "the id of a run"),
            connection=text_of(row.connection, "the team of a run"),
            streams=_streams(row.streams),
            mode=text_of(row.mode, "the mode of a run"),
            started_at=moment_of(row.started_at, "the start of a run"),
            finished_at=row.finished_at,
            counts=_counts(row.counts),
            exit_code=None if row.exit_code is None else number_of(row.exit_code, "an exit code"),
            reason=None if row.reason is None else text_of(row.reason, "the reason of a run"),
        )
        for row in found
    ]


def _streams(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UnreadableValue("the streams of a run are no list")
    return tuple(text_of(one, "a stream of a run") for one in value)


def _counts(value: object) -> dict[str, int]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnreadableValue("the counts of a run are none")
    return {name: number_of(count, "a count of a run") for name, count in value.items()}
