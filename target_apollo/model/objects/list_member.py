"""The list member: a contact or account that is on one of Apollo's lists. Pure.

The stream has a row for each membership. Exactly once: to add a record to a list that it is on, or
to remove it where it is not, changes nothing, so a request whose answer was lost is sent again.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from target_apollo.model import values
from target_apollo.model.objects.members import APOLLO_ID, DOMAIN, EMAIL, MEMBER_COLUMNS, MEMBER_KEY
from target_apollo.model.objects.object_type import ObjectKind
from target_apollo.model.objects.stream_object import Column, StreamObject, columns
from target_apollo.model.rows import Mode
from target_apollo.model.texts.characters import visible

LIST = "list"

LIST_MEMBER = StreamObject(
    name="list_members",
    singular="list member",
    columns={**columns(Column(LIST, values.text, is_required=True)), **MEMBER_COLUMNS},
    modes=(Mode.ADD, Mode.MIRROR),
    default_mode=Mode.ADD,
    default_key=(LIST, APOLLO_ID, MEMBER_KEY, EMAIL, DOMAIN),
    is_told_by_name=True,
)


class MirrorScope(enum.Enum):
    """Whose members a mirrored list may lose."""

    #: Those that this tool has added.
    OURS = "ours"
    #: All that no row names.
    ALL = "all"


class ListKey(NamedTuple):
    """Which list: its object, and its name without case.

    Apollo has lists of contacts and lists of accounts, which may have the same name.
    """

    kind: ObjectKind
    folded: str

    @classmethod
    def of(cls, kind: ObjectKind, name: str) -> ListKey:
        """The key of the list that a row or Apollo calls so."""
        return cls(kind, visible(name).casefold())
