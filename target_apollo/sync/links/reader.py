"""Reads the links of a batch's rows from the ledger: what it knows of each row, a `RowHistory`.

Before the links are used, those are left out that are another source's, or have no id of Apollo's.
`recall` decides what follows from them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

from msgspec.structs import replace as with_values

from target_apollo.apollo import ID_SHAPE
from target_apollo.ledger import Link, LinkStatus, Place
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.dry_run.ledger import RunLedger
from target_apollo.sync.links.deleted_links import DeletedLinks
from target_apollo.sync.links.recall import (
    LinkSorter,
    RowHistory,
    is_interrupted,
    key_of,
    new_history,
    payload_hash_of,
    shared_ids,
)
from target_apollo.sync.links.sources import links_of_source
from target_apollo.sync.source_record import Former
from target_apollo.sync.updates.single_values import SingleValues, held_in

_log = logging.getLogger(__name__)

#: Latest runs that are searched for the run that left a row unfinished.
_LATEST_RUNS = 500


class LinkReader:
    """Reads the links of one stream; a part of its `StreamLinks`.

    Args:
        place: Of the stream, with the run's source.
        sorter: Decides which rows still need requests.
        single_values: What rows carry that costs a request for each record.
        deleted: The links of deleted rows.

    Attributes:
        unused: Source key of a row of this batch -> a link with another source or none that is not
            used.
    """

    def __init__(
        self,
        ledger: RunLedger,
        place: Place,
        run_id: str,
        sorter: LinkSorter,
        single_values: SingleValues,
        deleted: DeletedLinks,
    ) -> None:
        self._ledger = ledger
        self._place = place
        self._run_id = run_id
        self._sorter = sorter
        self._single_values = single_values
        self._deleted = deleted
        #: In a run without a source: source key of a row of this batch -> the source of its link.
        self._sources: dict[str, str] = {}
        self.unused: dict[str, Link] = {}
        self._has_said_odd_ids = False

    def recall(self, rows: Sequence[Row], formers: Mapping[int, Former]) -> dict[int, RowHistory]:
        """The histories of all rows of a batch, by number.

        Args:
            formers: Row number -> earlier rejection, for rows that were rejected before.

        Raises:
            LedgerError: The ledger can't be read, or the source can't be set in links.
        """
        keys = [key_of(row) for row in rows]
        links = self._with_ids(self._ledger.links(self._place, keys))
        hashes = [payload_hash_of(row, self._sorter.policies) for row in rows]
        known = self._own(rows, [links.get(key) for key in keys], hashes)
        known = self._without_overwritten(known)
        run_starts: Mapping[str, datetime] = {}
        if formers or any(link is not None and is_interrupted(link) for link in known):
            run_starts = self._run_starts
        histories = [
            new_history(
                key,
                payload_hash,
                formers.get(row.number),
                run_starts,
                names_record=bool(row.apollo_id),
            )
            for row, key, payload_hash in zip(rows, keys, hashes, strict=True)
        ]
        if links:
            has_deleted = any(row.deleted for row in rows)
            outcomes = self._sorter.outcomes(rows, known, hashes)
            histories = self._sorter.histories(
                rows,
                histories,
                known,
                outcomes,
                formers=formers,
                shared=self._shared(self._sorter.ids_to_write(known, outcomes)),
                held=self._deleted.held_rows(rows, known) if has_deleted else set(),
                run_starts=run_starts,
            )
        histories = list(map(self._with_single_values, rows, histories))
        return {row.number: history for row, history in zip(rows, histories, strict=True)}

    def _with_single_values(self, row: Row, history: RowHistory) -> RowHistory:
        """The history with the values that cost a request each, unless the row needs none."""
        if history.outcome is not None or row.deleted or self._sorter.mode is Mode.INSERT:
            return history
        if self._sorter.policies is None and self._single_values.names.isdisjoint(row.values):
            return history
        own = self._single_values.digests(row)
        if own is None:
            return history
        link = history.link
        # Other rows may have written to a record that they share.
        is_own = link is not None and link.apollo_id == history.apollo_id
        known = link.single_hashes if link is not None and is_own else None
        if self._sorter.full_resync:
            known = None
        held = held_in(own, known) if known else frozenset()
        return with_values(history, single_hashes=own, held=held)

    def _with_ids(self, links: dict[str, Link]) -> dict[str, Link]:
        """The links without those whose id is none of Apollo's, which are deleted.

        Earlier versions kept whatever Apollo answered as an id. Without a link, such a row finds
        its record by its address again.
        """
        odd = [
            link
            for link in links.values()
            if link.apollo_id is not None and not ID_SHAPE.fullmatch(link.apollo_id)
        ]
        for link in odd:
            self._ledger.forget(self._place._replace(source=link.source), [link.source_key])
            del links[link.source_key]
        if odd and not self._has_said_odd_ids:
            self._has_said_odd_ids = True
            _log.warning(
                "Stream '%s': the ledger has texts in place of Apollo ids that are none. Their "
                "rows find their records by e-mail or domain again.",
                self._place.stream,
            )
        return links

    def _own(
        self, rows: Sequence[Row], links: list[Link | None], payload_hashes: Sequence[str]
    ) -> list[Link | None]:
        """The links that belong to these rows. Links without a source get the run's source."""
        source = self._place.source
        self._sources, self.unused = {}, {}
        if all(link is None or link.source == source for link in links):
            return links
        found = links_of_source(rows, links, payload_hashes, source)
        if not source:
            self._sources = found.joined
            return found.used
        self.unused = found.unused
        if found.joined:
            self._ledger.adopt(self._place, sorted(found.joined))
        return found.used

    def _without_overwritten(self, links: list[Link | None]) -> list[Link | None]:
        """The links, of which those know no values that another row of this run may have replaced.

        The ledger forgets the values of other runs' rows when a record is written, but not those of
        the same run: two rows with one record would be written in turns in every run. Only a key
        that comes again in a run needs to know.
        """
        of_run = {link.apollo_id for link in links if link and link.run_id == self._run_id}
        ids = {one for one in of_run if one is not None}
        if not ids:
            return links
        shared = self._shared(ids)
        return [
            with_values(link, payload_hash=None, single_hashes=None)
            if link and link.holds_something and link.apollo_id in shared
            else link
            for link in links
        ]

    def _shared(self, ids: set[str]) -> set[str]:
        return shared_ids(self._ledger.links_by_apollo_id(self._place, ids)) if ids else set()

    def place_of(self, key: str) -> Place:
        """Where the link of a row of this batch is, or will be.

        Args:
            key: The row's source key, as the ledger spells it.
        """
        source = self._sources.get(key)
        return self._place if source is None else self._place._replace(source=source)

    @cached_property
    def _run_starts(self) -> Mapping[str, datetime]:
        """Run id -> start, of the latest runs.

        Raises:
            LedgerError: The ledger can't be read.
        """
        return {run.run_id: run.started_at for run in self._ledger.runs(_LATEST_RUNS)}

    def is_of_another_row(self, apollo_id: str, key: str) -> bool:
        """Whether another source key has written a record, according to the ledger.

        Args:
            key: The row's source key, as the ledger spells it.

        Raises:
            LedgerError: The ledger can't be read.
        """
        found = self._ledger.links_by_apollo_id(self._place, [apollo_id])
        return any(
            link.status not in (LinkStatus.EXISTING, LinkStatus.GONE)
            and not self._is_of_row(link, key)
            for link in found.get(apollo_id, ())
        )

    def _is_of_row(self, link: Link, key: str) -> bool:
        if link.source_key != key:
            return False
        if not link.source:
            # It is the row's own link, unless `_own` has found that it is another row's.
            return key not in self.unused or not self.unused[key].match_hash
        return link.source == self.place_of(key).source

    def sent_at(self, link: Link) -> datetime | None:
        """When the run started that sent a link's last write; None if it is not known.

        Raises:
            LedgerError: The ledger can't be read.
        """
        return self._run_starts.get(link.run_id or "")
