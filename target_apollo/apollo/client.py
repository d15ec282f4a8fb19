"""Apollo's endpoints as methods.

Source: Apollo's OpenAPI document (server https://api.apollo.io/api/v1), below which every path
stands. Every method raises the `ApolloError` family, and ValueError for arguments that fit none.

Which method updates an account: PUT or PATCH.

Apollo's reference had PUT /accounts/{id} before and has PATCH now. PUT is tried first; the answers
tell which one is taken, and a 404 can mean the route or the record:

    unknown --PUT: any answer of Apollo's but 404 and 405--> PUT
    unknown --PUT: 404 or 405, PATCH: any answer of Apollo's but 404 and 405--> PATCH
    unknown --PUT: 404, PATCH: 404--> unknown (the record is missing)
    PUT     --PUT: 405, PATCH: any answer of Apollo's but 404 and 405--> PATCH
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, Final

from target_apollo.apollo import endpoints
from target_apollo.apollo.answers import (
    Body,
    has_picklist,
    read_custom_fields,
    read_picklist_options,
    with_options,
)
from target_apollo.apollo.errors import RequestRefused
from target_apollo.apollo.models import BulkCreated, CustomField, Label, Profile, Stage, User
from target_apollo.apollo.quota import read_usage
from target_apollo.apollo.transport import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_apollo.apollo.decoding import JSON

    _Update = Callable[[str, JSON], JSON]
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_apollo.apollo.quota import Windows
    from target_apollo.apollo.transport import Sends


_NO_ROUTE = 405

_NO_ROUTE_OR_RECORD = 404


class AccountUpdate:
    """Carries updates of accounts out by the method that Apollo takes. Shared by all threads."""

    def __init__(self, *, put: _Update, patch: _Update) -> None:
        self._put = put
        self._patch = patch
        self._lock = threading.Lock()
        self._method: str | None = None

    def __call__(self, account_id: str, fields: JSON) -> JSON:
        """Update an account and return it."""
        if self._method == "PATCH":
            return self._patch(account_id, fields)
        try:
            account = self._put(account_id, fields)
        except RequestRefused as refusal:
            if refusal.status == _NO_ROUTE:
                return self._patch_instead(account_id, fields)
            if refusal.status == _NO_ROUTE_OR_RECORD:
                if self._method != "PUT":
                    return self._patch_instead(account_id, fields)
            elif refusal.from_apollo:
                self._decide("PUT")
            raise
        self._decide("PUT")
        return account

    def _patch_instead(self, account_id: str, fields: JSON) -> JSON:
        try:
            account = self._patch(account_id, fields)
        except RequestRefused as refusal:
            if refusal.from_apollo and refusal.status not in (_NO_ROUTE, _NO_ROUTE_OR_RECORD):
                self._decide("PATCH")
            raise
        self._decide("PATCH")
        return account

    def _decide(self, method: str) -> None:
        # PATCH overrules: it is decided only after a PUT was turned away, whereas PUT may be
        # decided by an answer that was under way meanwhile.
        with self._lock:
            if self._method is None or method == "PATCH":
                self._method = method


MAX_BULK: Final = 100  # records or ids in one request; bulk_create refuses more with 422

_PER_PAGE = 100

_MOST_PAGES = 500  # Apollo shows no more pages than this of anything

_NEWEST_FIRST: Final = {"sort_ascending": False, "per_page": _PER_PAGE}

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ApolloClient:
    """The endpoints that syncing needs. Thread-safe, as its transport is."""

    def __init__(self, transport: Sends) -> None:
        self._transport = transport
        self._account_update = AccountUpdate(put=self._put_account, patch=self._patch_account)

    # Who is asking, and what there is

    def profile(self) -> Profile:
        """Return the user behind the credentials, their best probe: GET /users/api_profile."""
        body = self._send("GET", "/users/api_profile", endpoints.PROFILE)
        whole = body.whole()
        return Profile(body.text(whole, "id"), body.text(whole, "team_id"), _full_name(whole))

    def health(self) -> bool:
        """Return whether the credentials are known: GET /auth/health.

        It answers 200 to a wrong key too; only `is_logged_in` tells.
        """
        return (
            self._send("GET", "/auth/health", endpoints.HEALTH).whole().get("is_logged_in") is True
        )

    def users(self) -> Iterator[User]:
        """Yield all users of the team: GET /users/search, 100 a page, deleted users included."""
        page, pages = 1, 1
        while page <= min(pages, _MOST_PAGES):
            params = {"page": page, "per_page": _PER_PAGE}
            body = self._send("GET", "/users/search", endpoints.USERS, params=params)
            found = body.records("users")
            pagination = body.whole().get("pagination")
            if body.number(pagination, "page") != page:
                raise body.lost("the answer is about another page")
            pages = body.number(pagination, "total_pages")
            for user in found:
                yield User(
                    user["id"], _text(user, "email"), _full_name(user), user.get("deleted") is True
                )
            page += 1

    def contact_stages(self) -> list[Stage]:
        """Return the stages a contact can be in: GET /contact_stages."""
        return self._stages("contact_stages", endpoints.CONTACT_STAGES)

    def account_stages(self) -> list[Stage]:
        """Return the stages an account can be in: GET /account_stages."""
        return self._stages("account_stages", endpoints.ACCOUNT_STAGES)

    def labels(self) -> list[Label]:
        """Return all lists of the team: GET /labels, which answers a bare array."""
        body = self._send("GET", "/labels", endpoints.LABELS)
        return [
            Label(label["id"], body.text(label, "name"), body.text(label, "modality"))
            for label in body.bare_records()
        ]

    def custom_fields(self) -> list[CustomField]:
        """Return the custom fields of all objects: GET /fields?source=custom.

        When there is a picklist, GET /typed_custom_fields is asked for the options.
        """
        fields = read_custom_fields(
            self._send("GET", "/fields", endpoints.FIELDS, params={"source": "custom"})
        )
        if not has_picklist(fields):
            return fields
        typed = self._send("GET", "/typed_custom_fields", endpoints.TYPED_CUSTOM_FIELDS)
        return with_options(fields, read_picklist_options(typed))

    def create_custom_field(self, label: str, modality: str, kind: str) -> None:
        """Make a custom field: POST /fields, which makes a second one where the label exists.

        `modality`: "contact", "account" or "opportunity"; `kind`: "string", "textarea", "number",
        "date", "datetime" or "boolean". Picklists can't be made. Apollo documents the id that it
        answers in another form than those it uses, so the fields are read again for it.
        """
        body = {"label": label, "modality": modality, "type": kind}
        answer = self._send("POST", "/fields", endpoints.CREATE_FIELD, body)
        if not any(
            made.get("name") == label and made.get("modality") == modality
            for made in answer.records("typed_custom_fields")
        ):
            raise answer.lost("the answer does not name the field")

    def usage(self) -> Mapping[str, Windows]:
        """Return the true rate limits: POST /usage_stats/api_usage_stats.

        Keys are endpoint labels where the endpoint is one of ours, else "controller/action".
        """
        return read_usage(
            self._send("POST", "/usage_stats/api_usage_stats", endpoints.USAGE).whole()
        )

    # Contacts

    def create_contacts(
        self,
        contacts: Sequence[JSON],
        *,
        owner_id: str | None = None,
        label_names: Sequence[str] = (),
    ) -> BulkCreated:
        """Create at most 100 contacts, find those that exist: POST /contacts/bulk_create.

        Owner and list names are arguments of the whole request (`owner_id`, `append_label_names`).
        """
        body: JSON = {"contacts": _bulk(contacts), "run_dedupe": True}
        if owner_id is not None:
            body["owner_id"] = owner_id
        return self._create("contacts", body, label_names, endpoints.CREATE_CONTACTS)

    def contact(self, contact_id: str) -> JSON:
        """Return a contact: GET /contacts/{id}. A missing one is RequestRefused with status 422."""
        return self._record("GET", "contact", contact_id, endpoints.READ_CONTACT)

    def update_contact(self, contact_id: str, fields: JSON) -> JSON:
        """Update a contact and return it: PATCH /contacts/{id}. `label_names` replaces lists."""
        return self._record("PATCH", "contact", contact_id, endpoints.UPDATE_CONTACT, fields)

    def bulk_update_contacts(self, attributes: Sequence[JSON]) -> list[JSON]:
        """Update at most 100 contacts, each with its `id`: POST /contacts/bulk_update.

        Up to 100 are done before the answer; above, Apollo starts a job that nobody can ask about.
        """
        body = {"contact_attributes": _bulk(attributes), "async": False}
        return self._changed("contacts", "bulk_update", body, endpoints.BULK_UPDATE_CONTACTS)

    def update_contact_owners(self, contact_ids: Sequence[str], owner_id: str) -> list[JSON]:
        """Give at most 100 contacts an owner: POST /contacts/update_owners.

        Documented with query parameters; taken as a JSON body too, which no length limit cuts off.
        """
        body = {"contact_ids": _bulk(contact_ids), "owner_id": owner_id}
        return self._changed("contacts", "update_owners", body, endpoints.UPDATE_CONTACT_OWNERS)

    def update_contact_stages(self, contact_ids: Sequence[str], stage_id: str) -> list[JSON]:
        """Put at most 100 contacts into a stage: POST /contacts/update_stages, body as above."""
        body = {"contact_ids": _bulk(contact_ids), "contact_stage_id": stage_id}
        return self._changed("contacts", "update_stages", body, endpoints.UPDATE_CONTACT_STAGES)

    def search_contacts(
        self, q_keywords: str, page: int = 1, per_page: int = _PER_PAGE
    ) -> list[JSON]:
        """Return one page of contacts by name, title, company or e-mail: POST /contacts/search.

        The search is fuzzy and ignores filters that it does not know: check every hit.
        """
        body = {"q_keywords": q_keywords, "page": page, "per_page": per_page}
        return self._changed("contacts", "search", body, endpoints.SEARCH_CONTACTS)

    def newest_contacts(self, page: int = 1) -> list[JSON]:
        """Return 100 contacts, those created last first: POST /contacts/search."""
        body = {**_NEWEST_FIRST, "sort_by_field": "contact_created_at", "page": page}
        return self._changed("contacts", "search", body, endpoints.SEARCH_CONTACTS)

    # Accounts

    def create_accounts(
        self, accounts: Sequence[JSON], *, label_names: Sequence[str] = ()
    ) -> BulkCreated:
        """Create at most 100 accounts, find those that exist: POST /accounts/bulk_create.

        With `run_dedupe` a name alone is a match, too: check what came back as existing.
        """
        body: JSON = {"accounts": _bulk(accounts), "run_dedupe": True}
        return self._create("accounts", body, label_names, endpoints.CREATE_ACCOUNTS)

    def account(self, account_id: str) -> JSON:
        """Return an account: GET /accounts/{id}."""
        return self._record("GET", "account", account_id, endpoints.READ_ACCOUNT)

    def update_account(self, account_id: str, fields: JSON) -> JSON:
        """Update an account and return it: PUT /accounts/{id}, or PATCH where PUT is not taken."""
        return self._account_update(account_id, fields)

    def bulk_update_accounts(self, attributes: Sequence[JSON]) -> list[JSON]:
        """Update at most 100 accounts, each with its `id`: POST /accounts/bulk_update.

        It writes name, owner, stage and custom fields only, and refuses `async` in this form.
        """
        body = {"account_attributes": _bulk(attributes)}
        return self._changed("accounts", "bulk_update", body, endpoints.BULK_UPDATE_ACCOUNTS)

    def update_account_owners(self, account_ids: Sequence[str], owner_id: str) -> list[JSON]:
        """Give at most 100 accounts an owner: POST /accounts/update_owners, as for contacts."""
        body = {"account_ids": _bulk(account_ids), "owner_id": owner_id}
        return self._changed("accounts", "update_owners", body, endpoints.UPDATE_ACCOUNT_OWNERS)

    def search_accounts(
        self, q_organization_name: str, page: int = 1, per_page: int = _PER_PAGE
    ) -> list[JSON]:
        """Return one page of accounts by a part of their name: POST /accounts/search.

        There is no search by domain: compare the domains of what comes back.
        """
        body = {"q_organization_name": q_organization_name, "page": page, "per_page": per_page}
        return self._changed("accounts", "search", body, endpoints.SEARCH_ACCOUNTS)

    def newest_accounts(self, page: int = 1) -> list[JSON]:
        """Return 100 accounts, those created last first: POST /accounts/search."""
        body = {**_NEWEST_FIRST, "sort_by_field": "account_created_at", "page": page}
        return self._changed("accounts", "search", body, endpoints.SEARCH_ACCOUNTS)

    # Lists

    def add_to_lists(
        self, entity_ids: Sequence[str], label_names: Sequence[str], modality: str
    ) -> None:
        """Add records to lists, leaving their other lists alone; lists that are missing are made.

        POST /labels/add_entity_ids_to_label_names; `modality`: "contacts" or "accounts". Ids that
        Apollo does not know are ignored without a word.
        """
        if not entity_ids or not label_names:
            raise ValueError("There must be at least one record and one list.")
        body = {
            "entity_ids": list(entity_ids),
            "label_names": list(label_names),
            "modality": modality,
            "async": False,
        }
        path = "/labels/add_entity_ids_to_label_names"
        answer = self._send("POST", path, endpoints.ADD_TO_LISTS, body)
        if not answer.records("labels"):
            raise answer.lost("the answer names no list")

    # How answers are asked for

    def _send(
        self,
        method: str,
        path: str,
        endpoint: str,
        body: JSON | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Body:
        request = Request(method, path, endpoint, body, params)
        return Body(endpoint, self._transport.send(request))

    def _record(
        self, method: str, name: str, record_id: str, endpoint: str, fields: JSON | None = None
    ) -> JSON:
        # An empty or odd id would address another endpoint: PATCH /contacts/, /contacts/../labels.
        if not _ID.fullmatch(record_id):
            raise ValueError(f"This is no id of an Apollo {name}.")
        answer = self._send(method, f"/{name}s/{record_id}", endpoint, fields)
        return answer.record(name, record_id)

    def _changed(self, name: str, action: str, body: JSON, endpoint: str) -> list[JSON]:
        return self._send("POST", f"/{name}/{action}", endpoint, body).records(name)

    def _create(
        self, name: str, body: JSON, label_names: Sequence[str], endpoint: str
    ) -> BulkCreated:
        # run_dedupe stands in every body: without it (Apollo's default) this makes duplicates, and
        # a request whose answer was lost could not be sent again.
        if label_names:
            body["append_label_names"] = list(label_names)
        answer = self._send("POST", f"/{name}/bulk_create", endpoint, body)
        return BulkCreated(
            answer.records(f"created_{name}"),
            answer.records(f"existing_{name}"),
            repeated=answer.attempts > 1,
        )

    def _stages(self, name: str, endpoint: str) -> list[Stage]:
        body = self._send("GET", f"/{name}", endpoint)
        return [
            Stage(stage["id"], body.text(stage, "name"), _text(stage, "display_name"))
            for stage in body.records(name)
        ]

    def _put_account(self, account_id: str, fields: JSON) -> JSON:
        return self._record("PUT", "account", account_id, endpoints.PUT_ACCOUNT, fields)

    def _patch_account(self, account_id: str, fields: JSON) -> JSON:
        return self._record("PATCH", "account", account_id, endpoints.PATCH_ACCOUNT, fields)


def _bulk(records: Sequence[Any]) -> list[Any]:
    if not 1 <= len(records) <= MAX_BULK:
        raise ValueError(f"A bulk request takes 1 to {MAX_BULK} records, not {len(records)}.")
    return list(records)


def _text(source: JSON, name: str) -> str:
    value = source.get(name)
    return value if isinstance(value, str) else ""


def _full_name(person: JSON) -> str:
    parts = (_text(person, "first_name"), _text(person, "last_name"))
    return _text(person, "name") or " ".join(part for part in parts if part)
