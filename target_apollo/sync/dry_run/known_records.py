"""The records that exist in Apollo, as far as a dry run needs them.

`KnownRecords` keeps them, by Apollo id and by the keys by which Apollo recognises a record.

`RecordLookups` asks Apollo for them, with few requests and never more than `MOST_LOOKUPS`. It has
two methods. It reads all contacts (or accounts), a hundred a request; then all records are known,
namesakes included. Or it looks up single records: a contact by its e-mail (POST /contacts/search),
an account by its name or domain (POST /accounts/search), an id by GET. It starts with single
look-ups, and reads all records as soon as that costs no more than the single look-ups so far. So it
sends at most twice the requests of the cheaper method.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from target_apollo.apollo import (
    EndpointForbidden,
    QuotaExhausted,
    TransportProtocol,
    endpoints,
    request_to,
)
from target_apollo.apollo.answers import CheckedBody
from target_apollo.model.match_keys import addresses
from target_apollo.model.objects.registry import Json, ObjectKind, ObjectType
from target_apollo.model.texts.characters import bare
from target_apollo.model.texts.domains import FREE_MAIL


class KnownRecords:
    """Contacts and accounts by Apollo id and by dedupe key. Not thread-safe.

    They are in a temporary database, so that a million records need little memory. Since they are
    customers' data, SQLite keeps the file without a name, for this process only. The file is gone
    when the database is closed or the process ends, in whatever way.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        execute = self._database.execute
        execute("PRAGMA journal_mode = OFF")
        execute("PRAGMA synchronous = OFF")
        execute("CREATE TABLE records (kind, id, body, PRIMARY KEY (kind, id)) WITHOUT ROWID")
        execute("CREATE TABLE dedupe_keys (kind, dedupe_key, id)")
        execute("CREATE INDEX by_dedupe_key ON dedupe_keys (kind, dedupe_key)")
        execute("CREATE INDEX by_id ON dedupe_keys (kind, id)")
        self._encode = msgspec.json.Encoder(enc_hook=str, decimal_format="number").encode

    def put(self, kind: ObjectKind, record: Json, keys: Iterable[str]) -> None:
        """Adds a record, or replaces the record with the same id.

        Args:
            keys: Its dedupe keys.
        """
        apollo_id = record["id"]
        self._database.execute("BEGIN")
        self._database.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
            (kind.value, apollo_id, self._encode(record)),
        )
        self._database.execute(
            "DELETE FROM dedupe_keys WHERE kind = ? AND id = ?", (kind.value, apollo_id)
        )
        self._database.executemany(
            "INSERT INTO dedupe_keys VALUES (?, ?, ?)",
            [(kind.value, key, apollo_id) for key in keys],
        )
        self._database.execute("COMMIT")

    def get(self, kind: ObjectKind, apollo_id: str) -> Json | None:
        """The record with an Apollo id, or None."""
        row = self._database.execute(
            "SELECT body FROM records WHERE kind = ? AND id = ?", (kind.value, apollo_id)
        ).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=dict)

    def first(self, kind: ObjectKind, keys: Iterable[str]) -> Json | None:
        """The oldest record with the first of these dedupe keys that any record has, or None."""
        for key in keys:
            ids = self.ids_of(kind, key)
            if ids:
                return self.get(kind, ids[0])
        return None

    def ids_of(self, kind: ObjectKind, dedupe_key: str) -> list[str]:
        """Apollo ids of the records that have a dedupe key, the oldest first."""
        rows = self._database.execute(
            "SELECT id FROM dedupe_keys WHERE kind = ? AND dedupe_key = ? ORDER BY rowid",
            (kind.value, dedupe_key),
        )
        return [str(apollo_id) for (apollo_id,) in rows]

    def all(self, kind: ObjectKind) -> Iterator[Json]:
        """Yields all records of an object, by their ids."""
        bodies = self._database.execute(
            "SELECT body FROM records WHERE kind = ? ORDER BY id", (kind.value,)
        )
        for (body,) in bodies:
            yield msgspec.json.decode(body, type=dict)

    def close(self) -> None:
        """Deletes the database."""
        self._database.close()


