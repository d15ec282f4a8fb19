"""Why rejected records could not be written: column and sentence, never a value of them. Pure.

The details of rejections are made to show no values. What is counted here does not rely on that,
since a rejects file may be of another version: ids, addresses and whatever stands in the record are
taken out. Apollo's own words, which can quote the record, are left out whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from target_apollo.system.shown import may_be_address, name_shown

#: Different causes of one reason that are told apart.
MOST_CAUSES = 50
#: In the place of a value.
HIDDEN = "…"
#: Where Apollo's words begin in a detail.
_APOLLOS_WORDS = " Apollo's words:"
_ID = re.compile(r"\b[0-9a-f]{24}\b")
_QUOTED = re.compile(r"'([^']{1,200})'")
_LONGEST = 400
#: A shorter value stands in many words by chance.
_LEAST = 4
#: Values of a record that are compared; a record with more has none that a detail would name.
_MOST_VALUES = 2000
_DEEPEST = 4

#: Reason -> the column that it is always about, where a detail does not name one.
_COLUMNS: Mapping[str, str] = {
    "missing_email": "email",
    "malformed_email": "email",
    "missing_domain": "domain",
    "malformed_domain": "domain",
    "shared_domain": "domain",
}


@dataclass(frozen=True)
class Cause:
    """Why records were rejected.

    Attributes:
        column: The column that must be mended; empty where the cause names none.
        sentence: The cause in words.
        answer: Apollo's status and the endpoint; empty if the record was never sent.
    """

    column: str
    sentence: str
    answer: str = ""


#: For a record that an earlier run rejected, unchanged since; that run has told the cause.
REJECTED_BEFORE = Cause("", "rejected in an earlier run, and not changed since")


class CauseCounts:
    """The causes of a run's rejected records, by stream and reason.

    Of one reason so many causes are told apart; further ones are left out.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], Counter[Cause]] = {}

    def add(self, stream: str, reason: str, cause: Cause) -> None:
        """Count a record."""
        counts = self._counts.setdefault((stream, reason), Counter())
        if cause in counts or len(counts) < MOST_CAUSES:
            counts[cause] += 1

    def as_json(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """The causes for the summary: stream -> reason -> those of most records first."""
        found: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for (stream, reason), counts in self._counts.items():
            found.setdefault(stream, {})[reason] = [
                {**asdict(cause), "number": number} for cause, number in counts.most_common()
            ]
        return found


def columns_of(schema: Mapping[str, Any] | None) -> Collection[str]:
    """Names of the columns of a SCHEMA."""
    properties = schema.get("properties") if schema else None
    return properties.keys() if isinstance(properties, Mapping) else ()


def cause_of(
    reject: Mapping[str, Any], record: Mapping[str, Any], columns: Collection[str]
) -> Cause:
    """The cause of one rejection.

    Args:
        reject: What the rejects file says of it.
        record: The rejected record; none of its values gets into the cause.
        columns: Names of the stream's columns, by its schema.
    """
    detail = reject.get("detail")
    said = detail.partition(_APOLLOS_WORDS)[0].strip() if isinstance(detail, str) else ""
    quoted = _QUOTED.findall(said)
    column = next((name for name in quoted if name in columns or name in record), "")
    column = column or _COLUMNS.get(str(reject.get("reason")), "")
    sentence = name_shown(_without_values(said, record, columns)[:_LONGEST])
    return Cause(name_shown(column), sentence.rstrip(". "), _answer(reject))


def _answer(reject: Mapping[str, Any]) -> str:
    status, endpoint = reject.get("status"), reject.get("endpoint")
    if not isinstance(status, int) or not isinstance(endpoint, str):
        return ""
    return f"status {status} of {name_shown(endpoint)}"


def _without_values(said: str, record: Mapping[str, Any], columns: Collection[str]) -> str:
    said = _ID.sub(HIDDEN, said)
    if may_be_address(said):
        said = " ".join(HIDDEN if may_be_address(word) else word for word in said.split(" "))
    found = {
        text
        for text in _texts(record, _DEEPEST)
        if text in said and text not in columns and text not in record
    }
    # The longest first, since one value may be part of another.
    for text in sorted(found, key=len, reverse=True):
        said = said.replace(f"'{text}'", f"'{HIDDEN}'")
        # A plain word in lower case is one of the sentence's own.
        if not (text.isascii() and text.isalpha() and text.islower()):
            said = said.replace(text, HIDDEN)
    return said


def _texts(value: object, depth: int) -> Iterator[str]:
    """The scalar values in a record as texts."""
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, list):
        for one in value[:_MOST_VALUES] if depth else ():
            if not isinstance(one, str):
                yield from _texts(one, depth - 1)
            elif len(text := one.strip()) >= _LEAST:
                yield text
    elif value is not None and not isinstance(value, bool):
        text = str(value).strip()
        if len(text) >= _LEAST:
            yield text
