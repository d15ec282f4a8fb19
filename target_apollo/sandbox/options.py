"""What a sandbox can be told to be: its plan, its keys, and how it answers where Apollo is silent.

Apollo's reference leaves a number of behaviours open. Each of them is a switch here, so that a
client can be tried against every Apollo that the reference allows.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

from target_apollo.sandbox.rate_windows import PLANS, Limits, Plan, Schedule


class AlikeInBatch(str, enum.Enum):
    """Two records of one bulk_create with run_dedupe that match each other."""

    BOTH_CREATED = "both_created"
    SECOND_EXISTING = "second_existing"
    SECOND_DROPPED = "second_dropped"


class BulkFailure(str, enum.Enum):
    """What a bulk request that is refused with 422 has written."""

    NOTHING_WRITTEN = "nothing_written"
    GOOD_BEFORE_WRITTEN = "good_before_written"


class InvalidEmail(str, enum.Enum):
    """A malformed e-mail address in a create or a single update."""

    IGNORED = "ignored"  # the record is written without it
    ACCEPTED = "accepted"  # it is stored as it came
    REFUSED = "refused"  # 422 for the whole request
    DROPPED = "dropped"  # bulk_create: the record is neither written nor answered


class BulkAnswers(str, enum.Enum):
    """The records in bulk answers: whole objects, or the few fields of the reference's examples."""

    FULL = "full"
    DOCUMENTED = "documented"


class CustomFieldErrors(str, enum.Enum):
    """How a custom field's value that does not fit its type is reported in the record."""

    MAPPING = "mapping"  # {"<field id>": "<message>"}
    LIST = "list"  # [{"field_id": …, "message": …}]
    SILENT = "silent"  # {}


class UnknownId(str, enum.Enum):
    """A well-formed id that no record has, on an update."""

    UNPROCESSABLE = "unprocessable"  # 422
    NOT_FOUND = "not_found"  # 404


class PutAccounts(str, enum.Enum):
    """PUT /accounts/{id}, which Apollo documented before PATCH."""

    NOT_FOUND = "not_found"
    NOT_ALLOWED = "not_allowed"
    ACCEPTED = "accepted"


class RetryAfter(str, enum.Enum):
    """The retry-after header of a 429."""

    SECONDS = "seconds"
    HTTP_DATE = "http_date"
    MISSING = "missing"


class ClearedBy(str, enum.Enum):
    """Which value empties a field on an update; the other one is ignored."""

    BOTH = "both"
    EMPTY_STRING = "empty_string"
    NULL = "null"


DEFAULT_KEY = "sandbox"


