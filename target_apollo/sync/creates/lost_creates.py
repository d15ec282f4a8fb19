"""Records that killed runs may have created for rows that are gone from the table since.

Records of rows that are still in the table are found by `recovery`.

The ledger has only the hash of the address that was sent, so the newest records of the team are
searched for it. The search is short: rows that wait in the table are completed by their own next
write, and few of the others are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace as with_values

from target_apollo.ledger import Link, match_hash
from target_apollo.model.match_keys import keys_of_record
from target_apollo.model.objects.registry import ObjectType
from target_apollo.model.times import moment
from target_apollo.sync.creates.recovery import CLOCKS_DIFFER_BY
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.run import SyncRun

#: Pages of a hundred records.
_MOST_PAGES = 5


@dataclass
class LostCreates:
    """What became of creations that were cut off.

    Attributes:
        found: Links, with the ids of the records that were created for them.
        never_made: Links for which no record was created.
        unknown: Links whose record may be older than all records that were searched.
    """

    found: list[Link] = field(default_factory=list)
    never_made: list[Link] = field(default_factory=list)
    unknown: list[Link] = field(default_factory=list)


def find_lost_creates(
    run: SyncRun, object_type: ObjectType, links: StreamLinks, open_links: Sequence[Link]
) -> LostCreates:
    """Searches the newest records for those that cut-off creations have made.

    Args:
        open_links: Links without a record whose last write was a create without an answer.

    Raises:
        ApolloError, LedgerError: The run can't go on.
    """
    result = LostCreates()
    sent_at = {link.source_key: links.reader.sent_at(link) for link in open_links}
    starts = [start for start in sent_at.values() if start is not None]
    if not starts:
        result.unknown += open_links
        return result
    made, reached = _newest(run, object_type, min(starts) - CLOCKS_DIFFER_BY)
    for link in open_links:
        start = sent_at[link.source_key]
        apollo_id, created_at = made.get(link.match_hash or "", ("", None))
        since = None if start is None else start - CLOCKS_DIFFER_BY
        if created_at is not None and since is not None and created_at >= since:
            result.found.append(with_values(link, apollo_id=apollo_id))
        elif since is not None and (reached is None or reached < since):
            result.never_made.append(link)
        else:
            result.unknown.append(link)
    return result


def _newest(
    run: SyncRun, object_type: ObjectType, since: datetime
) -> tuple[dict[str, tuple[str, datetime]], datetime | None]:
    """Hash of a key -> id and creation of the newest records; and how far back they go.

    The second is None if these are all records of the team.
    """
    made: dict[str, tuple[str, datetime]] = {}
    oldest: datetime | None = None
    for page in range(1, _MOST_PAGES + 1):
        records = run.client.newest(object_type.endpoints, page)
        if not records:
            return made, None
        for record in records:
            created_at = moment(record.get("created_at"))
            if created_at is not None:
                oldest = created_at
                for key in keys_of_record(object_type, record):
                    made.setdefault(match_hash(key), (str(record["id"]), created_at))
        if oldest is not None and oldest < since:
            break
    return made, oldest
