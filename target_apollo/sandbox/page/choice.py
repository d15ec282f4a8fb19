"""What an address of the page asks for, and the addresses of the other views. Pure."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode


class View(str, enum.Enum):
    """The tabs of the page, in their order."""

    OVERVIEW = "overview"
    CONTACTS = "contacts"
    ACCOUNTS = "accounts"
    LISTS = "lists"
    SEQUENCES = "sequences"
    DEALS = "deals"
    TASKS = "tasks"
    REQUESTS = "requests"
    QUOTA = "quota"


#: Views that can be searched.
SEARCHED = frozenset(View) - {View.OVERVIEW, View.QUOTA}
#: By what a view may be narrowed, one at a time: the parameter's name.
NARROWED_BY = ("list", "account", "contact", "sequence", "request", "run")
_LONGEST = 200
_MOST_PARTS = 1_000_000


@dataclass(frozen=True)
class Choice:
    """What is shown.

    Attributes:
        view: The tab.
        search: The words that are searched for.
        part: Which part of a long table, from 1.
        record: Id of the one record or number of the one request that is shown; empty for a table.
        by: What the table is narrowed by, of `NARROWED_BY`; empty if it is not.
        of: The value of that.
    """

    view: View = View.OVERVIEW
    search: str = ""
    part: int = 1
    record: str = ""
    by: str = ""
    of: str = ""

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> Choice:
        """The choice of an address' parameters; what can't be understood is left out."""
        known = {view.value: view for view in View}
        by = next((name for name in NARROWED_BY if query.get(name)), "")
        part = query.get("part", "")
        return cls(
            view=known.get(query.get("show", ""), View.OVERVIEW),
            search=_clean(query.get("q", "")),
            part=min(int(part), _MOST_PARTS) if part.isascii() and part.isdigit() else 1,
            record=_clean(query.get("id", "")),
            by=by,
            of=_clean(query.get(by, "")),
        )

    @property
    def address(self) -> str:
        """The address of this choice, relative to the page."""
        named = (
            ("show", self.view.value if self.view is not View.OVERVIEW else ""),
            (self.by, self.of if self.by else ""),
            ("id", self.record),
            ("q", self.search),
            ("part", str(self.part) if self.part > 1 else ""),
        )
        query = urlencode([(name, value) for name, value in named if value])
        return f"/?{query}" if query else "/"

    def with_part(self, part: int) -> Choice:
        """The same table at another part."""
        return dataclasses.replace(self, part=part)


def _clean(text: str) -> str:
    """A parameter without signs that nobody types, cut if it is long."""
    return "".join(sign for sign in text[:_LONGEST] if sign.isprintable()).strip()


def address(view: View, record: str = "", **narrowed: Any) -> str:
    """The address of a view, of one record in it, or of what belongs to something."""
    by, of = next(iter(narrowed.items()), ("", ""))
    return Choice(view, record=record, by=by, of=str(of)).address
