"""The options of a sandbox: its plan, its API keys, and each behaviour that Apollo leaves open.

Apollo's reference does not settle a number of behaviours. Each of them is an option, so that a
client can be tested against every Apollo that the reference allows.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

from target_apollo.sandbox.serving.rate_windows import PLANS, Limits, Plan, Schedule


class AlikeInBatch(str, enum.Enum):
    """What happens to two records of one bulk_create with run_dedupe that match each other."""

    BOTH_CREATED = "both_created"
    SECOND_EXISTING = "second_existing"
    SECOND_DROPPED = "second_dropped"


class BulkFailure(str, enum.Enum):
    """Which records of a bulk request are written although it is refused with 422."""

    NOTHING_WRITTEN = "nothing_written"
    GOOD_BEFORE_WRITTEN = "good_before_written"  # those before the first bad record


class InvalidEmail(str, enum.Enum):
    """What a create or a single update does with a malformed e-mail address."""

    IGNORED = "ignored"  # the record is written without it
    ACCEPTED = "accepted"  # it is stored as it came
    RESPELLED = "respelled"  # it is stored in the nearest valid spelling, if there is one
    REFUSED = "refused"  # 422 for the whole request
    DROPPED = "dropped"  # bulk_create: the record is neither written nor answered


class TakenEmail(str, enum.Enum):
    """What an update does with an e-mail address that another contact has.

    The reference does not say it, so a client must not rely on a refusal.
    """

    ALLOWED = "allowed"  # two contacts have it
    REFUSED = "refused"  # 422


class MatchedInBulk(str, enum.Enum):
    """What a bulk_create with run_dedupe does with a match; public sources contradict."""

    UNCHANGED = "unchanged"  # as the reference says: answered as existing, as it was
    DUPLICATED = "duplicated"  # one more record is created
    OVERWRITTEN = "overwritten"  # answered as existing, with the sent values


class KeywordSearch(str, enum.Enum):
    """What a search for contacts by q_keywords finds."""

    EVERY_WORD = "every_word"  # the contacts that hold all words
    NEAR_HITS = "near_hits"  # also those that hold a part of a word, such as its domain
    NOTHING = "nothing"  # no contact, although it is there


class FullPlan(str, enum.Enum):
    """The status of a creation beyond `max_contacts`."""

    UNPROCESSABLE = "unprocessable"  # 422
    FORBIDDEN = "forbidden"  # 403


class BulkAnswers(str, enum.Enum):
    """The records in bulk answers: whole objects, or only the fields that the reference lists."""

    FULL = "full"
    DOCUMENTED = "documented"


class CustomFieldErrors(str, enum.Enum):
    """How a record reports a value that does not fit the type of its custom field."""

    MAPPING = "mapping"  # {"<field id>": "<message>"}
    LIST = "list"  # [{"field_id": …, "message": …}]
    SILENT = "silent"  # {}


class OptionsShown(str, enum.Enum):
    """The value of a custom field with several options in an answer."""

    TEXT = "text"  # their ids, joined by commas
    ARRAY = "array"  # an array of their ids


class UnknownId(str, enum.Enum):
    """The answer to an update of a well-formed id that no record has."""

    UNPROCESSABLE = "unprocessable"  # 422
    NOT_FOUND = "not_found"  # 404


class GoneInBulk(str, enum.Enum):
    """The 422 of a bulk_update with the id of a record that is missing or deleted."""

    NOT_FOUND = "not_found"  # "Validation failed", and error_details that name one record
    AS_SINGLE = "as_single"  # the words for a single record: deleted, or no valid id


class UpdateRoute(str, enum.Enum):
    """The answer to PATCH or to PUT /accounts/{id}, or to PUT /contacts/{id}."""

    NOT_FOUND = "not_found"
    NOT_ALLOWED = "not_allowed"
    ACCEPTED = "accepted"


class RetryAfter(str, enum.Enum):
    """The retry-after header of a 429."""

    SECONDS = "seconds"
    HTTP_DATE = "http_date"
    MISSING = "missing"


class ClearedBy(str, enum.Enum):
    """Which empty value clears a field on an update; the other one is ignored."""

    BOTH = "both"
    EMPTY_STRING = "empty_string"
    NULL = "null"

    def clears(self, value: object) -> bool:
        """Whether this empty value, None or the empty string, clears a field."""
        if self is ClearedBy.BOTH:
            return True
        return (value is None) is (self is ClearedBy.NULL)


DEFAULT_KEY = "sandbox"


@dataclasses.dataclass(frozen=True)
class SandboxOptions:
    """Options of a sandbox; ``POST /_sandbox/options`` changes them while it runs."""

    strict: bool = False
    """Refuse with 422 what Apollo ignores silently: unknown fields, query parameters, field ids."""

    api_keys: Mapping[str, Sequence[str] | None] = dataclasses.field(
        default_factory=lambda: {DEFAULT_KEY: None}
    )
    """API key -> the endpoints that it may call (``api/v1/contacts/create``); None for all."""

    store: str | None = None
    """Path of the SQLite file that holds the state; None keeps the state in memory."""

    seed: int = 0
    """Seed of the random order of `shuffle_answers`."""

    plan: Plan = Plan.BASIC
    """The plan whose rate limits apply."""

    minute_limit: int | None = None
    """Requests a minute to each endpoint, instead of the plan's limit."""

    hour_limit: int | None = None
    """Requests an hour to each endpoint, instead of the plan's limit."""

    day_limit: int | None = None
    """Requests a day to each endpoint, instead of the plan's limit."""

    minute_seconds: float = 60.0
    """Length of the minute window, in seconds; tests make it short."""

    hour_seconds: float = 3600.0
    """Length of the hour window, in seconds."""

    day_seconds: float = 86400.0
    """Length of the day window, in seconds."""

    shuffle_answers: bool = False
    """Answer the records of a bulk request in another order than they were sent."""

    alike_in_batch: AlikeInBatch = AlikeInBatch.SECOND_EXISTING
    """What happens to two records of one bulk_create with run_dedupe that match each other."""

    labels_touch_existing: bool = True
    """append_label_names of a bulk_create also applies to records that existed before."""

    owner_touches_existing: bool = False
    """owner_id of a bulk_create also applies to contacts that existed before."""

    bulk_failure: BulkFailure = BulkFailure.NOTHING_WRITTEN
    """Which records of a bulk request are written although it is refused with 422."""

    invalid_email: InvalidEmail = InvalidEmail.IGNORED
    """What a request does with a malformed e-mail address (bulk_update always answers 422)."""

    taken_email: TakenEmail = TakenEmail.ALLOWED
    """What PATCH and bulk_update do with an e-mail address that another contact has."""

    matched_in_bulk: MatchedInBulk = MatchedInBulk.UNCHANGED
    """What a bulk_create with run_dedupe does with a contact or account that exists."""

    bulk_answers: BulkAnswers = BulkAnswers.FULL
    """Whole objects in bulk answers, or only the fields that the reference lists."""

    custom_field_errors: CustomFieldErrors = CustomFieldErrors.MAPPING
    """How a record reports a value that does not fit its custom field; it is not stored."""

    options_shown: OptionsShown = OptionsShown.TEXT
    """How a record shows the chosen options of a custom field that takes several."""

    custom_values_must_be_strings: bool = False
    """Answer 422 to custom field values other than strings, instead of converting them."""

    unknown_id: UnknownId = UnknownId.UNPROCESSABLE
    """Status for an update of an id that no record has."""

    gone_in_bulk: GoneInBulk = GoneInBulk.NOT_FOUND
    """The form of the 422 for a bulk_update with an id that is missing or deleted."""

    owners_and_stages_skip_gone: bool = True
    """update_owners and update_stages ignore ids that are missing or deleted; otherwise 422."""

    bad_id_names_value: bool = True
    """The 422 for a bad id names the id; otherwise its text is a general one."""

    fills_company: bool = False
    """Fill the company that a new contact lacks by the domain of its address, as recorded."""

    rewrites_linkedin: bool = False
    """Store profile addresses as ``http://www.linkedin.com/in/…``, however they are sent."""

    put_contacts: UpdateRoute = UpdateRoute.ACCEPTED
    """The answer to PUT /contacts/{id}, which clients still use in place of PATCH."""

    put_accounts: UpdateRoute = UpdateRoute.NOT_FOUND
    """The answer to PUT /accounts/{id}, which Apollo documented before PATCH."""

    patch_accounts: UpdateRoute = UpdateRoute.ACCEPTED
    """The answer to PATCH /accounts/{id}."""

    search_lag_seconds: float = 0.0
    """Seconds after which a search finds a new record, and shows the changes of any record."""

    unsorted_moves: bool = False
    """Without a `sort_by_field`, records of a search move from page to page between requests."""

    keyword_search: KeywordSearch = KeywordSearch.EVERY_WORD
    """What a search for contacts by keywords finds."""

    retry_after: RetryAfter = RetryAfter.SECONDS
    """The form of the retry-after header of a 429."""

    gzip_answers: bool = True
    """Compress answers of 1 kB and more with gzip for clients that accept it, as Apollo does."""

    server_error_html: bool = False
    """5xx answers have an HTML page as body instead of JSON."""

    max_contacts: int | None = None
    """Contacts that the plan may store; a creation beyond them is refused."""

    full_plan: FullPlan = FullPlan.UNPROCESSABLE
    """The status of a creation beyond `max_contacts`."""

    single_takes_owner: bool = False
    """POST and PATCH of one contact take an owner_id, which the reference does not document."""

    bulk_update_takes_stage: bool = False
    """contacts/bulk_update takes a contact_stage_id, which only the reference's prose names."""

    bulk_update_limit: int = 1000
    """Most records in a bulk_update. The reference contradicts itself on exactly 1000."""

    cleared_by: ClearedBy = ClearedBy.BOTH
    """Which of null and the empty string empties a field on an update."""

    list_counts_late: bool = False
    """GET /labels shows the counts of records as they were at the request before."""

    decimal_amounts: bool = True
    """Deals take an amount with decimals; otherwise it is left blank, as any but plain digits."""

    removed_may_rejoin: bool = True
    """A contact that was removed from a sequence can be added to it again."""

    stops_by_job: bool = False
    """Removing or stopping contacts of a sequence answers with a job instead of the contacts."""

    bulk_tasks_skip_gone: bool = True
    """tasks/bulk_create makes no task for a contact that is not there; otherwise 422."""

    access_token_seconds: int = 2_592_000
    """Lifetime of an OAuth access token, in seconds."""

    keep_requests: int = 5_000
    """Number of the newest requests that the log keeps; the counts include all."""

    def __post_init__(self) -> None:
        """Accept the values of enums too, such as ``plan="free"``; raises ValueError."""
        for field in dataclasses.fields(self):
            if isinstance(field.default, enum.Enum):
                value = _typed(field.name, getattr(self, field.name), field.default)
                object.__setattr__(self, field.name, value)

    def schedule(self) -> Schedule:
        """Limits and lengths of the three rate windows, as set or else those of the plan."""
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
        """A copy with options changed by name to JSON values; raises ValueError for a bad one."""
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
