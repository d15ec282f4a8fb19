"""What can become of a record: exactly one outcome, and a reason where it was not written."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Outcome(enum.Enum):
    """The end of a record. Every record that was read reaches exactly one of them.

    ``received -> created | updated | unchanged | existing | skipped | rejected``; there is no way
    from one outcome to another.
    """

    CREATED = "created"
    UPDATED = "updated"
    #: Apollo held these very values; no request was sent to write them.
    UNCHANGED = "unchanged"
    #: Mode insert: Apollo had the record already and it was left alone.
    EXISTING = "existing"
    #: A stream map left it out, or a later record of its source key in the flush took its place.
    SKIPPED = "skipped"
    REJECTED = "rejected"

    # Every record is counted by its outcome; an enum's own form takes a call of Python code.
    __hash__ = object.__hash__


class Reason(enum.Enum):
    """Why a record was rejected. The value stands in the rejects file and in the summary."""

    UNREADABLE = "unreadable_line"
    TOO_LONG = "line_too_long"
    TOO_MANY_PROPERTIES = "too_many_properties"
    NO_SCHEMA = "no_schema"
    STREAM_MAP = "stream_map"
    SCHEMA_MISMATCH = "schema_mismatch"
    MISSING_KEY_PROPERTY = "missing_key_property"
    MISSING_EMAIL = "missing_email"
    MALFORMED_EMAIL = "malformed_email"
    MISSING_DOMAIN = "missing_domain"
    MALFORMED_DOMAIN = "malformed_domain"
    MALFORMED_ID = "malformed_id"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_NAME = "unknown_name"
    UPDATE_NEEDS_ID = "update_needs_id"
    IDENTITY_CONFLICT = "identity_conflict"
    REFUSED = "refused_by_apollo"
    CUSTOM_FIELD_REFUSED = "custom_field_refused"
    DELETED = "deleted_in_apollo"
    GONE = "gone_from_apollo"
    NOT_CONFIRMED = "not_confirmed"


@dataclass(frozen=True)
class Rejection:
    """Why one record was not written, in the terms of the rejects file.

    ``detail`` is a sentence for the person who mends the record. It stays free of values, except
    for ids, so that it can be logged. ``apollo_message`` is Apollo's own text, which can quote the
    record: it goes into the rejects file only.
    """

    reason: Reason
    detail: str
    status: int | None = None
    endpoint: str | None = None
    attempts: int = 0
    apollo_message: str = ""


class RecordError(Exception):
    """A record can't be written as it is; carries the `Rejection`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.rejection = Rejection(reason, detail)
