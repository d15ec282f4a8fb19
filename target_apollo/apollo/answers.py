"""What Apollo answers: the values that the client hands out, refusals, and checked success bodies.

A 200 with any other body does not confirm the request: it raises AnswerLost and never counts as an
empty success.

The answer of a search must not contradict itself in what it says of its pages (`Paging`). A page
that is taken for the last one, or a page that lacks records, hides records that exist, and a record
that is not seen may be made a second time.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from target_apollo.apollo.endpoints import MOST_PAGES
from target_apollo.apollo.errors import AnotherRecord, AnswerLost, JobStarted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


JSON = dict[str, Any]

#: The shape of Apollo's ids. They are 24 hex digits; nothing documents that they have to be. What
#: has another shape is no id: in the path of a request it could reach another endpoint.
ID_SHAPE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_USUAL_ID = 24


def is_id(value: object) -> bool:
    """Return whether a value has the shape of an id of Apollo's."""
    return isinstance(value, str) and ID_SHAPE.fullmatch(value) is not None


@dataclass(frozen=True)
class Profile:
    """The user behind the credentials. `team_id` tells one Apollo workspace from another."""

    id: str
    team_id: str
    name: str = field(repr=False)


@dataclass(frozen=True)
class User:
    """A user of the team. `email` is empty where Apollo gives none; deleted users own nothing."""

    id: str
    email: str = field(repr=False)
    name: str = field(repr=False)
    deleted: bool


@dataclass(frozen=True)
class Stage:
    """A contact stage or an account stage."""

    id: str
    name: str
    display_name: str


@dataclass(frozen=True)
class Label:
    """A list in Apollo's interface. `modality`: "contacts", "accounts" or "emailer_campaigns".

    `count`: how many records Apollo says are on it (`cached_count`); None where it does not say.
    """

    id: str
    name: str
    modality: str
    count: int | None = None


def read_label(label: JSON) -> Label:
    """Read a list that has an id; its name and modality are empty where the answer lacks them."""
    count = label.get("cached_count")
    is_count = isinstance(count, int) and not isinstance(count, bool)
    return Label(
        label["id"],
        as_name(_text(label.get("name"))),
        _text(label.get("modality")),
        count if is_count else None,
    )


@dataclass(frozen=True)
class RecordPage:
    """A page of a search, and the number of its pages.

    `total`: records on all pages; 0 where the request does not need it.
    """

    records: list[JSON] = field(repr=False)
    pages: int = 1
    total: int = 0


@dataclass(frozen=True)
class BulkCreated:
    """The records of a bulk_create answer: created ones, and existing ones, which stay unmodified.

    Apollo promises no order in either list, and may return fewer records than were sent.
    `repeated`: an earlier try of the request may have created some of the records in `existing`.
    """

    created: list[JSON] = field(repr=False)
    existing: list[JSON] = field(repr=False)
    repeated: bool = False


@dataclass(frozen=True)
class Answer:
    """A 2xx with its JSON value. `seconds` counts from the first try on, waits included.

    The names of `headers` are case-insensitive.
    """

    status: int
    body: Any = field(repr=False)
    attempts: int
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Paging:
    """The numbers of a search.

    Attributes:
        pages: Pages that there are.
        total: Records on all of them.
        belong: Records that belong on the page of this answer, at least.
    """

    pages: int
    total: int
    belong: int


def decode_body(content: bytes) -> Any:
    """Return the value of an answer's body. Raises ValueError where it is no JSON."""
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        # msgspec refuses lone surrogates and big numbers, which are no reason to lose an answer.
        try:
            return _without_surrogates(json.loads(content))
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _without_surrogates(value: Any) -> Any:
    """The value with another character for lone surrogates, which no file or database takes."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {
            _without_surrogates(name): _without_surrogates(item) for name, item in value.items()
        }
    return value


_LONGEST_TEXT = 500
_LONGEST_NAME = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def as_name(text: str) -> str:
    """Return the name of a person, list, stage, field or option in one line of a sane length."""
    return _CONTROL.sub(" ", text[:_LONGEST_NAME])


@dataclass(frozen=True)
class Refusal:
    """The parts of a refusal's body, each empty if missing. `message` may hold personal data."""

    message: str = field(default="", repr=False)
    code: str = ""
    details: dict[str, Any] = field(default_factory=dict, repr=False)
    deleted_ids: tuple[str, ...] = ()
    is_json: bool = False