def dedupe_keys(object_type: ObjectType, record: Json) -> list[str]:
    """The keys by which Apollo recognises an existing record as the same, the strongest first.

    Contacts: CRM ids, any e-mail, first and last name at the same company, which is the same e-mail
    domain (except for free mail) or company name. Accounts: CRM ids, domain, name. Source: the
    reference of ``run_dedupe`` in Apollo's bulk_create endpoints.

    Args:
        record: The record as in Apollo's answers.
    """
    keys_found = [
        f"crm {value}"
        for name in object_type.crm_ids
        if (value := record.get(object_type.fields[name].read or ""))
    ]
    held = addresses(object_type, record)
    keys_found += [f"{object_type.match_field} {address}" for address in held]
    if "name" in object_type.fields:
        name = _folded(record.get("name"))
        return [*keys_found, f"name {name}"] if name else keys_found
    return keys_found + _namesakes(record, held)


def _namesakes(record: Json, addresses: list[str]) -> list[str]:
    first, last = _folded(record.get("first_name")), _folded(record.get("last_name"))
    if not first or not last:
        return []
    domains = [address.rpartition("@")[2] for address in addresses[:1]]
    keys = [f"name {first} {last} at {domain}" for domain in domains if domain not in FREE_MAIL]
    organization = record.get("organization_id")
    if organization:
        keys.append(f"name {first} {last} in {organization}")
    company = _folded(record.get("organization_name"))
    if company:
        keys.append(f"name {first} {last} of {company}")
    return keys


def _folded(value: object) -> str:
    return bare(str(value or "")).lower()


_PER_PAGE = 100
#: All records are read only if they fit on so many pages.
_MOST_PAGES = 100
#: Most look-ups of one object in one dry run, whatever its input. Single look-ups end before they
#: are as many as the pages, so this is enough for both methods.
MOST_LOOKUPS = 2 * _MOST_PAGES


