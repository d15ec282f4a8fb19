"""The outcomes of records, and the reasons why records are rejected."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Outcome(enum.Enum):
    """What became of a record. Every record that was read gets exactly one outcome.

    ``received -> created | updated | unchanged | existing | skipped | rejected``. An outcome never
    changes into another.
    """

    CREATED = "created"
    UPDATED = "updated"
    #: Apollo has these values already; no request was sent to write them.
    UNCHANGED = "unchanged"
    #: Mode insert: Apollo has the record already, and it stays as it is.
    EXISTING = "existing"
    #: A stream map dropped it, or a later record with its source key replaced it in the batch.
    SKIPPED = "skipped"
    REJECTED = "rejected"

    # Faster than Enum's own __hash__, which is Python code and called for every record.
    __hash__ = object.__hash__


class Reason(enum.Enum):
    """Why a record was rejected. The rejects file and the summary have the value."""

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
    MISSING_MATCH_KEY = "missing_match_key"
    MISSING_VALUE = "missing_value"
    MALFORMED_DOMAIN = "malformed_domain"
    SHARED_DOMAIN = "shared_domain"
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
    #: Nothing tells whether an earlier request has made the record.
    OUTCOME_UNKNOWN = "outcome_unknown"
    SEQUENCE_NOT_ALLOWED = "sequence_not_allowed"
    INACTIVE = "inactive_in_apollo"
    PROTECTED_STAGE = "protected_stage"
    NOT_ENROLLED = "not_enrolled"
    ENROLMENT_WAITS = "enrolment_waits"


@dataclass(frozen=True)
class Rejection:
    """Why one record was not written, as in the rejects file.

    ``detail`` is a sentence for the person who mends the record. It shows no values except ids, so
    it can be logged. ``apollo_message`` is Apollo's own text, which can quote the record: only the
    rejects file has it.
    """

    reason: Reason
    detail: str
    status: int | None = None
    endpoint: str | None = None
    attempts: int = 0
    apollo_message: str = ""


class RecordError(Exception):
    """A record can't be written as it is; `rejection` says why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.rejection = Rejection(reason, detail)