def read_refusal(content_type: str, content: bytes) -> Refusal:
    """Read the body of a 3xx or 4xx.

    JSON has its text in `error` or `message` or both (only `message` names the id of a missing
    record), and may have `error_code`, `error_details` and `deleted_contact_ids` (of accounts,
    for which nothing is documented, likewise). A 401 is plain text. HTML pages come from proxies
    and are dropped.
    """
    try:
        body = decode_body(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        plain = content_type.partition(";")[0].strip().lower() == "text/plain"
        return Refusal(message=content[:_LONGEST_TEXT].decode("utf-8", "replace") if plain else "")
    texts = (body.get("error"), body.get("message"))
    details = body.get("error_details")
    deleted = [body.get(f"deleted_{noun}_ids") for noun in ("contact", "account")]
    return Refusal(
        message=" ".join(text for text in texts if isinstance(text, str) and text),
        code=_text(body.get("error_code")) or _text(_part(details, "code")),
        details=details if isinstance(details, dict) else {},
        deleted_ids=tuple(
            item
            for items in deleted
            if isinstance(items, list)
            for item in items
            # They are shown in logs, where nothing else that Apollo answers may stand.
            if is_id(item)
        ),
        is_json=True,
    )


def _part(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


class CheckedBody:
    """The body of one endpoint's answer, read by the names that Apollo documents for it.

    Every method raises AnswerLost, with a reason that starts with "not confirmed", where the body
    has another shape.
    """

    def __init__(self, endpoint: str, answer: Answer) -> None:
        self._endpoint = endpoint
        self._answer = answer

    @property
    def attempts(self) -> int:
        """How many tries the request took."""
        return self._answer.attempts

    def lost(self, what: str) -> AnswerLost:
        """Return the error for an answer that does not confirm the request."""
        return AnswerLost(
            self._endpoint, reason=f"not confirmed: {what}", attempts=self._answer.attempts
        )

    def whole(self) -> JSON:
        """Return the body, which must be a JSON object."""
        body = self._answer.body
        if not isinstance(body, dict):
            raise self.lost("the answer is no object")
        return body

    def record(self, name: str, record_id: str) -> JSON:
        """Return the object called `name`, which must have the id `record_id`.

        Raises:
            AnotherRecord: It has another id.
        """
        record = self.whole().get(name)
        if not isinstance(record, dict):
            raise self.lost(f'the answer has no object "{name}"')
        if record.get("id") != record_id:
            raise AnotherRecord(
                self._endpoint,
                reason="not confirmed: the answer is about another record",
                attempts=self._answer.attempts,
            )
        return record

    def records(self, name: str) -> list[JSON]:
        """Return the list called `name`, which must hold objects with an id.

        Raises:
            JobStarted: Apollo does the work in a background job instead.
        """
        return self._objects(self._list(name), f'list "{name}"')

    def confirmed(self, *names: str) -> list[list[JSON]]:
        """Return the lists called `names`, with the records that they confirm.

        What has no id is left out, and so are different records with one id in any of the lists:
        what was sent for them counts as not answered.

        Raises:
            JobStarted: Apollo does the work in a background job instead.
        """
        lists = [_with_id(self._list(name)) for name in names]
        unclear = _ids_of_several([record for records in lists for record in records])
        if not unclear:
            return lists
        return [[one for one in records if one["id"] not in unclear] for records in lists]

    def _list(self, name: str) -> list[Any]:
        body = self.whole()
        if name not in body and "entity_progress_job" in body:
            raise JobStarted(
                self._endpoint,
                reason="not confirmed: Apollo answered with a background job",
                attempts=self._answer.attempts,
            )
        value = body.get(name)
        if not isinstance(value, list):
            raise self.lost(f'the answer has no list "{name}"')
        return value

    def fields(self, name: str) -> list[JSON]:
        """Return the list of custom fields called `name`; only a part of their ids is an id."""
        value, what = self._list(name), f'list "{name}"'
        if not all(isinstance(one, dict) and isinstance(one.get("id"), str) for one in value):
            raise self.lost(f"the answer's {what} holds something without an id")
        return value

    def bare_records(self) -> list[JSON]:
        """Return the body, which must be a list of objects with an id."""
        return self._objects(self._answer.body, "list")

    def id(self, source: JSON, name: str) -> str:
        """Return the id called `name`, which must be in `source`."""
        value = self.text(source, name)
        if not is_id(value):
            raise self.lost(f'the answer has no id "{name}" where one belongs')
        return value

    def name(self, source: JSON, name: str) -> str:
        """Return the name called `name`, which must be in `source`, as `as_name` spells it."""
        return as_name(self.text(source, name))

    def text(self, source: JSON, name: str) -> str:
        """Return the string called `name`, which must be in `source`."""
        value = source.get(name)
        if not isinstance(value, str):
            raise self.lost(f'the answer has no text "{name}" where one belongs')
        return value

    def number(self, source: Any, name: str) -> int:
        """Return the whole number called `name`; Apollo sends some as text ("page": "1")."""
        value = source.get(name) if isinstance(source, dict) else None
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self.lost(f'the answer has no number "{name}" where one belongs')

    def paging(self, page: int, per_page: int) -> Paging:
        """Return the numbers of a search, which must be about a page and fit each other.

        Args:
            page: The page that was asked for.
            per_page: Records on a page, as asked for; Apollo may answer fewer and says so.
        """
        told = self.whole().get("pagination")
        if self.number(told, "page") != page:
            raise self.lost("the answer is about another page")
        pages, total = self.number(told, "total_pages"), self.number(told, "total_entries")
        if total < 0 or pages < min(-(-total // per_page), MOST_PAGES):
            raise self.lost("the answer has more records than its pages hold")
        answered = told.get("per_page") if isinstance(told, dict) else None
        size = answered if type(answered) is int and 0 < answered <= per_page else per_page
        return Paging(pages, total, max(0, min(size, total - (page - 1) * size)))

    def _objects(self, value: object, what: str) -> list[JSON]:
        if not isinstance(value, list):
            raise self.lost(f"the answer has no {what}")
        if len(_with_id(value)) != len(value):
            raise self.lost(f"the answer's {what} holds something without an id")
        if _ids_of_several(value):
            raise self.lost(f"the answer's {what} gives several records one id")
        return value


def _with_id(items: Sequence[Any]) -> list[JSON]:
    # As `is_id`, but faster for a hundred records: the usual 24 digits need no regular expression.
    return [
        item
        for item in items
        if isinstance(item, dict)
        and isinstance(i := item.get("id"), str)
        and ((len(i) == _USUAL_ID and i.isalnum() and i.isascii()) or ID_SHAPE.fullmatch(i))
    ]


def _ids_of_several(records: Sequence[JSON]) -> set[str]:
    """The ids that several of the records have, unless these are equal."""
    if len({record["id"] for record in records}) == len(records):
        return set()
    first: dict[str, JSON] = {}
    return {one["id"] for one in records if first.setdefault(one["id"], one) != one}
