"""Asks Apollo for the records that a dry run needs, with at most `MOST_LOOKUPS` requests.

There are two ways. All contacts (or accounts) are read, a hundred a request; then all records are
known, namesakes included. Or single records are looked up: a contact by its e-mail (POST
/contacts/search), an account by its name or domain (POST /accounts/search), an id by GET. A dry run
starts with single look-ups, and reads all records as soon as that costs no more than the single
look-ups so far. So it sends at most twice the requests of the cheaper way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from target_apollo.apollo import (
    EndpointForbidden,
    QuotaExhausted,
    TransportProtocol,
    endpoints,
    request_to,
)
from target_apollo.apollo.answers import CheckedBody
from target_apollo.apollo.endpoints import PER_PAGE
from target_apollo.model.match_keys import addresses
from target_apollo.model.objects.registry import Json, ObjectKind, ObjectType
from target_apollo.sync.dry_run.known_records import KnownRecords, dedupe_keys

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
            "per_page": PER_PAGE,
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
