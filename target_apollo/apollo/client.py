"""Apollo's endpoints as methods.

Source: Apollo's OpenAPI document. All paths are below its server, https://api.apollo.io/api/v1.
Every method raises the `ApolloError` family, and ValueError for arguments that no request can have.

The methods for contacts and accounts take an `ObjectEndpoints` first: the endpoints of that object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from target_apollo.apollo import endpoints
from target_apollo.apollo.answers import (
    BulkCreated,
    CheckedBody,
    Label,
    Profile,
    RecordPage,
    Stage,
    User,
    as_name,
    is_id,
    read_label,
)
from target_apollo.apollo.custom_fields import (
    CustomField,
    has_picklist,
    read_custom_fields,
    read_picklist_options,
    with_options,
)
from target_apollo.apollo.endpoints import MAX_BULK, MOST_PAGES, PER_PAGE
from target_apollo.apollo.errors import RequestRefused
from target_apollo.apollo.quota import read_usage
from target_apollo.apollo.transport import request_to
from target_apollo.apollo.update_endpoints import UpdateEndpoints, lacks_second_only

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_apollo.apollo.answers import JSON
    from target_apollo.apollo.endpoints import ObjectEndpoints
    from target_apollo.apollo.quota import Windows
    from target_apollo.apollo.transport import TransportProtocol

# Apollo's answer, with status 200, to a request about records of which it has none.
_NO_RECORD_KNOWN: Final = "No Models or Lists provided"
_NEWEST_FIRST: Final = {"sort_ascending": False, "per_page": PER_PAGE}
_OLDEST_FIRST: Final = {"sort_ascending": True, "per_page": PER_PAGE}


class EndpointClient:
    """Sends requests to endpoints, and reads their answers. Thread-safe, as its transport is."""

    def __init__(self, transport: TransportProtocol) -> None:
        self._transport = transport

    def _send(
        self,
        endpoint: str,
        body: JSON | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        record_id: str = "",
        once: bool = False,
    ) -> CheckedBody:
        request = request_to(endpoint, body, params=params, record_id=record_id, once=once)
        return CheckedBody(endpoint, self._transport.send(request))

    def _send_for(
        self, singular: str, endpoint: str, record_id: str, fields: JSON | None = None
    ) -> tuple[CheckedBody, JSON]:
        """Send a request about one record; return the answer, and the record in it.

        Args:
            singular: What Apollo calls the record, in the answer too.
        """
        # An empty or odd id would reach another endpoint: PATCH /contacts/, /contacts/../labels.
        if not is_id(record_id):
            raise ValueError(f"This is no id of an Apollo {singular}.")
        body = self._send(endpoint, fields, record_id=record_id)
        return body, body.record(singular, record_id)


class ApolloClient(EndpointClient):
    """The endpoints that syncing needs.

    Attributes:
        update_endpoints: Which endpoints update a record, as far as Apollo's answers have shown.
    """

    def __init__(self, transport: TransportProtocol) -> None:
        super().__init__(transport)
        self.update_endpoints = UpdateEndpoints()
        self._clears_with_null = False
        #: Plurals of objects of which no creation is sent again after its answer was lost.
        self._created_once: set[str] = set()

    # The user, the team and what the team has set up

    def profile(self) -> Profile:
        """Return the user behind the credentials, and so probe them: GET /users/api_profile."""
        body = self._send(endpoints.PROFILE)
        whole = body.whole()
        return Profile(body.id(whole, "id"), body.id(whole, "team_id"), _full_name(whole))

    def health(self) -> bool:
        """Return whether Apollo knows the credentials: GET /auth/health.

        The status is 200 for a wrong key too; only `is_logged_in` tells the difference.
        """
        return self._send(endpoints.HEALTH).whole().get("is_logged_in") is True

    def users(self) -> Iterator[User]:
        """Yield all users of the team: GET /users/search, 100 a page, deleted users included."""
        page, pages = 1, 1
        while page <= min(pages, MOST_PAGES):
            params = {"page": page, "per_page": PER_PAGE}
            body = self._send(endpoints.USERS, params=params)
            users = body.records("users")
            pagination = body.whole().get("pagination")
            if body.number(pagination, "page") != page:
                raise body.lost("the answer is about another page")
            pages = body.number(pagination, "total_pages")
            for user in users:
                yield User(
                    user["id"], _text(user, "email"), _full_name(user), user.get("deleted") is True
                )
            page += 1

    def labels(self) -> list[Label]:
        """Return all lists of the team: GET /labels, which answers a bare array."""
        body = self._send(endpoints.LABELS)
        labels = body.bare_records()
        for label in labels:
            for name in ("name", "modality"):
                body.text(label, name)
        return [read_label(label) for label in labels]

    def custom_fields(self) -> list[CustomField]:
        """Return the custom fields of all objects: GET /fields?source=custom.

        When there is a picklist, GET /typed_custom_fields is asked for the options.
        """
        fields = read_custom_fields(self._send(endpoints.FIELDS, params={"source": "custom"}))
        if not has_picklist(fields):
            return fields
        typed = self._send(endpoints.TYPED_CUSTOM_FIELDS)
        return with_options(fields, read_picklist_options(typed))

    def create_custom_field(self, label: str, modality: str, kind: str) -> None:
        """Make a custom field: POST /fields. It makes a second field where the label exists.

        `modality`: "contact", "account" or "opportunity"; `kind`: "string", "textarea", "number",
        "date", "datetime" or "boolean". Picklists can't be made. The id in Apollo's answer is
        documented in a form that no other endpoint uses: read the fields again to get it.
        """
        body = {"label": label, "modality": modality, "type": kind}
        answer = self._send(endpoints.CREATE_FIELD, body)
        if not any(
            field.get("name") == label and field.get("modality") == modality
            for field in answer.fields("typed_custom_fields")
        ):
            raise answer.lost("the answer does not name the field")

    def usage(self) -> Mapping[str, Windows]:
        """Return the team's rate limits and their use: POST /usage_stats/api_usage_stats.

        Keys are endpoint labels, or "controller/action" for endpoints that `ENDPOINTS` lacks.
        """
        return read_usage(self._send(endpoints.USAGE).whole())

    # Contacts and accounts

    def stages(self, of: ObjectEndpoints) -> list[Stage]:
        """Return the stages that records can be in: GET /contact_stages, /account_stages."""
        body = self._send(of.stages)
        return [
            Stage(stage["id"], body.name(stage, "name"), as_name(_text(stage, "display_name")))
            for stage in body.records(of.stages_key)
        ]

    def create(
        self,
        of: ObjectEndpoints,
        records: Sequence[JSON],
        *,
        owner_id: str | None = None,
        label_names: Sequence[str] = (),
        run_dedupe: bool = True,
        may_repeat: bool = True,
    ) -> BulkCreated:
        """Create at most 100 records and return those that exist: POST /contacts/bulk_create.

        Owner (contacts only) and list names are arguments of the whole request (`owner_id`,
        `append_label_names`). Apollo takes accounts with the same name for the same account: check
        the records that it returns as existing.

        Without `run_dedupe` (Apollo's default) it makes a record of each, whatever there is. Such a
        request is not sent again after its answer was lost, nor is one that may not be repeated,
        since Apollo would not recognise all of its records.
        """
        body: JSON = {of.plural: _bulk(records), "run_dedupe": run_dedupe}
        if owner_id is not None:
            body["owner_id"] = owner_id
        if label_names:
            body["append_label_names"] = list(label_names)
        once = of.plural in self._created_once or not (run_dedupe and may_repeat)
        answer = self._send(of.create, body, once=once)
        created, existing = answer.confirmed(f"created_{of.plural}", f"existing_{of.plural}")
        return BulkCreated(created, existing, repeated=answer.attempts > 1)

    def read(self, of: ObjectEndpoints, record_id: str) -> JSON:
        """Return a record: GET /contacts/{id}. A missing contact is refused with status 422."""
        return self._record(of, of.read, record_id)

    def update(self, of: ObjectEndpoints, record_id: str, fields: JSON) -> JSON:
        """Update a record and return it: PATCH /contacts/{id}. `label_names` replaces lists.

        With an `update_instead`, Apollo's answers tell which of the two endpoints it takes.
        """
        fields = self.emptied(fields)
        if of.update_instead is None:
            return self._record(of, of.update, record_id, fields)
        first, second = self.update_endpoints.in_order(of)
        if self.update_endpoints.taken(of) == second:
            return self._record(of, second, record_id, fields)
        try:
            return self._update_by(of, first, record_id, fields)
        except RequestRefused as refusal:
            if not self.update_endpoints.may_lack_first(of, refusal):
                raise
            by_first = refusal
        try:
            return self._update_by(of, second, record_id, fields)
        except RequestRefused as by_second:
            if not lacks_second_only(by_first, by_second):
                raise
            self.update_endpoints.note_taken(of, first)
            raise by_first from None

    def _update_by(self, of: ObjectEndpoints, endpoint: str, record_id: str, fields: JSON) -> JSON:
        try:
            record = self._record(of, endpoint, record_id, fields)
        except RequestRefused as refusal:
            self.update_endpoints.note_refused(of, endpoint, refusal)
            raise
        self.update_endpoints.note_taken(of, endpoint)
        return record

    def create_once(self, of: ObjectEndpoints) -> None:
        """From now on send no creation again, since Apollo would make a second record."""
        self._created_once.add(of.plural)

    def clear_with_null(self) -> None:
        """From now on send null where a field is to be emptied, in place of the empty text.

        Apollo documents the empty text; a probe may have found that a team's Apollo ignores it.
        """
        self._clears_with_null = True

    def emptied(self, fields: JSON) -> JSON:
        """Return fields as an update has to send them, by what `clear_with_null` was told."""
        if not self._clears_with_null:
            return fields
        return {name: None if value == "" else value for name, value in fields.items()}

    def bulk_update(self, of: ObjectEndpoints, records: Sequence[JSON]) -> list[JSON]:
        """Update at most 100 records, each with its `id`: POST /contacts/bulk_update.

        For accounts, the endpoint writes only name, owner, stage and custom fields.
        """
        emptied = [self.emptied(record) for record in records]
        body = {of.attributes_key: _bulk(emptied), **of.bulk_update_arguments}
        return self._send(of.bulk_update, body).confirmed(of.plural)[0]

    def update_owners(self, of: ObjectEndpoints, ids: Sequence[str], owner_id: str) -> list[JSON]:
        """Give at most 100 records an owner: POST /contacts/update_owners.

        Apollo documents query parameters and takes a JSON body too, which has no length limit.
        """
        body = {of.ids_key: _bulk(ids), "owner_id": owner_id}
        return self._send(of.update_owners, body).confirmed(of.plural)[0]

    def update_stages(self, of: ObjectEndpoints, ids: Sequence[str], stage_id: str) -> list[JSON]:
        """Put at most 100 records into a stage: POST /contacts/update_stages, with a JSON body.

        Raises:
            LookupError: Apollo has no such endpoint for this kind of object.
        """
        if of.update_stages is None:
            raise LookupError(of.plural)
        body = {of.ids_key: _bulk(ids), of.stage_key: stage_id}
        return self._send(of.update_stages, body).confirmed(of.plural)[0]

    def search(
        self, of: ObjectEndpoints, words: str, page: int = 1, per_page: int = PER_PAGE
    ) -> list[JSON]:
        """Return one page of records: POST /contacts/search.

        It finds contacts by name, title, company or e-mail, accounts by a part of their name (not
        by domain). The search is fuzzy and ignores filters that it does not know: check every hit.
        """
        body = {of.search_key: words, "page": page, "per_page": per_page}
        return self._send(of.search, body).records(of.plural)

    def newest(self, of: ObjectEndpoints, page: int = 1) -> list[JSON]:
        """Return a page of 100 records, the newest first: POST /contacts/search."""
        body = {**_NEWEST_FIRST, "sort_by_field": of.created_key, "page": page}
        return self._send(of.search, body).records(of.plural)

    def page(self, of: ObjectEndpoints, page: int) -> RecordPage:
        """Return a page of 100 records of all, the oldest first: POST /contacts/search.

        That order moves no record to another page while others make new ones; after a deletion,
        which the total shows, records move to the page before. Apollo shows 500 pages at most.
        """
        body = {**_OLDEST_FIRST, "sort_by_field": of.created_key, "page": page}
        return self._record_page(of, body, is_counted=True)

    def newest_page(self, of: ObjectEndpoints, page: int) -> RecordPage:
        """Return a page as `newest` does, and how many pages there are."""
        body = {**_NEWEST_FIRST, "sort_by_field": of.created_key, "page": page}
        return self._record_page(of, body)

    def last_changed(self, of: ObjectEndpoints, page: int) -> RecordPage:
        """Return a page of 100 records of all, the last changed first: POST /contacts/search."""
        body = {**_NEWEST_FIRST, "sort_by_field": of.updated_key, "page": page}
        return self._record_page(of, body)

    def in_stages(self, of: ObjectEndpoints, stage_ids: Sequence[str], page: int) -> RecordPage:
        """Return a page of 100 records that are in one of some stages, the oldest first.

        Without an order, a record that is changed meanwhile could move to a page that was read.
        """
        body = {
            **_OLDEST_FIRST,
            f"{of.stage_key}s": list(stage_ids),
            "sort_by_field": of.created_key,
            "page": page,
        }
        return self._record_page(of, body, is_counted=True)

    def on_list(self, of: ObjectEndpoints, label_id: str, page: int) -> RecordPage:
        """Return a page of 100 records that are on a list, the oldest first.

        Apollo ignores filters that it does not know: check the `label_ids` of every record.
        """
        body = {
            **_OLDEST_FIRST,
            f"{of.singular}_label_ids": [label_id],
            "sort_by_field": of.created_key,
            "page": page,
        }
        return self._record_page(of, body, is_counted=True)

    def _record_page(
        self, of: ObjectEndpoints, body: JSON, *, is_counted: bool = False
    ) -> RecordPage:
        answer = self._send(of.search, body)
        told = answer.whole().get("pagination")
        total = answer.number(told, "total_entries") if is_counted else 0
        return RecordPage(answer.records(of.plural), answer.number(told, "total_pages"), total)

    def add_to_lists(
        self, of: ObjectEndpoints, ids: Sequence[str], label_names: Sequence[str]
    ) -> list[Label]:
        """Add records to lists and return these; other lists stay, Apollo makes missing ones.

        POST /labels/add_entity_ids_to_label_names. Apollo silently ignores ids that it does not
        know. If it knows none of them, it answers 200 with a message and no list.

        Raises:
            RequestRefused: Apollo knows none of the records; the refusal names all of them.
        """
        answer = self._send(endpoints.ADD_TO_LISTS, _of_lists(of, ids, label_names))
        whole = answer.whole()
        if "labels" not in whole and whole.get("message") == _NO_RECORD_KNOWN:
            told = f"{_NO_RECORD_KNOWN}: {' '.join(ids)}"
            raise RequestRefused(endpoints.ADD_TO_LISTS, status=404, message=told)
        labels = answer.records("labels")
        if not labels:
            raise answer.lost("the answer names no list")
        return [read_label(label) for label in labels]

    def remove_from_lists(
        self, of: ObjectEndpoints, ids: Sequence[str], label_names: Sequence[str]
    ) -> None:
        """Take records off lists: POST /labels/remove_entity_ids_from_label_names.

        Apollo silently ignores ids and lists that it does not know, and its answer is the same
        whether a record was on the list or not.
        """
        self._send(endpoints.REMOVE_FROM_LISTS, _of_lists(of, ids, label_names)).whole()

    def _record(
        self, of: ObjectEndpoints, endpoint: str, record_id: str, fields: JSON | None = None
    ) -> JSON:
        return self._send_for(of.singular, endpoint, record_id, fields)[1]


def _bulk(records: Sequence[Any]) -> list[Any]:
    if not 1 <= len(records) <= MAX_BULK:
        raise ValueError(f"A bulk request takes 1 to {MAX_BULK} records, not {len(records)}.")
    return list(records)


def _of_lists(of: ObjectEndpoints, ids: Sequence[str], label_names: Sequence[str]) -> JSON:
    if not ids or not label_names:
        raise ValueError("There must be at least one record and one list.")
    return {
        "entity_ids": list(ids),
        "label_names": list(label_names),
        "modality": of.plural,
        "async": False,
    }


def _text(source: JSON, name: str) -> str:
    value = source.get(name)
    return value if isinstance(value, str) else ""


def _full_name(person: JSON) -> str:
    parts = (_text(person, "first_name"), _text(person, "last_name"))
    return as_name(_text(person, "name") or " ".join(part for part in parts if part))
