"""Looks, once for each object of a run, whether bulk_create recognises the records that exist.

All protection against duplicates rests on one documented behaviour: with ``run_dedupe`` Apollo
answers a record that exists as existing, and creates no second one. Before the second creating
request of a run, one record that the first has created is searched by its address. If another
record has that address too, the behaviour is gone, and each further request would create more
duplicates. A record that Apollo answers as existing proves the behaviour and saves the search.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from target_apollo.apollo import (
    AnotherRecord,
    ApolloClient,
    EndpointForbidden,
    QuotaExhausted,
    RequestRefused,
)
from target_apollo.model.match_keys import address_of, addresses, called
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.model.texts.emails import compared
from target_apollo.sync.creates.match import Match, RowMatch
from target_apollo.sync.exit import RunError


class DedupeCheck:
    """What a run knows of Apollo's matching of one object; for the thread of the run.

    Attributes:
        is_settled: Whether nothing is left to look for in this run.
        answered: The rows of the last creating request, until `note` takes them. Most runs have one
            such request, and look at none of its rows.
    """

    def __init__(
        self,
        client: ApolloClient,
        object_type: ObjectType,
        logger: logging.Logger,
        *,
        is_dry_run: bool,
    ) -> None:
        self._client = client
        self._object_type = object_type
        self._logger = logger
        self._is_dry_run = is_dry_run
        self.is_settled = False
        self.answered: Sequence[RowMatch] = ()
        #: A row and the id of the record that was created for it.
        self._created: tuple[Row, str] | None = None

    @property
    def is_due(self) -> bool:
        """Whether a created record is to be looked for before the next creating request."""
        return self._created is not None and not self.is_settled

    def note(self, matched: Sequence[RowMatch], known: Collection[int]) -> None:
        """Takes the rows of an answered request.

        Args:
            known: Numbers of created rows whose record the ledger knows already, or a killed run
                may have created. These records are the most likely to be there twice.
        """
        created = {
            str(one.answer["id"]): one
            for one in matched
            if one.match is Match.CREATED and one.answer is not None
        }
        if any(
            one.match in (Match.EXISTING, Match.CONFLICT)
            and one.answer is not None
            and str(one.answer["id"]) not in created
            for one in matched
        ):
            self.is_settled = True
            return
        fitting = [
            (one.row.number not in known, apollo_id, one.row)
            for apollo_id, one in created.items()
            if address_of(self._object_type, one.row)
        ]
        if fitting:
            _, apollo_id, row = min(fitting, key=lambda one: one[0])
            self._created = (row, apollo_id)
        elif created:
            # Apollo has no search for anything but an address or a name.
            self.is_settled = True

    def look(self, room: float) -> None:
        """Searches the created record, and stops the run if its address is there twice.

        A search may show a new record late, so a search without a hit proves nothing.

        Args:
            room: Requests that searches have left in Apollo's rate windows.

        Raises:
            RunError: Another record has the address too.
            ApolloError: The run can't go on.
        """
        if self._created is None or self.is_settled:
            return
        self.is_settled = True
        row, apollo_id = self._created
        if room < 1:
            self._say_unknown("the rate limit of the search is used up")
            return
        try:
            others = self._others(row, apollo_id)
        except (EndpointForbidden, QuotaExhausted, RequestRefused) as problem:
            self._say_unknown(str(problem))
            return
        if others:
            raise RunError(self._sentence(row, apollo_id, others), exit_code=2)

    def _others(self, row: Row, apollo_id: str) -> list[str]:
        """Ids of other records that have the row's address."""
        of = self._object_type.endpoints
        address = address_of(self._object_type, row) or ""
        words = address
        if self._object_type.is_matched_by_domain:
            # Apollo finds accounts by a part of their name only.
            words = row.values.get("name") or address.split(".", 1)[0]
        hits = self._client.search(of, words)
        if self._is_dry_run:
            # The record was not created, so that the search only counts for the estimate.
            return []
        found = [
            str(hit["id"])
            for hit in hits
            if str(hit["id"]) != apollo_id and self._has(hit, address)
        ]
        return [one for one in dict.fromkeys(found) if self._is_there(one, address)]

    def _has(self, record: Json, address: str) -> bool:
        """Whether Apollo must have recognised a record by an address, spelled as the record's."""
        if self._object_type.is_matched_by_domain:
            return compared(record.get(self._object_type.match_field)) == address
        return address in addresses(self._object_type, record)

    def _is_there(self, apollo_id: str, address: str) -> bool:
        """Whether a record that a search has shown still exists: a search may show it longer."""
        try:
            record = self._client.read(self._object_type.endpoints, apollo_id)
        except EndpointForbidden:
            return True
        except (RequestRefused, AnotherRecord):
            return False
        return self._has(record, address)

    def _say_unknown(self, why: str) -> None:
        self._logger.warning(
            "Whether Apollo recognises %ss that exist could not be looked for (one search before "
            "the second creating request): %s The run goes on.",
            self._object_type.singular,
            why if why.endswith(".") else f"{why}.",
        )

    def _sentence(self, row: Row, apollo_id: str, others: Sequence[str]) -> str:
        one = self._object_type.singular
        return (
            f"Apollo has created {one} {apollo_id} although {one} {', '.join(others)} has the same "
            f"{called(self._object_type, row.match_key)}: it does not recognise existing {one}s as "
            f"its documents say ({self._object_type.endpoints.create} with run_dedupe). The run "
            f"stopped before it created more; the {one}s that it has created may all be there "
            "twice. Compare and merge them in Apollo and ask Apollo's support about it. Until that "
            "is answered, use the mode update, which creates nothing."
        )
