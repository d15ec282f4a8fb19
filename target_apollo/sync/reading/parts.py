"""The parts in which more records are read than one search of Apollo shows. Pure.

A search shows 50,000 records. Read from both ends, by the time of their creation, it shows 100,000.
An object with more is read stage by stage, and a stage with more, list by list.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from target_apollo.apollo.endpoints import MOST_PAGES, PER_PAGE

#: Records that one search shows, and that it shows from both ends.
SHOWN = MOST_PAGES * PER_PAGE
SHOWN_FROM_BOTH_ENDS = 2 * SHOWN


class End(enum.Enum):
    """The end from which the records of a part are read, by the time of their creation."""

    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True)
class Part:
    """Records that are read by one search.

    Attributes:
        stage_id, label_id: Only those in this stage, on this list; empty for all.
        until: Where the search ends, since the one from the other end has come so far: a time of
            creation. Empty: at its last page.
    """

    stage_id: str = ""
    label_id: str = ""
    end: End = End.OLDEST
    until: str = ""

    def from_newest(self, until: str) -> Part:
        """The same records from the other end."""
        return replace(self, end=End.NEWEST, until=until)


def parts_of(
    part: Part, total: int, stage_ids: Sequence[str], label_ids: Sequence[str]
) -> tuple[Part, ...]:
    """The parts that are read in place of one with too many records; the part itself if it can be.

    A part that its two ends do not show whole, though it can't be split any more, is read as far
    as they show it.

    Args:
        total: How many records the part has.
        stage_ids: All stages of the object.
        label_ids: All lists of the object.
    """
    if part.end is End.NEWEST or total <= SHOWN_FROM_BOTH_ENDS:
        return (part,)
    if not part.stage_id and stage_ids:
        return tuple(Part(stage_id) for stage_id in stage_ids)
    if not part.label_id and label_ids:
        # A record need not be on a list.
        lists = (Part(part.stage_id, label_id) for label_id in label_ids)
        return (part, *lists)
    return (part,)
