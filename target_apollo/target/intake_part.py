"""Why a record is rejected before it reaches a row: by its line, its schema or its width. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from singer_sdk.exceptions import (
    InvalidRecord,
    MapExpressionError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
)

from target_apollo.model.outcomes import Reason, Rejection

#: A wider record is no contact and no account; each of its properties would be looked up.
MOST_PROPERTIES = 10_000

_REASONS: Mapping[type[Exception], Reason] = {
    InvalidRecord: Reason.SCHEMA_MISMATCH,
    MissingKeyPropertiesError: Reason.MISSING_KEY_PROPERTY,
    RecordsWithoutSchemaException: Reason.NO_SCHEMA,
    MapExpressionError: Reason.STREAM_MAP,
}


def rejection_of(problem: Exception, stream: str, key_properties: Sequence[str]) -> Rejection:
    """The rejection for one of the SDK's exceptions about a record (`ending.RECORD_ERRORS`)."""
    reason = next(reason for kind, reason in _REASONS.items() if isinstance(problem, kind))
    detail = {
        Reason.MISSING_KEY_PROPERTY: f"it lacks a key property: {', '.join(key_properties)}",
        Reason.NO_SCHEMA: f"it came before the SCHEMA of stream '{stream}'",
        Reason.STREAM_MAP: "a stream map can't be applied to it (setting stream_maps)",
    }.get(reason, str(problem.args[0] if problem.args else problem))
    return Rejection(reason, detail)


def too_wide(record: Mapping[str, object]) -> Rejection | None:
    """A rejection for a record of more than `MOST_PROPERTIES` properties."""
    if len(record) <= MOST_PROPERTIES:
        return None
    return Rejection(
        Reason.TOO_MANY_PROPERTIES,
        f"it has {len(record)} properties, and at most {MOST_PROPERTIES} are read",
    )