@dataclasses.dataclass(frozen=True)
class SandboxOptions:
    """Options of a sandbox; ``POST /_sandbox/options`` changes them while it runs."""

    strict: bool = False
    """Refuse with 422 what Apollo ignores silently: unknown fields, query parameters, field ids."""

    api_keys: Mapping[str, Sequence[str] | None] = dataclasses.field(
        default_factory=lambda: {DEFAULT_KEY: None}
    )
    """Key -> the endpoints it may call (such as ``api/v1/contacts/create``); None: all of them."""

    store: str | None = None
    """Path of the SQLite file that holds the state; None keeps it in memory."""

    seed: int = 0
    """Seed of every random choice (shuffled answers)."""

    plan: Plan = Plan.BASIC
    """Whose rate limits apply."""

    minute_limit: int | None = None
    """Requests a minute and endpoint, instead of the plan's."""

    hour_limit: int | None = None
    """Requests an hour and endpoint, instead of the plan's."""

    day_limit: int | None = None
    """Requests a day and endpoint, instead of the plan's."""

    minute_seconds: float = 60.0
    """Length of the minute window, in seconds; a test can have a short minute."""

    hour_seconds: float = 3600.0
    """Length of the hour window, in seconds."""

    day_seconds: float = 86400.0
    """Length of the day window, in seconds."""

    shuffle_answers: bool = False
    """Answer the records of a bulk request in another order than they were sent."""

    alike_in_batch: AlikeInBatch = AlikeInBatch.SECOND_EXISTING
    """What happens to two records of one bulk_create with run_dedupe that match each other."""

    labels_touch_existing: bool = True
    """append_label_names of a bulk_create also reaches the records that existed."""

    owner_touches_existing: bool = False
    """owner_id of a bulk_create also reaches the contacts that existed."""

    bulk_failure: BulkFailure = BulkFailure.NOTHING_WRITTEN
    """What a bulk request that is refused with 422 has written."""

    invalid_email: InvalidEmail = InvalidEmail.IGNORED
    """What becomes of a malformed e-mail address (bulk_update always answers 422)."""

    bulk_answers: BulkAnswers = BulkAnswers.FULL
    """Whole objects in bulk answers, or the fields which the reference lists."""

    custom_field_errors: CustomFieldErrors = CustomFieldErrors.MAPPING
    """How a value that does not fit its custom field is reported; it is not stored."""

    custom_values_must_be_strings: bool = False
    """Answer 422 to custom field values that are no strings, instead of converting them."""

    unknown_id: UnknownId = UnknownId.UNPROCESSABLE
    """Status for an update of an id that no record has."""

    bad_id_names_value: bool = True
    """The 422 for a bad id names the id; else it says nothing useful."""

    rewrites_linkedin: bool = False
    """Profile addresses come back as ``http://www.linkedin.com/in/…``, however they were sent."""

    put_accounts: PutAccounts = PutAccounts.NOT_FOUND
    """What PUT /accounts/{id} is answered."""

    search_lag_seconds: float = 0.0
    """A new record is found by a search only so long after it was written."""

    retry_after: RetryAfter = RetryAfter.SECONDS
    """The form of retry-after in a 429."""

    gzip_answers: bool = True
    """Pack answers of 1 kB and more with gzip for clients that take it, as Apollo's edge does."""

    server_error_html: bool = False
    """5xx answers carry an HTML page instead of JSON."""

    max_contacts: int | None = None
    """Contacts that the plan may store; creating more is answered with 422."""

    single_takes_owner: bool = False
    """POST and PATCH of one contact obey an owner_id, which they do not document."""

    bulk_update_takes_stage: bool = False
    """contacts/bulk_update obeys a contact_stage_id: its prose mentions it, its schema does not."""

    bulk_update_limit: int = 1000
    """Most records in a bulk_update; whether exactly 1000 pass is documented both ways."""

    cleared_by: ClearedBy = ClearedBy.BOTH
    """Which of null and the empty string empties a field on an update."""

    access_token_seconds: int = 2_592_000
    """Life of an OAuth access token."""

    keep_requests: int = 5_000
    """Requests that the log keeps; the counts go on beyond it."""

    def __post_init__(self) -> None:
        """Take enums by their values too, so that ``plan="free"`` means what it says."""
        for field in dataclasses.fields(self):
            if isinstance(field.default, enum.Enum):
                value = _typed(field.name, getattr(self, field.name), field.default)
                object.__setattr__(self, field.name, value)

    def schedule(self) -> Schedule:
        """Limits and lengths of the three rate windows, as set or by the plan."""
        base = PLANS[self.plan]
        return Schedule(
            limits=Limits(
                minute=base.minute if self.minute_limit is None else self.minute_limit,
                hour=base.hour if self.hour_limit is None else self.hour_limit,
                day=base.day if self.day_limit is None else self.day_limit,
            ),
            seconds=(self.minute_seconds, self.hour_seconds, self.day_seconds),
        )

    def replaced(self, changes: Mapping[str, Any]) -> SandboxOptions:
        """Return a copy with JSON values taken over; raises ValueError for a bad one."""
        fixed = {"api_keys", "store", "keep_requests"}
        known = {field.name: field for field in dataclasses.fields(self)}
        typed: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known or name in fixed:
                raise ValueError(f"`{name}` is no option that can be changed while running.")
            typed[name] = _typed(name, value, getattr(self, name))
        return dataclasses.replace(self, **typed)

    def as_json(self) -> dict[str, Any]:
        """Every option but the API keys, with enums as their values."""
        return {
            field.name: value.value if isinstance(value, enum.Enum) else value
            for field in dataclasses.fields(self)
            if field.name != "api_keys"
            for value in (getattr(self, field.name),)
        }


_OPTIONAL_INTEGERS = {"minute_limit", "hour_limit", "day_limit", "max_contacts"}


def _typed(name: str, value: Any, present: Any) -> Any:
    if isinstance(present, enum.Enum):
        kind = type(present)
        try:
            return kind(value)
        except ValueError:
            allowed = ", ".join(str(member.value) for member in kind)
            raise ValueError(f"`{name}` must be one of {allowed}.") from None
    if name in _OPTIONAL_INTEGERS:
        if value is None or (type(value) is int and value >= 0):
            return value
        raise ValueError(f"`{name}` must be a whole number or null.")
    if isinstance(present, bool):
        if isinstance(value, bool):
            return value
        raise ValueError(f"`{name}` must be true or false.")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f"`{name}` must be a number that is not negative.")
    return type(present)(value)