class RecordLookups:
    """Fetches records from Apollo into `records`. For one thread at a time.

    Attributes:
        not_looked_up: Object -> number of records not looked up, since the look-ups had ended.
    """

    def __init__(self, transport: TransportProtocol, records: KnownRecords) -> None:
        self._transport = transport
        self._records = records
        self._pages: dict[ObjectKind, int] = {}
        self._complete: set[ObjectKind] = set()
        #: Single look-ups so far, including those that were not sent.
        self._asked: Counter[ObjectKind] = Counter()
        self._sent: Counter[ObjectKind] = Counter()
        self.not_looked_up: Counter[ObjectKind] = Counter()
        self._ended: dict[ObjectKind, str] = {}

    @property
    def sent(self) -> int:
        """Number of requests so far."""
        return self._sent.total()

    @property
    def ended_because(self) -> str:
        """Sentences on why look-ups ended early; empty where none did."""
        return " ".join(dict.fromkeys(self._ended.values()))

    def knows_all(self, kind: ObjectKind) -> bool:
        """Whether all records of an object were read."""
        return kind in self._complete

    def look_for(self, object_type: ObjectType, wanted: Sequence[Json]) -> None:
        """Fetches the records in Apollo that are the same as the wanted records.

        Args:
            wanted: Records as they would be after their creation.
        """
        kind = object_type.kind
        if kind in self._complete:
            return
        missing = [record for record in wanted if not self._is_known(object_type, record)]
        if not missing:
            return
        if self._reads_all(object_type, len(missing)):
            return
        for record in missing:
            if not self._search(object_type, record):
                self.not_looked_up[kind] += 1

    def look_for_id(self, object_type: ObjectType, apollo_id: str, *, trusted: bool) -> None:
        """Fetches the record with an Apollo id, if there is one.

        Args:
            trusted: The ledger says that it exists, so it is not looked up on its own.

        Raises:
            RequestRefused: There is no such record.
        """
        if object_type.kind in self._complete or self._reads_all(object_type, 1) or trusted:
            return
        if not self._may_send(object_type.kind):
            self.not_looked_up[object_type.kind] += 1
            return
        self.read(object_type, apollo_id)

    def read(self, object_type: ObjectType, apollo_id: str) -> Json:
        """Fetches the record with an Apollo id: GET /contacts/{id} or /accounts/{id}.

        Raises:
            RequestRefused: There is no such record.
        """
        endpoint = object_type.endpoints.read
        self._sent[object_type.kind] += 1
        answer = self._transport.send(request_to(endpoint, record_id=apollo_id))
        record = CheckedBody(endpoint, answer).record(object_type.singular, apollo_id)
        self._records.put(object_type.kind, record, dedupe_keys(object_type, record))
        return record

    def labels(self) -> list[Json]:
        """The lists of the team: GET /labels."""
        answer = self._transport.send(request_to(endpoints.LABELS))
        return CheckedBody(endpoints.LABELS, answer).bare_records()

    def _is_known(self, object_type: ObjectType, record: Json) -> bool:
        return self._records.first(object_type.kind, dedupe_keys(object_type, record)) is not None

    def _may_send(self, kind: ObjectKind) -> bool:
        if self._sent[kind] >= MOST_LOOKUPS:
            self._ended.setdefault(kind, f"A plan looks {kind.value} up {MOST_LOOKUPS} times.")
        return kind not in self._ended

    def _reads_all(self, object_type: ObjectType, singles: int) -> bool:
        """Reads all records if that costs no more than the single look-ups; returns whether it did.

        Args:
            singles: The single look-ups that are due now.
        """
        kind = object_type.kind
        if kind not in self._pages and self._may_send(kind):
            # The first page tells the number of pages, and is often the only page.
            answer = self._page(object_type, 1)
            if answer is not None:
                self._pages[kind] = answer[1]
                self._keep(object_type, answer[0])
        pages = self._pages.get(kind)
        if pages is None or kind in self._ended:
            return False
        left = pages - 1
        if pages > _MOST_PAGES or left > self._asked[kind] + singles:
            self._asked[kind] += singles
            return False
        for page in range(2, pages + 1):
            answer = self._page(object_type, page)
            if answer is None:
                return False
            self._keep(object_type, answer[0])
        self._complete.add(kind)
        return True

    def _search(self, object_type: ObjectType, wanted: Json) -> bool:
        """Searches for one record; False where look-ups have ended and no request was sent."""
        if object_type.match_field == "email":
            searches = [str(wanted.get("email") or "")]
        else:
            searches = list(_words_of_account(wanted))
        for words in filter(None, searches):
            if not self._may_send(object_type.kind):
                return False
            answer = self._page(object_type, 1, words)
            if answer is None:
                return False
            # The search is fuzzy: only the e-mail, domain or name of a hit tells what it is.
            self._keep(object_type, answer[0])
            if self._is_matched(object_type, wanted):
                break
        return True

    def _is_matched(self, object_type: ObjectType, wanted: Json) -> bool:
        # The name alone is not enough: another name may find a record with the same domain.
        matches = [f"{object_type.match_field} {key}" for key in addresses(object_type, wanted)]
        return self._records.first(object_type.kind, matches) is not None

    def _page(
        self, object_type: ObjectType, page: int, words: str = ""
    ) -> tuple[list[Json], int] | None:
        of = object_type.endpoints
        # Oldest first, so that records which others create meanwhile move none to another page.
        body: Json = {
            "page": page,
            "per_page": _PER_PAGE,
            "sort_by_field": of.created_key,
            "sort_ascending": True,
        }
        if words:
            body[of.search_key] = words
        self._sent[object_type.kind] += 1
        try:
            answer = CheckedBody(of.search, self._transport.send(request_to(of.search, body)))
        except (EndpointForbidden, QuotaExhausted) as refusal:
            self._ended[object_type.kind] = str(refusal)
            return None
        pages = answer.number(answer.whole().get("pagination"), "total_pages")
        return answer.records(object_type.kind.value), pages

    def _keep(self, object_type: ObjectType, found: Sequence[Json]) -> None:
        for record in found:
            # The dry run may have changed the record, which Apollo does not show.
            if self._records.get(object_type.kind, str(record["id"])) is None:
                self._records.put(object_type.kind, record, dedupe_keys(object_type, record))


def _words_of_account(wanted: Json) -> Iterator[str]:
    # Apollo finds accounts only by a part of their name.
    name = str(wanted.get("name") or "").strip()
    if name:
        yield name
    domain = str(wanted.get("domain") or "").partition(".")[0]
    if domain and domain.lower() != name.lower():
        yield domain
